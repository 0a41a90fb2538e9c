"""The grader gives every known submission its mark in bounded time, whatever its code tries, and leaves nothing."""

import contextlib
import os
import time
from pathlib import Path

import pytest

import minidiff
from minidiff.exercises.core import exercises
from minidiff.grading import mark, run, sandbox
from minidiff.grading.mark import Marker, notebooks
from minidiff.grading.nursery import Limits
from minidiff.grading.submissions import Submission, collect
from tests.submissions import ID, corpus, save, solved, with_answers
from tests.submissions.notebooks import ODD

CORPUS = {known.name: known for known in corpus()}
NEXT = {"ch01.q_sample": "ch01.snr", "ch04.ResBlock": "ch04.ancestral"}  # graded right after the one that misbehaves
LIMITS = Limits(timeout=4.0, memory=2.0)
BOUND = 2 * LIMITS.timeout + 15.0  # seconds for one notebook, on a machine that is busy with other things
SEED = 11
PLACES = (".", "/tmp", "/var/tmp", os.path.expanduser("~"), os.path.dirname(minidiff.__file__))


class Narrow(Marker):
    """A Marker that asks for two exercises alone, and notes how long each notebook took."""

    seconds = {}

    def __init__(self, *arguments, isolate=True, **options):
        super().__init__(*arguments, **options)
        self.exercises = {id: e for id, e in self.exercises.items() if id in {*NEXT, *NEXT.values()}}
        self.nursery.isolate = isolate

    def sheet(self, submission):
        start = time.monotonic()
        sheet = super().sheet(submission)
        self.seconds[submission.student] = time.monotonic() - start
        return sheet


def marks(folder):
    """Grade a folder as one class: {student: {id: Mark}}."""
    found, ignored = collect(folder, notebooks())
    assert not ignored
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "Marker", Narrow)
        sheets, isolated = run.grade(found, SEED, LIMITS, hide=(folder,))
    return {s.student: {m.id: m for m in s.marks} for s in sheets}, isolated


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """The marks of all answers in tests/submissions, and whether they ran isolated."""
    folder = tmp_path_factory.mktemp("class")
    for name, known in CORPUS.items():
        chapter = known.id.split(".")[0]
        save(with_answers(chapter, {known.id: known.cells}), folder / name, chapter)
    return marks(folder)


@pytest.mark.parametrize("known", CORPUS.values(), ids=CORPUS)
def test_an_answer_gets_the_mark_that_it_must_get(known, graded):
    sheets, isolated = graded
    if known.isolated and not isolated:
        pytest.skip("this kernel lets nobody isolate a process")
    assert known.meets(sheets[known.name][known.id]), sheets[known.name][known.id]
    assert sheets[known.name][NEXT[known.id]].state == "passed"
    assert Narrow.seconds[known.name] < BOUND


def test_nothing_is_left_behind(graded):
    assert len(CORPUS) >= 80
    assert not [place for place in PLACES if graded[1] and Path(place, "minidiff-was-here").exists()]
    if sandbox.LINUX:
        assert not [p for p in sandbox.descendants(os.getpid()) if "sleep(1000)" in about(p, "cmdline")]
        assert not [p for p in sandbox.descendants(os.getpid()) if "Z" in about(p, "stat").rpartition(")")[2][:3]]


def about(pid, what):
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/{what}").read_text()
    return ""


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    folder = tmp_path_factory.mktemp("odd")
    for name, (make, _, _) in ODD.items():
        path = save(solved("ch01"), folder / name, "ch01")
        made = make(solved("ch01"))
        path.write_bytes(made) if isinstance(made, bytes) else save(made, folder / name, "ch01")
    return marks(folder)[0]


@pytest.mark.parametrize("name", ODD)
def test_an_odd_notebook_is_a_row_with_the_mark_that_it_must_get(name, odd):
    _, state, points = ODD[name]
    assert (odd[name][ID].state, odd[name][ID].points) == (state, points), odd[name][ID]
    assert Narrow.seconds[name] < BOUND


HOSTILE = ("endless_loop", "fork_bomb", "leaves_processes", "kills_its_parent", "os_exit", "searches_the_memory")


def test_without_name_spaces_no_answer_escapes_either(tmp_path):
    paths = {name: save(with_answers("ch01", {ID: CORPUS[name].cells}), tmp_path / name, "ch01") for name in HOSTILE}
    with Narrow("ch01", SEED, Limits(2.0, memory=2.0), isolate=False) as marker:
        sheets = {name: marker.sheet(Submission(name, "ch01", path)) for name, path in paths.items()}
        folder = marker.nursery._folder.name
    assert not marker.nursery.isolated
    for name, sheet in sheets.items():
        got, after = sheet.marks[:2]
        assert CORPUS[name].meets(got) and (after.id, after.state) == (NEXT[ID], "passed"), (name, got, after)
    assert not sandbox.strays(folder) and not Path(folder).exists()


@pytest.mark.parametrize("chapter", notebooks())
def test_the_solution_gets_full_marks_and_an_untouched_chapter_none(chapter):
    with Marker(chapter, SEED) as marker:
        full = marker.sheet(run.solution(chapter))
        none = marker.sheet(Submission("none", chapter, mark.ROOT / "chapters" / run.solution(chapter).path.name))
    assert (full.state, full.points) == ("passed", sum(e.points for e in exercises(chapter).values()))
    assert (none.state, none.points) == ("not started", 0)
    assert {m.state for m in none.marks} == {"not started", "to be read"}


def test_a_system_without_fork_gives_the_same_marks():
    with Narrow("ch01", SEED, fork=False) as marker:
        sheet = marker.sheet(run.solution("ch01"))
    assert sheet.state == "passed" and not marker.nursery.isolated
    assert "no fork" in without_fork()


def without_fork():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sandbox, "CAN_FORK", False)
        return sandbox.promises(False)


def test_what_a_system_cannot_do_is_not_promised():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sandbox, "LINUX", False)
        said = sandbox.promises(False)
    assert "memory" not in said and "number of processes" not in said and "may outlive it" in said
    if sandbox.LINUX:
        assert "memory" in sandbox.promises(False) and "no network" not in sandbox.promises(False)
        assert "no network" in sandbox.promises(True)


def test_a_folder_that_holds_python_is_hidden_only_beside_it(tmp_path):
    for name in ("marks/a", "env/bin", "env/lib", "scratch/job"):
        (tmp_path / name).mkdir(parents=True)
    kept = [tmp_path / "env" / "bin", tmp_path / "scratch" / "job"]
    assert sandbox.coverable(tmp_path, kept) == [tmp_path / "env" / "lib", tmp_path / "marks"]
    assert sandbox.coverable(tmp_path / "marks", kept) == [tmp_path / "marks"]
    assert sandbox.coverable(kept[0], kept) == []
