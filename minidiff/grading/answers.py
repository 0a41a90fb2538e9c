"""Which statements of a student's notebook are an answer: found by reading, never by running.

Of a notebook only imports, functions, classes and constants count; magics, prints and experiments never run. An answer
is the last definition of the exercise's name, with everything that it uses.
"""

import ast
import builtins
import json
import re
import threading
from dataclasses import dataclass

import nbformat

BYTES, SOURCE = 50 * 2**20, 200_000  # of a notebook; characters of one cell
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
IMPORTS = (ast.Import, ast.ImportFrom)
PARSE_ERRORS = (SyntaxError, ValueError, RecursionError, MemoryError)
PARSING = threading.Lock()  # Python 3.11 loses count of its depth when two threads parse deep code at once
MAGIC = re.compile(r"^\s*(%|!|\?)|\?\s*$")
FOREIGN = re.compile(r"^\s*%%(?!time\b|timeit\b|capture\b|prun\b)")


class Unreadable(Exception):
    """A file that is no notebook, in one sentence."""


@dataclass(frozen=True)
class Cell:
    """A cell of a notebook: its kind, text, and the exercise that its metadata names."""
    kind: str
    source: str
    exercise: str = ""


@dataclass(frozen=True)
class Code:
    """A code cell, parsed: magics are blank lines. problem: why it is no Python, or ''."""
    source: str
    body: tuple = ()
    exercise: str = ""
    problem: str = ""


def read(path):
    """The cells of a notebook of any version, [Cell]. Raises Unreadable."""
    if path.stat().st_size > BYTES:
        raise Unreadable(f"larger than {BYTES >> 20} MB: clear all outputs and hand it in again")
    data = path.read_bytes()
    if not data.strip():
        raise Unreadable("the file is empty")
    try:
        tree = json.loads(data.decode("utf-8-sig"))
        if tree.get("nbformat", 4) < 4:
            tree = nbformat.convert(nbformat.from_dict(tree), 4)
        return [_cell(cell) for cell in tree["cells"]]
    except (ValueError, RecursionError, MemoryError):
        raise Unreadable("not JSON: the upload was cut off, or this is another kind of file") from None
    except Exception as error:  # whatever a notebook may lack
        raise Unreadable(f"not a notebook ({type(error).__name__})") from None


def readable(text):
    """A text that can be written to a file: halves of surrogate pairs become question marks."""
    return text.encode("utf-8", "replace").decode()


def _cell(cell):
    source, metadata = cell.get("source", ""), cell.get("metadata") or {}
    source = "".join(source) if isinstance(source, list) else str(source)
    ours = metadata.get("minidiff") if isinstance(metadata.get("minidiff"), dict) else {}
    text = readable(source.replace("\r\n", "\n").replace("\r", "\n"))
    return Cell(str(cell.get("cell_type")), text, str(ours.get("exercise", "")))


def parsed(cells):
    """The code cells of a notebook, [Code]."""
    codes = []
    for cell in cells:
        if cell.kind != "code" or FOREIGN.match(cell.source):
            continue
        source = "\n".join("" if MAGIC.search(line) else line for line in cell.source.split("\n"))
        try:
            if len(source) > SOURCE:
                raise ValueError(f"a cell of more than {SOURCE} characters")
            with PARSING:
                tree = ast.parse(source)
            codes.append(Code(source, tuple(tree.body), cell.exercise))
        except PARSE_ERRORS as error:
            where = f" in line {error.lineno} of the cell" if isinstance(error, SyntaxError) else ""
            words = error.msg if isinstance(error, SyntaxError) else str(error) or type(error).__name__
            codes.append(Code(source, (), cell.exercise, f"is no Python: {words}{where}"))
    return codes


def written(cells, id):
    """The text of a written answer, or None when its cell is gone."""
    return next((c.source for c in reversed(cells) if c.kind == "markdown" and c.exercise == id), None)


def find(codes, id, lesson=()):
    """The cell that answers an exercise, by its name. Code or None.

    Of several it is one that is not the untouched stub, if possible the answer's own cell, if possible one that does
    more than import the name; and of these the last. lesson: sources of the chapter's own cells, which answer nothing
    (a first version may have the same name).
    """
    name, stub = id.split(".")[1], f'NotImplementedError("{id}")'
    start = re.compile(rf"^(def|class)\s+{name}\b", re.M)
    named = [c for c in codes if c.source not in lesson
             and (any(name in bound(s) and not _is_check(s) for s in c.body)
                  or c.problem and (c.exercise == id or start.search(c.source)))]
    ranked = sorted(named, key=lambda c: (stub not in c.source, c.exercise == id, not all(
        isinstance(s, IMPORTS) for s in c.body if name in bound(s))))
    return ranked[-1] if ranked else None


