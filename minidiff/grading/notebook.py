"""The shape of a chapter's notebook, and how the learner's copy is cut from its source. Pure functions: no files."""

import ast
import copy
import hashlib
import re
import textwrap

import nbformat

BEGIN, END = "# BEGIN SOLUTION", "# END SOLUTION"
WRITE_HERE = "*Write your answer here.*"
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python", "pygments_lexer": "ipython3"},
}
CHECK = re.compile(r'(\w+) = answer\("([\w.]+)",\s+(\w+)\)')


class BuildError(Exception):
    """A notebook that breaks a rule of the course, in one sentence that names the file and the cell."""


def tags(cell):
    """The tags of a cell."""
    return cell.metadata.get("tags", [])


def exercise_of(cell):
    """The id of the exercise that a cell belongs to, or ''."""
    return cell.metadata.get("minidiff", {}).get("exercise", "")


def normalised(notebook, number, find):
    """A notebook of the course in its one form: ids from a hash, kernel python3, nbgrader's metadata, no empty cell.

    number: '01'; find: id -> Exercise or None. Outputs stay. Raises BuildError for a cell that breaks a rule.
    """
    cells, seen = [], {}
    for cell in notebook.cells:
        if not cell.source.strip():
            continue
        source = cell.source.rstrip()
        nth = seen[source] = seen.get(source, 0) + 1
        kept = {key: cell.metadata[key] for key in ("tags", "minidiff") if cell.metadata.get(key)}
        new = nbformat.from_dict({**cell, "source": source, "metadata": kept})
        new["id"] = hashlib.sha256(f"{number}/{cell.cell_type}/{nth}/{source}".encode()).hexdigest()[:12]
        cells.append(new)
    _check_exercises(cells, number, find)
    for cell in cells:
        _add_nbgrader(cell, find)
    return nbformat.from_dict({"cells": cells, "metadata": METADATA, "nbformat": 4, "nbformat_minor": 5})


def derived(solution):
    """The learner's notebook: solutions cut out, written answers emptied, no outputs. Raises BuildError."""
    chapter, cut = copy.deepcopy(solution), set()
    for number, cell in enumerate(chapter.cells, start=1):
        if cell.cell_type == "code":
            cell.update(outputs=[], execution_count=None)
        if "manual" in tags(cell):
            cell.source = WRITE_HERE
        else:
            cell.source, lines = _without_solution(cell, number)
            cut |= lines
    for number, cell in enumerate(chapter.cells, start=1):
        left = "SOLUTION" if "SOLUTION" in cell.source else next(
            (line for line in map(str.strip, cell.source.splitlines()) if cell.cell_type == "code" and line in cut), "")
        if left:
            raise BuildError(f"cell {number}: a line of a solution is left in the chapter: {left!r}")
    return chapter


def sources(notebook):
    """All of a notebook that its author decides: metadata and cells without outputs and execution counts."""
    return notebook.metadata, [(c.cell_type, c.get("id"), c.metadata, c.source) for c in notebook.cells]


def _without_solution(cell, number):
    """The source with each solution replaced by its stub, and the lines cut out that would give it away."""
    kept, cut, indent = [], set(), None
    for line in cell.source.splitlines():
        text = line.strip()
        if text == BEGIN:
            if indent is not None or "exercise" not in tags(cell):
                where = "a second one before the first ends" if indent is not None else "the cell has no tag 'exercise'"
                raise BuildError(f"cell {number}: unexpected {BEGIN!r}: {where}")
            indent = line[:len(line) - len(line.lstrip())]
            if not indent:
                raise BuildError(f"cell {number}: {BEGIN!r} must stand inside a function, so that the stub runs")
            kept += [f"{indent}# YOUR CODE HERE", f'{indent}raise NotImplementedError("{exercise_of(cell)}")']
        elif text == END:
            if indent is None:
                raise BuildError(f"cell {number}: {END!r} without {BEGIN!r}")
            indent = None
        elif indent is None:
            kept.append(line)
        elif len(text) >= 20 and not text.startswith("#"):
            cut.add(text)
    if indent is not None:
        raise BuildError(f"cell {number}: {BEGIN!r} without {END!r}")
    if "exercise" in tags(cell) and len(kept) == len(cell.source.splitlines()):
        raise BuildError(f"cell {number}: {exercise_of(cell)} has no {BEGIN!r} ... {END!r}")
    return "\n".join(kept), cut - {line.strip() for line in kept}


