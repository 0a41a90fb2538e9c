"""The course for nbgrader: what it would release is what we release, and it gives the marks that we give.

The tests of the last part run nbgrader itself, and are skipped where it is not installed (`make classroom`).
"""

import ast
import csv
import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from minidiff.exercises.core import exercises
from minidiff.grading import nbgrader, run
from minidiff.grading.__main__ import main
from minidiff.grading.build import read
from minidiff.grading.mark import ROOT, GradingError, notebooks
from minidiff.grading.submissions import collect
from tests import mutants
from tests.course.handed_in import WRONG, chapter, solved, three

SEED = 5
STEM = notebooks()["ch01"]
COMMANDS = [["generate_assignment", STEM], ["autograde", STEM], ["generate_feedback", STEM], ["export"]]


def source(name):
    """nbgrader's source notebook of 'ch01'."""
    return nbgrader.source(read(ROOT / "solutions" / f"{notebooks()[name]}.ipynb"), SEED)


def released(cell):
    """What nbgrader leaves of a cell with this course's settings: its solutions and hidden tests cut out."""
    if "manual" in cell.metadata.get("tags", []):
        return "*Write your answer here.*"
    without = re.sub(r"### BEGIN HIDDEN TESTS\n.*?### END HIDDEN TESTS\n?", "", cell.source, flags=re.S)
    return re.sub(r"# BEGIN SOLUTION\n.*?# END SOLUTION", "# YOUR CODE HERE", without, flags=re.S).rstrip("\n")


@pytest.mark.parametrize("name", notebooks())
def test_what_is_left_when_nbgrader_has_cut_is_the_chapter(name):
    assert [released(c) for c in source(name).cells] == [c.source for c in chapter(name).cells]


@pytest.mark.parametrize("name", notebooks())
def test_the_cells_say_what_nbgrader_has_to_do_with_them(name):
    cells = [c for c in source(name).cells if "nbgrader" in c.metadata]
    kinds = [(c.metadata.nbgrader.solution, c.metadata.nbgrader.grade, c.metadata.nbgrader.locked) for c in cells]
    tests = [c for c, kind in zip(cells, kinds) if kind == (False, True, True)]
    assert kinds.count((True, False, False)) == len(tests) == len(exercises(name))
    assert sum(c.metadata.nbgrader.points for c in tests) == sum(e.points for e in exercises(name).values())
    assert len({c.metadata.nbgrader.grade_id for c in cells}) == len(cells)
    assert all(re.fullmatch(r"[\w-]+", c.metadata.nbgrader.grade_id) for c in cells)


def test_a_solution_that_does_not_end_its_function_is_refused():
    answer = "def f(x):\n    # BEGIN SOLUTION\n    y = x\n    # END SOLUTION\n    return y"
    with pytest.raises(GradingError, match="^ch01.f: its solution does not end its function"):
        nbgrader.with_stub(answer, "ch01.f")


@pytest.mark.parametrize("body", ["return x", "yield x", "x.append(1)", "if x:\n        return 1"])
def test_what_stands_after_a_solution_is_never_reached(body):
    answer = f"def f(x):\n    # BEGIN SOLUTION\n    {body}\n    # END SOLUTION"
    names = {}
    exec(nbgrader.with_stub(answer, "ch01.f"), names)
    for x in ([], [1]):
        list(names["f"](x) or ()) if "yield" in body else names["f"](x)


def in_kernel(name, answers):
    """{exercise: points} as a source notebook gives them, run here: answers, check cells, and what others define."""
    names, points = {"__name__": "__main__"}, {}
    for cell in (c for c in source(name).cells if c.cell_type == "code"):
        tags = cell.metadata.get("tags", [])
        try:
            code = ast.parse(answers[cell.metadata.minidiff.exercise] if "exercise" in tags else cell.source)
        except SyntaxError:
            continue
        if not {"exercise", "check", "setup"} & set(tags):
            code.body = [s for s in code.body if isinstance(s, (ast.Import, ast.ImportFrom, ast.FunctionDef))]
        exec(compile(code, "<cell>", "exec"), names)
        if "check" in tags:
            points[cell.source.split('"')[3]] = names["nbgrader_points"]
    return points


def test_the_hidden_tests_give_the_points_of_our_own_grader(tmp_path, capsys):
    three(chapter("ch01"), lambda name: tmp_path / name / f"{STEM}.ipynb")
    sheets, _ = run.grade(collect(tmp_path, notebooks())[0], SEED)
    stubs = {c.metadata.minidiff.exercise: c.source for c in chapter("ch01").cells
             if "exercise" in c.metadata.get("tags", [])}
    for sheet in sheets:
        answers = {"right": solved("ch01"), "partly": solved("ch01") | WRONG, "untouched": stubs}[sheet.student]
        ours = {mark.id: mark.points for mark in sheet.marks if mark.state != "to be read"}
        assert in_kernel("ch01", answers) == ours, sheet.student
        said = capsys.readouterr().out
        assert [id for id, points in ours.items() if f"{id}: {points:g} of " not in said] == []


