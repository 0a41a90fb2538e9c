"""Two lists that the course keeps: its numbered equations with their proofs, and its notation."""

import ast
import re

from minidiff.grading.build import ROOT
from tests.course.rules import prose_cells

HEADER = ["symbol", "code", "shape", "range", "counts from"]
GLOSSARY = ["in papers", "here", "first in", "from"]


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


def notation(text, header=HEADER):
    """The rows of a table of chapters/README.md, the notation if no other is asked for. ValueError if there is none."""
    text = text.replace(r"\|", "∣")
    lines = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in text.splitlines()]
    if header not in lines:
        raise ValueError(f"no table with the header | {' | '.join(header)} |")
    rows = []
    for line in lines[lines.index(header) + 2:]:
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


def glossary_problems(rows, prose):
    """Terms that do not first come up where the glossary says so, and sources without a year.

    rows: of the table GLOSSARY; prose: {chapter: all its prose but the references}, in the order of the chapters.
    """
    for row in rows:
        if len(row) != len(GLOSSARY) or not all(row):
            yield f"a row of the glossary lacks a cell: {row}"
            continue
        for term in row[0].split(", "):
            either = rf"\b[{term[0].lower()}{term[0].upper()}]{re.escape(term[1:])}"  # at the start of a sentence too
            found = [chapter for chapter, text in prose.items() if re.search(either, text)]
            if found[:1] != [row[2]]:
                yield f"{term} first comes up in chapter {(found or ['none'])[0]}, not in {row[2]}"
        if row[3] != "-" and not re.search(r"\b(?:19|20)\d\d\b", row[3]):
            yield f"{row[0]}: the source {row[3]} has no year"
    yield from (f"{term} stands twice in the glossary" for term in sorted(_twice([row[0] for row in rows])))


def prose_of(notebook):
    """The prose of a chapter without its references, dollars and emphasis."""
    cells = [cell.source for cell in prose_cells(notebook) if not cell.source.startswith("## References")]
    return re.sub(r"[$*]", "", "\n".join(cells))


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
