"""Two lists that the course keeps: its numbered equations with their proofs, and its notation."""

import ast
import re

from minidiff.grading.build import ROOT
from tests.course.rules import prose_cells

HEADER = ["symbol", "code", "shape", "range", "counts from"]


def tags(notebook):
    """The numbers of the equations of a notebook, \\tag{1.4}, in order."""
    return [tag for cell in prose_cells(notebook) for tag in re.findall(r"\\tag\{([^}]*)\}", cell.source)]


def proofs(root=ROOT):
    """[(number, file, test)] for each pytest.mark.equation("1.4") on a test under tests/chNN/."""
    found = []
    for file in sorted((root / "tests").glob("ch*/*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                for mark in node.decorator_list:
                    found += [(number, file, node) for number in _numbers(mark)]
    return found


def can_fail(test):
    """True if a test asserts something, itself or through a function that says so in its name."""
    calls = (ast.unparse(node.func) for node in ast.walk(test) if isinstance(node, ast.Call))
    return any(isinstance(node, ast.Assert) for node in ast.walk(test)) or any(
        re.search(r"assert|raises", call) for call in calls)


def equation_problems(tagged, proved):
    """Equations without proof, proofs without equation, and numbers used twice.

    tagged: {chapter: [numbers]}, "01": ["1.1", ...]; proved: as from `proofs`.
    """
    everything = [number for numbers in tagged.values() for number in numbers]
    numbers = {number for number, _, _ in proved}
    yield from (f"equation {n} has no test" for n in sorted(set(everything) - numbers))
    yield from (f"a test proves equation {n}, which no chapter has" for n in sorted(numbers - set(everything)))
    yield from (f"two equations have the number {n}" for n in sorted(_twice(everything)))
    yield from (f"equation {n} stands in chapter {chapter}" for chapter, ns in tagged.items() for n in ns
                if not re.fullmatch(rf"{int(chapter)}\.\d+[a-z]?", n))
    yield from (f"{test.name} asserts nothing about equation {n}" for n, _, test in proved if not can_fail(test))


def notation(text):
    """The rows of the notation table of chapters/README.md as dicts. Raises ValueError if there is no such table."""
    text = text.replace(r"\|", "∣")
    lines = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in text.splitlines()]
    if HEADER not in lines:
        raise ValueError(f"no table with the header | {' | '.join(HEADER)} |")
    rows = []
    for line in lines[lines.index(HEADER) + 2:]:
        if line == [""]:
            break
        rows.append(line)
    return rows


def notation_problems(rows, names):
    """Rows that lack a cell, symbols that stand twice, and code names that the package does not use."""
    for row in rows:
        if len(row) != len(HEADER) or not all(row):
            yield f"a row of the notation lacks a cell: {row}"
        else:
            codes = re.findall(r"`(\w+)[^`]*`", row[1])
            if not codes:
                yield f"{row[0]}: no code name in `backticks`"
            yield from (f"{row[0]}: the package has no name {code}" for code in codes if code not in names)
    yield from (f"{symbol} stands twice in the notation" for symbol in sorted(_twice([row[0] for row in rows])))


def names_in_package(root=ROOT):
    """Every identifier that the package uses: variables, arguments, attributes, definitions."""
    found = set()
    for file in (root / "minidiff").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            found |= {getattr(node, field) for field in ("id", "arg", "attr", "name")
                      if isinstance(getattr(node, field, None), str)}
    return found


def _twice(items):
    return {item for item in items if items.count(item) > 1}


def _numbers(mark):
    if isinstance(mark, ast.Call) and ast.unparse(mark.func).endswith("mark.equation"):
        return [arg.value for arg in mark.args if isinstance(arg, ast.Constant)]
    return []
