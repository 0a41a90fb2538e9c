"""Marks for one notebook: what it answers, what its answers give, and what a right answer would have given."""

import importlib.util
import os
import threading
import tomllib
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import matplotlib
import nbformat

import minidiff
from minidiff.exercises.core import Case, chapters, exercises
from minidiff.exercises.judge import RAISED, expected_of, impurity, inputs_of, summary, verdict
from minidiff.grading.notebook import WRITE_HERE, exercise_of, tags
from minidiff.grading.nursery import Limits, Notebook, Nursery
from minidiff.grading.submissions import readable
from minidiff.grading.talk import Reading

PACKAGE = Path(minidiff.__file__).resolve().parent
ROOT = PACKAGE.parent
JUDGING = threading.Lock()  # what is right is computed under fixed global random states: by one thread at a time


class GradingError(Exception):
    """Wrong use of the grader, in one sentence."""


@dataclass(frozen=True)
class Mark:
    """What one exercise earned. state: passed, not passed, not started, missing or to be read (text has the answer)."""
    id: str
    state: str
    points: float
    of: int
    note: str = ""
    cases: tuple = ()
    text: str = ""
    digest: str = ""


@dataclass(frozen=True)
class Sheet:
    """The marks of one notebook; problem: why the file could not be read, or ''."""
    student: str
    chapter: str
    file: str
    marks: tuple
    problem: str = ""

    @property
    def points(self):
        return sum(mark.points for mark in self.marks)

    @property
    def of(self):
        return sum(mark.of for mark in self.marks if mark.state != "to be read")

    @property
    def state(self):
        states = {mark.state for mark in self.marks if mark.state != "to be read"}
        if self.problem:
            return "unreadable"
        if states <= {"not started", "missing"}:
            return "not started"
        return "passed" if states == {"passed"} else "not passed"


@cache
def manifest():
    """course.toml as a dict."""
    return tomllib.loads((ROOT / "course.toml").read_text(encoding="utf-8"))


def notebooks():
    """The chapters that can be graded: {'ch01': '01_adding_noise'}."""
    written = {f"ch{number}": table["notebook"] for number, table in manifest().items() if "notebook" in table}
    return {chapter: written[chapter] for chapter in chapters() if chapter in written}


def load_hidden(chapter, folder=None):
    """The hidden cases of a chapter, ({id: cases}, the files they come from). Raises GradingError.

    folder: a teacher's own, in place of those of the course; its files are called chNN.py or chNN_name.py.
    """
    cases, files = {}, hidden_files(folder, chapter)
    for file in files:
        spec = importlib.util.spec_from_file_location(f"hidden_{file.stem}", file)
        module = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
            found = {id: tuple(some) for id, some in module.HIDDEN.items()}
            if not all(isinstance(case, Case) for some in found.values() for case in some):
                raise TypeError("HIDDEN must hold tuples of Case")
        except Exception as error:
            raise GradingError(f"{file}: no hidden cases can be read ({type(error).__name__}: {error})") from None
        unknown = sorted(set(found) - set(exercises(chapter)))
        if unknown:
            raise GradingError(f"{file}: there is no exercise {unknown[0]!r} in chapter {chapter}")
        cases |= {id: cases.get(id, ()) + some for id, some in found.items()}
    return cases, [str(file) for file in files]


def hidden_files(folder=None, chapter="ch[0-9][0-9]"):
    """The files of hidden cases in a folder (default: those of the course)."""
    folder = Path(folder or PACKAGE / "exercises" / "hidden").resolve()
    return sorted([*folder.glob(f"{chapter}.py"), *folder.glob(f"{chapter}_*.py")])


