"""A definition that stands in a chapter and in the package is the same; what prose says of the package is true."""

import ast
import re

from minidiff.grading.build import ROOT
from tests.course.rules import code_cells, has_tag, prose_cells

DEFINITION = (ast.FunctionDef, ast.ClassDef)
FILE = re.compile(r"\bminidiff/[\w/]+\.py\b")
DOTTED = re.compile(r"`(minidiff(?:\.\w+)+)(?:\(\))?`")


def package(root=ROOT):
    """{name: [(module, definition), ...]} for everything defined at the top of a module of minidiff."""
    found = {}
    for file in sorted((root / "minidiff").rglob("*.py")):
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, DEFINITION):
                found.setdefault(node.name, []).append((file.relative_to(root).as_posix(), node))
    return found


def same_code(a, b):
    """True if two definitions are equal but for their docstrings."""
    return ast.dump(_bare(a)) == ast.dump(_bare(b))


def definitions(notebook, drafts=False):
    """(cell number among the code cells, definition) of the notebook; without drafts and exercises to be written."""
    for n, cell in enumerate(code_cells(notebook), start=1):
        if (drafts or not has_tag(cell, "draft")) and "# YOUR CODE HERE" not in cell.source:
            lines = (line for line in cell.source.splitlines() if not line.startswith(("%", "!")))
            yield from ((n, node) for node in ast.parse("\n".join(lines)).body if isinstance(node, DEFINITION))


def no_definition_drifts(notebook, known):
    """A definition with the name of one in the package is equal to it."""
    for n, node in definitions(notebook):
        if node.name in known and not any(same_code(node, other) for _, other in known[node.name]):
            where = " or ".join(module for module, _ in known[node.name])
            yield f"code cell {n}: {node.name} differs from {node.name} in {where}"


def every_solution_is_the_code_of_the_package(notebook, known, find):
    """The answer to an exercise is the definition that the package has under that name, in the reference's module."""
    for cell in code_cells(notebook):
        if has_tag(cell, "exercise"):
            reference = find(cell.metadata.minidiff.exercise).reference
            home = reference.__module__.replace(".", "/") + ".py"
            written = [node for node in ast.parse(cell.source).body if getattr(node, "name", "") == reference.__name__]
            there = [node for module, node in known.get(reference.__name__, ()) if module == home]
            if not (written and there and same_code(written[0], there[0])):
                yield f"{cell.metadata.minidiff.exercise}: the solution is not the code of {home}"


def nothing_is_an_orphan(notebook, known, root=ROOT):
    """Files and names of the package that prose cites exist; what prose says lives in a file is defined there."""
    own = {node.name for _, node in definitions(notebook, drafts=True)}
    for paragraph in (p for cell in prose_cells(notebook) for p in cell.source.split("\n\n")):
        files = FILE.findall(paragraph)
        yield from (f"prose cites {file}, which does not exist" for file in files if not (root / file).exists())
        yield from (f"prose cites {name}, which does not exist" for name in DOTTED.findall(paragraph)
                    if not _exists(name, known, root))
        for name in re.findall(r"`(\w+)`", paragraph) if files else ():
            if name in own and not {module for module, _ in known.get(name, ())} & set(files):
                yield f"prose says that {name} is in {' or '.join(files)}, and it is not"


def _exists(name, known, root):
    path = root.joinpath(*name.split("."))
    if path.is_dir() or path.with_suffix(".py").exists():
        return True
    module, _, attribute = name.rpartition(".")
    file = module.replace(".", "/") + ".py"
    if any(home == file for home, _ in known.get(attribute, ())):
        return True
    return (root / file).exists() and re.search(rf"^{attribute}\b.*=", (root / file).read_text(), re.MULTILINE)


def _bare(node):
    node = ast.parse(ast.unparse(node)).body[0]
    for part in ast.walk(node):
        if isinstance(part, DEFINITION) and ast.get_docstring(part) is not None:
            part.body = part.body[1:] or [ast.Pass()]
    return node
