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
from minidiff.grading.submissions import Submission

SEEDS = (0, 1, 2)


def add_command(commands):
    """Add `selftest` to the subcommands of `python -m minidiff.grading`."""
    parser = commands.add_parser("selftest", help="grade all known right and wrong answers", description=(
        "Grades, under 3 seeds, the solutions, the untouched chapters, and all wrong and right answers in "
        "tests/mutants; exit 1 if one mark is not what it must be."))
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
    stem = f"{notebooks()[chapter]}.ipynb"
    with Marker(chapter, seed) as marker:
        for mark in marker.sheet(Submission("solution", chapter, ROOT / "solutions" / stem)).marks:
            if mark.state != "to be read":
                yield f"the solution of {mark.id} is {mark.state}: {mark.note}", mark.state == "passed"
        for mark in marker.sheet(Submission("untouched", chapter, ROOT / "chapters" / stem)).marks:
            if mark.state != "to be read":
                yield f"the stub of {mark.id} is {mark.state}", (mark.state, mark.points) == ("not started", 0)
        for id in exercises(chapter):
            for name, fn in mutants.mutants(id).items():
                mark = grade_object(marker, id, fn)
                yield f"{id}, the wrong answer {name}: {mark.state}", (
                    mark.state == "not passed" and mark.points < mark.of)
            for name, fn in mutants.alternatives(id).items():
                mark = grade_object(marker, id, fn)
                yield f"{id}, the right answer {name}: {mark.state}, {mark.note}", mark.state == "passed"


def grade_object(marker, id, fn):
    """The mark of a function or class of a Python module, as if its module were the notebook."""
    name = id.split(".")[1]
    own = textwrap.dedent(inspect.getsource(fn)).splitlines()
    start = next(i for i, line in enumerate(own) if line.startswith(("def ", "class ")))
    kept = [line for line in own[:start] if not line.startswith(("@mutant", "@alternative"))]
    answer = "\n".join([*kept, *own[start:], f"{name} = {fn.__name__}"])
    return marker.mark(_cells(inspect.getsourcefile(fn)) + answers.parsed([answers.Cell("code", answer, id)]), id)


@cache
def _cells(file):
    """The top-level statements of a module, a cell each, without what tests/mutants registers."""
    source = Path(file).read_text(encoding="utf-8")
    kept = [s for s in ast.parse(source).body
            if not any("mutant" in ast.dump(d) or "alternative" in ast.dump(d)
                       for d in getattr(s, "decorator_list", ())) and getattr(s, "module", "") != "tests.mutants"]
    return answers.parsed([answers.Cell("code", ast.get_source_segment(source, s)) for s in kept])
