"""`python -m minidiff.grading selftest`: does the grader give every known answer the mark that it must get?"""

import ast
import inspect
import json
import re
import sys
import tempfile
import textwrap
from functools import cache, partial
from pathlib import Path

from nbformat.v4 import new_code_cell, new_notebook

from minidiff.exercises.core import exercises
from minidiff.grading import answers
from minidiff.grading.mark import ROOT, GradingError, Marker, notebooks
from minidiff.grading.notebook import BEGIN, END
from minidiff.grading.run import solution
from minidiff.grading.submissions import Submission

SEEDS = (0, 1, 2)
REGISTERS = ("@mutant", "@alternative")  # what tests/mutants writes above an answer


def add_command(commands):
    """Add `selftest` to the subcommands of `python -m minidiff.grading`."""
    parser = commands.add_parser("selftest", help="grade all known right and wrong answers", description=(
        "Grades, under 3 seeds and with the hidden cases, the solutions, the untouched chapters, and all wrong and "
        "right answers in tests/mutants; exit 1 if one mark is not what it must be, or a message tells a line of a "
        "solution. It takes some minutes a chapter."))
    parser.add_argument("chapters", nargs="*", metavar="NN", help="such as 01 (default: all)")
    parser.set_defaults(command=command)


def command(args):
    """Run `selftest`. Returns the exit status; raises GradingError."""
    asked = [f"ch{n.zfill(2)}" for n in args.chapters] or list(notebooks())
    unknown = [c for c in asked if c not in notebooks()]
    if unknown:
        raise GradingError(f"no chapter {unknown[0][2:]}; there are {', '.join(c[2:] for c in notebooks())}")
    wrong, count = [], 0
    for chapter in asked:
        for seed in SEEDS:
            for says, right in surprises(chapter, seed):
                count += 1
                if not right:
                    wrong.append(f"{chapter}, seed {seed}: {says}")
    print("\n".join(wrong + [f"{count} marks, {len(wrong)} of them wrong"]))
    return 1 if wrong else 0


def surprises(chapter, seed):
    """Grade everything known about a chapter; yields (what, is its mark the right one?)."""
    sys.path.insert(0, str(ROOT))
    from tests import mutants
    untouched = Submission("untouched", chapter, ROOT / "chapters" / solution(chapter).path.name)
    secret = solution_lines(chapter)
    with Marker(chapter, seed) as marker:
        for mark in marker.sheet(solution(chapter)).marks:
            if mark.state != "to be read":
                yield f"the solution of {mark.id} is {mark.state}: {mark.note}", mark.state == "passed"
        for mark in marker.sheet(untouched).marks:
            if mark.state != "to be read":
                yield f"the stub of {mark.id} is {mark.state}", (mark.state, mark.points) == ("not started", 0)
        for id in exercises(chapter):
            for name, fn in mutants.mutants(id).items():
                mark = grade_object(marker, id, fn)
                yield f"{id}, the wrong answer {name}: {mark.state}", (
                    mark.state == "not passed" and mark.points < mark.of)
                yield f"{id}, the wrong answer {name} is told a line of the solution", not tells(mark, secret)
            for name, fn in mutants.alternatives(id).items():
                mark = grade_object(marker, id, fn)
                yield f"{id}, the right answer {name}: {mark.state}, {mark.note}", mark.state == "passed"


def solution_lines(chapter):
    """The lines of a chapter's solutions that are long enough to be recognised."""
    cells = [c for c in answers.read(solution(chapter).path) if c.kind == "code" and c.exercise]
    inside = [part.split(END)[0] for cell in cells for part in cell.source.split(BEGIN)[1:]]
    return {line.strip() for part in inside for line in part.splitlines() if len(line.strip()) > 25}


def tells(mark, lines):
    """Whether a mark says one of these lines."""
    said = "\n".join([mark.note, *(f"{c.says}\n{c.miss}\n{c.hint}" for c in mark.cases)])
    return any(line in said for line in lines)


def grade_object(marker, id, fn):
    """The mark of a function or class of a Python module, as if its module were the notebook."""
    helpers, answer = as_cells(id, fn)
    cells = [*map(new_code_cell, helpers), new_code_cell(answer, metadata={"minidiff": {"exercise": id}})]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "notebook.ipynb")
        path.write_text(json.dumps(new_notebook(cells=cells)), encoding="utf-8")
        mark, = marker.sheet(Submission("known", marker.chapter, path), only=[id]).marks
    return mark


def as_cells(id, fn):
    """(sources of cells, source of the answer's cell) of a notebook that answers an exercise by `fn`, of any name.

    An answer that builds on minidiff's own, which is kept back, gets a copy of it under another name.
    """
    name, source = id.split(".")[1], textwrap.dedent(inspect.getsource(fn)).splitlines()
    start = next(i for i, line in enumerate(source) if line.startswith(("def ", "class ")))
    answer = "\n".join([*(line for line in source[:start] if not line.startswith(REGISTERS)), *source[start:]])
    helpers = _helpers(_file(fn))
    if any(_imports(name, helper) for helper in helpers):
        own = _helpers(_file(exercises(id.split(".")[0])[id].reference))
        rename = partial(re.sub, rf"\b{name}\b", f"minidiff_{name}")
        helpers = tuple(map(rename, (*own, *(_without(name, helper) for helper in helpers))))
        answer = rename(answer)
    return helpers, f"{answer}\n{name} = {fn.__name__}"


def _file(thing):
    return inspect.getsourcefile(inspect.unwrap(thing))


def _imports(name, source):
    statement = ast.parse(source).body[0]
    return isinstance(statement, ast.ImportFrom) and name in {a.asname or a.name for a in statement.names}


def _without(name, source):
    """An import without one of its names; any other source as it is."""
    if not _imports(name, source):
        return source
    statement = ast.parse(source).body[0]
    statement.names = [alias for alias in statement.names if alias.name != name]
    return ast.unparse(statement) if statement.names else ""


@cache
def _helpers(file):
    """The top-level statements of a module, a cell each, without what tests/mutants registers."""
    source = Path(file).read_text(encoding="utf-8")
    return tuple(ast.get_source_segment(source, s) for s in ast.parse(source).body
                 if getattr(s, "module", "") != "tests.mutants"
                 and not any(f"@{ast.unparse(d)}".startswith(REGISTERS) for d in getattr(s, "decorator_list", ())))