def _check_exercises(cells, number, find):
    """Every exercise is registered, stands once, defines its name, and is followed by its check cell."""
    waiting = None
    ids = set()
    for n, cell in enumerate(cells, start=1):
        marks = [t for t in ("exercise", "check", "manual") if t in tags(cell)]
        id = exercise_of(cell)
        if len(marks) > 1:
            raise BuildError(f"cell {n}: the tags {' and '.join(marks)} exclude each other")
        if bool(id) != bool(marks and marks[0] != "check"):
            raise BuildError(f"cell {n}: the tag 'exercise' or 'manual' and the metadata minidiff.exercise go together")
        if id:
            if id in ids:
                raise BuildError(f"cell {n}: a second exercise {id}")
            if not re.fullmatch(rf"ch{number}\.\w+", id):
                raise BuildError(f"cell {n}: the exercise {id!r} must be called ch{number}.name")
            ids.add(id)
        if marks == ["manual"] and (cell.cell_type != "markdown" or not _points(cell)):
            raise BuildError(f"cell {n}: a written answer stands in a markdown cell and has minidiff.points")
        if marks == ["exercise"]:
            if waiting:
                raise BuildError(f"cell {n}: the exercise {waiting} before it has no check cell")
            _check_answer(cell, n, id, find)
            waiting = id
        elif marks == ["check"]:
            match = CHECK.fullmatch(cell.source)
            if not match or match[2] != waiting or {match[1], match[3]} != {waiting.split(".")[1]}:
                raise BuildError(f"cell {n}: a check cell of an exercise before it, name = answer(\"id\", name), "
                                 f"expected; got {textwrap.shorten(cell.source, 60)!r}")
            waiting = None
    if waiting:
        raise BuildError(f"the exercise {waiting} has no check cell")


def _check_answer(cell, n, id, find):
    exercise = find(id)
    if exercise is None or not exercise.cases:
        raise BuildError(f"cell {n}: the exercise {id} has no registered checks")
    try:
        defined = [d.name for d in ast.parse(cell.source).body if isinstance(d, (ast.FunctionDef, ast.ClassDef))]
    except SyntaxError as error:
        raise BuildError(f"cell {n}: {error.msg} in line {error.lineno}") from None
    if id.split(".")[1] not in defined:
        raise BuildError(f"cell {n}: the exercise {id} must define {id.split('.')[1]}")
    if _points(cell) not in (None, exercise.points):
        raise BuildError(f"cell {n}: {id} has {_points(cell)} points here and {exercise.points} in its checks")


def _points(cell):
    return cell.metadata.get("minidiff", {}).get("points")


def _add_nbgrader(cell, find):
    """Schema 3 of nbgrader, so that its stock commands run on the same files."""
    base = {"schema_version": 3, "solution": False, "grade": False, "locked": False, "task": False}
    id = exercise_of(cell)
    if "exercise" in tags(cell):
        extra = {"solution": True, "grade_id": _grade_id(id)}
    elif "manual" in tags(cell):
        extra = {"solution": True, "grade": True, "points": _points(cell), "grade_id": _grade_id(id)}
    elif "check" in tags(cell):
        id = CHECK.fullmatch(cell.source)[2]
        extra = {"grade": True, "locked": True, "points": find(id).points, "grade_id": f"{_grade_id(id)}-check"}
    else:
        return
    cell.metadata["nbgrader"] = base | extra


def _grade_id(id):
    return id.replace(".", "-")