@pytest.mark.parametrize("id", [id for name in notebooks() for id in exercises(name)])
def test_points_are_full_for_right_answers_and_less_for_wrong_ones(id, capsys):
    full = exercises(id.split(".")[0])[id].points
    right, wrong = (next(iter(answers(id).values())) for answers in (mutants.alternatives, mutants.mutants))
    assert nbgrader.earned(id, right, SEED) == full > nbgrader.earned(id, wrong, SEED) >= 0
    said = capsys.readouterr()
    assert said.out.startswith(f"{id}: {full} of {full} points\n{id}: ") and said.err == ""


@pytest.mark.parametrize("fn", [None, 3, exercises("ch01")["ch01.snr"].reference])
def test_no_answer_earns_nothing(fn, capsys):
    assert nbgrader.earned("ch01.snr", fn, SEED) == 0
    assert capsys.readouterr().out == "ch01.snr: 0 of 1 points\n"


def test_a_miss_that_the_check_cell_does_not_see_is_told(capsys):
    reference = exercises("ch01")["ch01.snr"].reference
    calls = []

    def right_at_first(alpha_bar):
        calls.append(1)
        return reference(alpha_bar) if len(calls) > len(exercises("ch01")["ch01.snr"].cases) else alpha_bar
    assert nbgrader.earned("ch01.snr", right_at_first, SEED) < 1
    assert "  MISS is the power of the picture over the power of the noise\n         " in capsys.readouterr().out


def test_the_readme_says_what_to_run_and_names_the_seed():
    readme = nbgrader.course(["ch01"], SEED, Path("out/course"))["README.md"]
    blocks = "".join(re.findall(r"```\n(.*?)```", readme, re.S)).splitlines()
    assert [line.split()[1:] for line in blocks if line.startswith("nbgrader ")] == COMMANDS
    assert f"run out/course/submitted -o out/marks --seed {SEED}\n" in readme and "$" not in readme
    cells = [c.metadata.nbgrader for c in source("ch01").cells if "nbgrader" in c.metadata]
    assert f"nbgrader's is {sum(cell.get('points', 0) for cell in cells)}, with" in readme


# --- with nbgrader itself -------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A course folder in which nbgrader has graded a right, a partly right and an untouched notebook."""
    pytest.importorskip("nbgrader")
    folder = tmp_path_factory.mktemp("nbgrader") / "course"
    assert main(["export", "nbgrader", str(folder), "--chapter", "01", "--seed", str(SEED)]) == 0
    nbgrader_command(folder, *COMMANDS[0])
    release = read(folder / "release" / STEM / f"{STEM}.ipynb")
    three(release, lambda name: folder / "submitted" / name / STEM / f"{STEM}.ipynb")
    for words in COMMANDS[1:]:
        nbgrader_command(folder, *words)
    return folder


def nbgrader_command(folder, *words):
    path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]])  # nbgrader calls alembic by its name
    environment = {**os.environ, "PATH": path, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run([sys.executable, "-m", "nbgrader", *words], cwd=folder, env=environment, text=True,
                          capture_output=True, timeout=900)
    assert done.returncode == 0, done.stderr[-3000:]


def test_nbgrader_releases_the_chapter(course):
    release = read(course / "release" / STEM / f"{STEM}.ipynb")
    assert [c.source for c in release.cells] == [c.source for c in chapter("ch01").cells]


def test_nbgrader_gives_the_marks_of_our_own_grader(course):
    from nbgrader.api import Gradebook
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as book:
        theirs = {submission.student.id: {grade.name: grade.auto_score for notebook in submission.notebooks
                                          for grade in notebook.grades if grade.name.endswith("-check")}
                  for submission in book.assignment_submissions(STEM)}
    sheets, _ = run.grade(collect(course / "submitted", notebooks())[0], SEED)
    assert theirs == {sheet.student: {f"{mark.id.replace('.', '-')}-check": mark.points for mark in sheet.marks
                                      if mark.state != "to be read"} for sheet in sheets}
    assert 0 < sum(theirs["partly"].values()) < sum(theirs["right"].values())


def test_nbgrader_writes_feedback_and_a_table(course):
    feedback = (course / "feedback" / "partly" / STEM / f"{STEM}.html").read_text(encoding="utf-8")
    assert re.search(r"ch01\.q_sample: [012]\.\d+ of 3 points", feedback)
    with open(course / "grades.csv", encoding="utf-8", newline="") as stream:
        scores = {row["student_id"]: float(row["score"]) for row in csv.DictReader(stream)}
    assert scores["right"] > scores["partly"] > scores["untouched"] == 0
