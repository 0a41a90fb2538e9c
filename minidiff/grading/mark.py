"""Marks for one notebook: what it answers, what its answers give, and what a right answer would have given."""

import importlib.util
import threading
import tomllib
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import minidiff
from minidiff.exercises.core import Case, chapters, exercises
from minidiff.exercises.judge import Attempt, Outcome, expected_of, impurity, inputs_of, summary, verdict
from minidiff.grading import answers
from minidiff.grading.notebook import WRITE_HERE, exercise_of, tags
from minidiff.grading.nursery import Limits, Nursery

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
    canonical: str = ""


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
        self.ours = answers.read(ROOT / "chapters" / f"{notebooks()[chapter]}.ipynb")
        self.stubs = {cell.exercise: cell.source.strip() for cell in self.ours if cell.kind == "code"}
        self.lesson = {code.source for code in answers.parsed(self.ours) if not code.exercise}
        self.references = {e.reference.__name__: e.reference.__module__ for known in notebooks() if known <= chapter
                           for e in exercises(known).values()}
        folders = [PACKAGE, *(ROOT / name for name in (".git", "solutions", "tests")), *map(Path, hide),
                   *([Path(hidden)] if hidden else [])]
        config = {"chapter": chapter, "modules": loaded_by(chapter), "setup": self.setup(), "hidden": files,
                  "hide": [str(f.resolve()) for f in folders if f.is_dir()], "user": list(user) if user else None,
                  "references": {id: [e.reference.__module__, e.reference.__name__]
                                 for id, e in self.exercises.items()}}
        self.nursery = Nursery(config, limits) if fork is None else Nursery(config, limits, fork=fork)

    def __enter__(self):
        self.nursery.__enter__()
        return self

    def __exit__(self, *exception):
        self.nursery.__exit__(*exception)

    def setup(self):
        """Our copy of the chapter's set-up cell: its first code cell."""
        return next(cell.source for cell in self.ours if cell.kind == "code")

    def sheet(self, submission):
        """All marks of a submission. Raises nothing for what a file holds."""
        say = (submission.student, submission.chapter, answers.readable(submission.path.name))
        try:
            cells = answers.read(submission.path)
        except (answers.Unreadable, OSError) as error:
            marks = [Mark(id, "missing", 0.0, e.points, "the notebook could not be read")
                     for id, e in self.exercises.items()]
            return Sheet(*say, tuple(marks), str(error) if isinstance(error, answers.Unreadable) else "unreadable file")
        codes = answers.parsed(cells)
        marks = [self.mark(codes, id) for id in self.exercises]
        marks += [_to_be_read(cells, id, points) for id, points in manual(self.chapter)]
        return Sheet(*say, tuple(marks))

    def mark(self, codes, id):
        """The mark of one exercise in a notebook's code cells."""
        exercise, name = self.exercises[id], id.split(".")[1]
        found = answers.find(codes, id, self.lesson)
        if found is None:
            return Mark(id, "missing", 0.0, exercise.points, f"no cell defines {name}")
        if found.problem:
            return Mark(id, "not passed", 0.0, exercise.points, f"the cell {found.problem}")
        if found.source.strip() == self.stubs.get(id):
            return Mark(id, "not started", 0.0, exercise.points)
        references = {n: m for n, m in self.references.items() if n != name}
        try:
            code = answers.pull(codes + answers.parsed(self.ours), found, id, references)
        except RecursionError:
            return Mark(id, "not passed", 0.0, exercise.points, "the cell is nested too deeply to be read")
        tried = self.nursery.attempts(id, name, code, self.inputs[id])
        return self.judged(id, tried, answers.canonical(found.source))

    def judged(self, id, tried, canonical=""):
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
        return Mark(id, result.state, round(result.score, 2), exercise.points, note, cases, "", canonical)


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
    import nbformat
    notebook = nbformat.read(ROOT / "chapters" / f"{notebooks()[chapter]}.ipynb", as_version=4)
    return [(exercise_of(c), c.metadata.minidiff.points) for c in notebook.cells if "manual" in tags(c)]


def _to_be_read(cells, id, points):
    text = answers.written(cells, id)
    untouched = text is None or text.strip() in ("", WRITE_HERE)
    return Mark(id, "to be read", 0.0, points, "nothing written" if untouched else "", (), "" if untouched else text)
