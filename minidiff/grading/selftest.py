"""`python -m minidiff.grading selftest`: does the grader give every known answer the mark that it must get?"""

import ast
import inspect
import sys
import textwrap
from functools import cache
from pathlib import Path

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
    return marker.mark(_parsed(helpers) + answers.parsed([answers.Cell("code", answer, id)]), id)


def as_cells(id, fn):
    """(sources of cells, source of the answer's cell) of a notebook that answers an exercise by `fn`, of any name."""
    own = textwrap.dedent(inspect.getsource(fn)).splitlines()
    start = next(i for i, line in enumerate(own) if line.startswith(("def ", "class ")))
    kept = [line for line in own[:start] if not line.startswith(REGISTERS)]
    return _helpers(inspect.getsourcefile(fn)), "\n".join([*kept, *own[start:], f"{id.split('.')[1]} = {fn.__name__}"])


@cache
def _helpers(file):
    """The top-level statements of a module, a cell each, without what tests/mutants registers."""
    source = Path(file).read_text(encoding="utf-8")
    return tuple(ast.get_source_segment(source, s) for s in ast.parse(source).body
                 if getattr(s, "module", "") != "tests.mutants"
                 and not any(f"@{ast.unparse(d)}".startswith(REGISTERS) for d in getattr(s, "decorator_list", ())))


@cache
def _parsed(sources):
    return answers.parsed([answers.Cell("code", source) for source in sources])