def pull(codes, answer, id, references):
    """What must run for an answer: [{source, keep, file, answer}], helpers first. Raises RecursionError.

    codes: cells in which names are looked up, the student's before ours; references: {name: module} of minidiff's own
    solutions, which stand in for other exercises.
    """
    name = id.split(".")[1]
    at = next(i for i, c in enumerate(codes) if c is answer)
    parts = {(at, i) for i, s in enumerate(answer.body) if _counts(s, name)}
    queue, seen, own = [answer.body[i] for _, i in parts], {name}, []
    here = {n for statement in queue for n in bound(statement)}
    while queue:
        for used in uses(queue.pop()) - seen - here:
            seen.add(used)
            if used in references:
                own.append(f"from {references[used]} import {used}")
                continue
            found = _definitions(codes, used, at)
            parts |= set(found)
            queue += [codes[c].body[i] for c, i in found]
    order = sorted({c for c, _ in parts}, key=lambda c: (c == at, c))
    code = [{"source": "\n".join(own), "keep": list(range(len(own))), "file": "<minidiff>", "answer": False}]
    return code + [{"source": codes[c].source, "keep": sorted(i for k, i in parts if k == c),
                    "file": "<answer>" if c == at else "<helper>", "answer": c == at} for c in order]


def bound(statement):
    """The names that a top-level statement binds."""
    if isinstance(statement, DEFINITIONS):
        return {statement.name}
    if isinstance(statement, IMPORTS):
        return {(a.asname or a.name).split(".")[0] for a in statement.names}
    if isinstance(statement, (ast.Assign, ast.AnnAssign)):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        return {n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)}
    if isinstance(statement, (ast.If, ast.Try)):
        return set().union(*[bound(s) for s in _inner(statement)])
    return set()


def uses(statement):
    """All names that a statement reads, builtins apart."""
    names = {n.id for n in ast.walk(statement) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    return {n for n in names if not hasattr(builtins, n)}


def _inner(statement):
    parts = [statement.body, statement.orelse, getattr(statement, "finalbody", [])]
    parts += [h.body for h in getattr(statement, "handlers", [])]
    return [s for part in parts for s in part]


def _counts(statement, name=None):
    """Is this an import, a definition or a constant? Every assignment to `name` itself is one, but for its check."""
    if isinstance(statement, (*DEFINITIONS, *IMPORTS)):
        return True
    if isinstance(statement, (ast.If, ast.Try)):
        return all(_counts(s, name) or isinstance(s, ast.Pass) for s in _inner(statement))
    if isinstance(statement, (ast.Assign, ast.AnnAssign)) and statement.value is not None:
        return name in bound(statement) and not _is_check(statement) or _is_constant(statement.value)
    return False


def _is_check(statement):
    value = getattr(statement, "value", None)
    return (isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id in ("answer", "check"))


def _is_constant(value):
    """An expression that calls nothing, or only functions of torch, numpy, math and plain types."""
    roots = {"torch", "np", "numpy", "math", "nn", "F", "int", "float", "tuple", "list", "dict", "range", "len",
             "partial", "functools"}
    for call in (n for n in ast.walk(value) if isinstance(n, ast.Call)):
        root = call.func
        while isinstance(root, (ast.Attribute, ast.Call, ast.Subscript)):
            root = root.func if isinstance(root, ast.Call) else root.value
        if not (isinstance(root, ast.Name) and root.id in roots):
            return False
    return True


def _definitions(codes, name, at):
    """Where a name is defined: the last place before cell `at`, else the first after it; and its attributes."""
    places = [(c, i) for c, code in enumerate(codes) for i, s in enumerate(code.body)
              if name in bound(s) and _counts(s)]
    before = [p for p in places if p[0] < at]
    return before[-1:] or places[:1]


def canonical(source):
    """A source without names, comments and layout, for finding identical answers; '' if it is no Python."""
    try:
        with PARSING:
            tree, names = ast.parse(source), {}
        for node in ast.walk(tree):
            for field in ("id", "arg", "name"):
                if isinstance(getattr(node, field, None), str):
                    setattr(node, field, names.setdefault(getattr(node, field), f"n{len(names)}"))
            if isinstance(node, DEFINITIONS) and ast.get_docstring(node) is not None:
                node.body = node.body[1:] or [ast.Pass()]
        return ast.dump(tree)
    except PARSE_ERRORS:
        return ""
