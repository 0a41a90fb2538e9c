"""What the file of a notebook holds: its cells, its written answers, and a text's digest.

The grader calls this on a student's file only inside a process with limits (`child`): parsing costs memory.
"""

import ast
import hashlib
import json
from dataclasses import dataclass

import nbformat

BYTES = 50 * 2**20  # of a notebook
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
PARSE_ERRORS = (SyntaxError, ValueError, RecursionError, MemoryError)


class Unreadable(Exception):
    """A file that is no notebook, in one sentence."""


@dataclass(frozen=True)
class Cell:
    """A cell of a notebook: its kind, text, and the exercise that its metadata names."""
    kind: str
    source: str
    exercise: str = ""


def read(path):
    """The cells of a notebook of any version, [Cell]. Raises Unreadable, and OSError where there is no such file."""
    with open(path, "rb") as stream:
        return cells_of(stream)


def cells_of(stream):
    """The cells of a notebook of any version in an open file, [Cell]. Raises Unreadable."""
    data = stream.read(BYTES + 1)
    if len(data) > BYTES:
        raise Unreadable(f"larger than {BYTES >> 20} MB: clear all outputs and hand it in again")
    if not data.strip():
        raise Unreadable("the file is empty")
    try:
        tree = json.loads(data.decode("utf-8-sig"))
        del data
        if tree.get("nbformat", 4) < 4:
            tree = nbformat.convert(nbformat.from_dict(tree), 4)
        return [_cell(cell) for cell in tree["cells"]]
    except (ValueError, RecursionError):
        raise Unreadable("not JSON: the upload was cut off, or this is another kind of file") from None
    except MemoryError:
        raise Unreadable("needs too much memory to be read: clear all outputs and hand it in again") from None
    except Exception as error:  # whatever a notebook may lack
        raise Unreadable(f"not a notebook ({type(error).__name__})") from None


def _cell(cell):
    source, metadata = cell.get("source", ""), cell.get("metadata") or {}
    source = "".join(source) if isinstance(source, list) else str(source)
    ours = metadata.get("minidiff") if isinstance(metadata.get("minidiff"), dict) else {}
    text = source.replace("\r\n", "\n").replace("\r", "\n").encode("utf-8", "replace").decode()
    return Cell(str(cell.get("cell_type")), text, str(ours.get("exercise", "")))


def written(cells, id):
    """The text of a written answer, or None when its cell is gone."""
    return next((c.source for c in reversed(cells) if c.kind == "markdown" and c.exercise == id), None)


def digest(source):
    """A number in hexadecimal that is the same for answers that differ in names, comments and layout alone.

    '' for a text that is no Python.
    """
    try:
        tree, names = ast.parse(source), {}
        for node in ast.walk(tree):
            for field in ("id", "arg", "name"):
                if isinstance(getattr(node, field, None), str):
                    setattr(node, field, names.setdefault(getattr(node, field), f"n{len(names)}"))
            if isinstance(node, DEFINITIONS) and ast.get_docstring(node) is not None:
                node.body = node.body[1:] or [ast.Pass()]
        return hashlib.sha256(ast.dump(tree).encode("utf-8", "replace")).hexdigest()
    except PARSE_ERRORS:
        return ""