class Marker:
    """Marks the notebooks of one chapter under one seed. A context manager, as its Nursery is.

    user: (user id, group id) under which answers run, where the grader runs as root; None: those of the grader.
    """

    def __init__(self, chapter, seed, limits=Limits(), hidden=None, hide=(), fork=None, user=None):
        cases, files = load_hidden(chapter, hidden)
        self.chapter, self.seed = chapter, seed
        self.public = {id: len(e.cases) for id, e in exercises(chapter).items()}
        self.exercises = {id: replace(e, cases=e.cases + cases.get(id, ())) for id, e in exercises(chapter).items()}
        self.inputs = {id: [inputs_of(e, i, seed) for i in range(len(e.cases))] for id, e in self.exercises.items()}
        with JUDGING:
            self.expected = {id: [expected_of(e, i, x) for i, x in enumerate(self.inputs[id])]
                             for id, e in self.exercises.items()}
        cells = read_own(chapter).cells
        references = {id: [e.reference.__module__, e.reference.__name__] for id, e in self.exercises.items()}
        away = [PACKAGE, *(ROOT / name for name in (".git", "solutions", "tests")), *map(Path, hide),
                *([Path(hidden)] if hidden else [])]
        data = [ROOT / "checkpoints", ROOT / "datasets", ROOT / "benchmarks", matplotlib.get_cachedir(),
                os.environ.get("MINIDIFF_DATA", "")]
        config = {"chapter": chapter, "modules": loaded_by(chapter), "hidden": files, "references": references,
                  "setup": next(c.source for c in cells if "setup" in tags(c)),
                  "lesson": [_lesson_cell(c) for c in cells if c.cell_type == "code"],
                  "written": [id for id, _ in manual(chapter)], "user": list(user) if user else None,
                  "hide": [str(f.resolve()) for f in away if f.is_dir()], "course": [str(d) for d in data if d]}
        self.nursery = Nursery(config, limits) if fork is None else Nursery(config, limits, fork=fork)

    def __enter__(self):
        self.nursery.__enter__()
        return self

    def __exit__(self, *exception):
        self.nursery.__exit__(*exception)

    def sheet(self, submission, only=None):
        """All marks of a submission, or those of the exercises `only`. Raises nothing for what a file holds."""
        say = (submission.student, submission.chapter, readable(submission.path.name))
        asked = [id for id in self.exercises if only is None or id in only]
        reading = Reading(problem=submission.problem) if submission.problem else self.nursery.read(submission.path)
        if reading.problem:
            marks = [Mark(id, "missing", 0.0, self.exercises[id].points, "the notebook could not be read")
                     for id in asked]
            return Sheet(*say, tuple(marks), reading.problem)
        notebook = Notebook(reading.cells, self.nursery.limits.timeout)
        marks = [self.mark(notebook, id, reading.answers[id]) for id in asked]
        marks += [_to_be_read(reading.written[id], id, points) for id, points in manual(self.chapter) if only is None]
        return Sheet(*say, tuple(marks))

    def mark(self, notebook, id, found):
        """The mark of one exercise. found: what a Reading says of it.

        The cells that an answer needs are found by the names that it reads. Where that earns less than all points, all
        cells of the student above it are run as well, and the better mark counts.
        """
        points = self.exercises[id].points
        if found["state"] != "found":
            state = "not passed" if found["state"] == "broken" else found["state"]
            return Mark(id, state, 0.0, points, found["note"])
        marks = []
        for run in found["runs"]:
            tried = self.nursery.attempts(id, notebook, found["at"], run, self.inputs[id])
            marks.append(self.judged(id, tried, found["digest"]))
            ended = any(t.error and not t.error.startswith((RAISED, "the cell " + RAISED)) for t in tried)
            if ended or marks[-1].state != "not passed":
                break
        return max(marks, key=lambda mark: mark.points)

    def judged(self, id, tried, digest=""):
        """The mark for the attempts of an answer."""
        exercise = self.exercises[id]
        outcomes = [verdict(exercise, i, t, self.expected[id][i]) for i, t in enumerate(tried)]
        with JUDGING:
            impure = [impurity(exercise, i, t, self.inputs[id][i]) for i, t in enumerate(tried)]
        result = summary(exercise, tried, outcomes, impure)
        if not any(o.passed for o, case in zip(outcomes, exercise.cases) if case.kind == "value"):
            result = replace(result, score=0.0)  # a right shape without one right value earns nothing
        note = next((o.miss for o in result.cases if o.miss), "")
        cases = tuple(replace(o, hint="" if self.public[id] <= i < len(exercise.cases) else o.hint)
                      for i, o in enumerate(result.cases))
        return Mark(id, result.state, round(result.score, 2), exercise.points, note, cases, "", digest)


def loaded_by(chapter):
    """The modules that an answer of this chapter may import: those of its and all earlier chapters."""
    out = []
    for number, table in manifest().items():
        if number.isdigit() and f"ch{number}" <= chapter:
            out += [f"minidiff.{name}" for name in table["modules"]
                    if not name.startswith(("exercises.ch", "exercises.hidden."))]
    return out


@cache
def manual(chapter):
    """The written questions of a chapter, [(id, points)], in the order of the notebook."""
    return [(exercise_of(c), c.metadata.minidiff.points) for c in read_own(chapter).cells if "manual" in tags(c)]


@cache
def read_own(chapter):
    """The notebook in chapters/ of 'ch01'."""
    return nbformat.read(ROOT / "chapters" / f"{notebooks()[chapter]}.ipynb", as_version=4)


def _lesson_cell(cell):
    kind = next((tag for tag in ("setup", "check") if tag in tags(cell)), "")
    return [cell.source, exercise_of(cell), kind]


def _to_be_read(text, id, points):
    untouched = text is None or text.strip() in ("", WRITE_HERE)
    return Mark(id, "to be read", 0.0, points, "nothing written" if untouched else "", (), "" if untouched else text)
