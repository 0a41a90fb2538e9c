"""The grader gives every known submission its mark in bounded time, whatever its code tries, and leaves nothing."""

import contextlib
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

import minidiff
from minidiff.exercises import ch09
from minidiff.exercises.core import exercises
from minidiff.grading import isolate, mark, nursery, run, sandbox
from minidiff.grading.forget import needed_names
from minidiff.grading.mark import Marker, notebooks
from minidiff.grading.nursery import Limits
from minidiff.grading.submissions import Submission
from tests.submissions import ID, corpus, save, solved, with_answers
from tests.submissions.honest import HONEST
from tests.submissions.notebooks import ODD

CORPUS = {known.name: known for known in corpus()}
NEXT = "ch01.snr"  # is graded after those answers that leave something changed, and must not notice
LEAVES = {"changes_sys_modules", "changes_the_folder_and_the_environment", "draws_from_the_global_random_state",
          "floods_the_grader_with_empty_frames", "forges_a_deep_list", "forges_a_tensor_of_5000_dimensions",
          "forges_frames_of_other_jobs", "fork_bomb", "kills_its_parent", "leaves_gradients_off", "leaves_processes",
          "leaves_the_random_state", "leaves_threads", "memory_in_six_children", "os_exit", "patched_builtins",
          "patched_tensor_methods", "segmentation_fault", "sets_the_default_dtype", "sets_the_number_of_threads",
          "thaws_the_memory"}
LIMITS = Limits(timeout=4.0, memory=2.0)
BOUND = 2 * LIMITS.timeout + 15.0  # seconds for one notebook, on a machine that is busy with other things
SEED = 11
PATHS = ch09.PATHS
PLACES = (".", "/tmp", "/var/tmp", os.path.expanduser("~"), os.path.dirname(minidiff.__file__))


@pytest.fixture(scope="module")
def markers():
    """A Marker of each chapter, started, and its chapter loaded, when it is first asked for."""
    with contextlib.ExitStack() as stack:
        @cache
        def marker(chapter):
            started = stack.enter_context(Marker(chapter, SEED, LIMITS))
            asked(started, run.solution(chapter).path, next(iter(started.exercises)))
            return started
        yield marker


def asked(marker, path, *ids):
    """The marks of some exercises in a notebook, {id: Mark}, and the seconds that they took."""
    start = time.monotonic()
    sheet = marker.sheet(Submission("student", marker.chapter, path), only=ids)
    return {m.id: m for m in sheet.marks}, time.monotonic() - start


@pytest.mark.parametrize("known", CORPUS.values(), ids=CORPUS)
def test_an_answer_gets_the_mark_that_it_must_get(known, markers, tmp_path):
    marker = markers(known.id[:4])
    after = [NEXT] if known.name in LEAVES else []
    path = save(with_answers(marker.chapter, {known.id: known.cells}), tmp_path, marker.chapter)
    for name in ("clone/minidiff/process/forward.py", "nbgrader/source/01_adding_noise.ipynb"):  # for thieves
        (tmp_path / name).parent.mkdir(parents=True)
        shutil.copy(mark.ROOT / name.replace("clone/", "").replace("nbgrader/source", "solutions"), tmp_path / name)
    marker.nursery.limits = replace(LIMITS, memory=known.memory or LIMITS.memory)
    got, seconds = asked(marker, path, known.id, *after)
    marker.nursery.limits = LIMITS
    if known.isolated and not marker.nursery.isolated:
        pytest.skip("this kernel lets nobody isolate a process")
    assert known.meets(got[known.id]), got[known.id]
    assert all(got[id].state == "passed" for id in after) and seconds < BOUND


def test_nothing_is_left_behind(markers):
    assert len(CORPUS) >= 80 and LEAVES <= set(CORPUS)
    assert not [p for p in PLACES if markers("ch01").nursery.isolated and Path(p, "minidiff-was-here").exists()]
    if sandbox.LINUX:
        kept = [markers(chapter).nursery for chapter in ("ch01", "ch04")]
        pids = [pid for nursery in kept for pid in sandbox.descendants(nursery._process.pid)]
        assert not pids, [Path(f"/proc/{pid}/cmdline").read_text() for pid in pids]  # nor a zombie
        assert all(len(sandbox.strays(nursery._folder.name)) == 1 for nursery in kept)


@pytest.mark.parametrize("name", ODD)
def test_an_odd_notebook_is_a_row_with_the_mark_that_it_must_get(name, markers, tmp_path):
    make, state, points = ODD[name]
    made = make(solved("ch01"))
    path = save({} if isinstance(made, bytes) else made, tmp_path, "ch01")
    if isinstance(made, bytes):
        path.write_bytes(made)
    got, seconds = asked(markers("ch01"), path, ID)
    assert (got[ID].state, got[ID].points) == (state, points) and seconds < BOUND, got[ID]


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_notebook_gets_full_marks(name, markers, tmp_path):
    change, ids = HONEST[name]
    got, seconds = asked(markers("ch01"), save(change(solved("ch01")), tmp_path, "ch01"), *ids)
    assert {id: got[id].note for id in ids if got[id].state != "passed"} == {} and seconds < BOUND


def test_there_are_forty_styles_of_right_notebooks():
    right = [known for known in CORPUS.values() if known.state == "passed"]
    assert len(right) + len(HONEST) + sum(state == "passed" for _, state, _ in ODD.values()) >= 40


HOSTILE = ("endless_loop", "fork_bomb", "leaves_processes", "kills_its_parent", "os_exit", "searches_the_memory")


def test_without_name_spaces_no_answer_escapes_either(tmp_path):
    with Marker("ch01", SEED, Limits(30.0, cpu=1, memory=2.0)) as marker:
        marker.nursery.isolate = False
        for name in HOSTILE:
            path = save(with_answers("ch01", {ID: CORPUS[name].cells}), tmp_path / name, "ch01")
            got, _ = asked(marker, path, ID, NEXT)
            assert CORPUS[name].meets(got[ID]) and got[NEXT].state == "passed", (name, got)
            assert name != "endless_loop" or "too much processor time" in got[ID].note
        folder = marker.nursery._folder.name
    assert not marker.nursery.isolated
    assert not sandbox.strays(folder) and not Path(folder).exists()


GRADER = """
import sys
from pathlib import Path
from threading import Thread
from minidiff.grading.mark import Marker
from minidiff.grading.submissions import Submission
with Marker("ch01", 0) as one, Marker("ch01", 0) as two:
    two.nursery.isolate = False
    print(one.nursery._folder.name, two.nursery._folder.name, flush=True)
    Thread(target=one.sheet, args=[Submission("a", "ch01", Path(sys.argv[1]))]).start()
    two.sheet(Submission("a", "ch01", Path(sys.argv[1])))
"""


@pytest.mark.skipif(not sandbox.LINUX, reason="other systems do not end a process with its parent")
def test_nothing_outlives_a_grader_that_is_killed(tmp_path):
    loop = "import time\n\n\ndef linear_betas(*values, **options):\n    time.sleep(10**6)"
    path = save(with_answers("ch01", {"ch01.linear_betas": [loop]}), tmp_path, "ch01")
    with subprocess.Popen([sys.executable, "-c", GRADER, path], stdout=subprocess.PIPE, text=True) as grader:
        folders = [Path(name) for name in grader.stdout.readline().split()]
        for folder in folders:
            wait(lambda: any(path.is_dir() for path in folder.iterdir()))  # an answer runs
        grader.kill()
    wait(lambda: not any(sandbox.strays(str(folder)) or folder.exists() for folder in folders))


def wait(done, seconds=120.0):
    """Wait until something is so, and fail if it never is."""
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_all_calls_of_an_answer_together_have_a_limit(markers, tmp_path):
    slow = [CORPUS["sleeps_in_every_call"].cells[-1].replace("0.05", "0.25")]
    path = save(with_answers("ch01", {ID: slow}), tmp_path, "ch01")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nursery, "CALLS", 0.25)
        got, seconds = asked(markers("ch01"), path, ID)
    assert got[ID].state == "not passed" and seconds < BOUND and got[ID].cases[0].passed
    assert "ran over" in got[ID].note and "did not run" in got[ID].cases[-2].miss


@pytest.mark.parametrize("chapter", notebooks())
def test_the_solution_gets_full_marks_and_an_untouched_chapter_none(chapter, markers, monkeypatch):
    marker = markers(chapter)
    monkeypatch.setattr(marker.nursery, "limits", Limits())  # what is asked is the marks, not how busy the machine is
    full = marker.sheet(run.solution(chapter))
    path = mark.ROOT / "chapters" / run.solution(chapter).path.name
    none = marker.sheet(Submission("none", chapter, path))
    assert [m for m in full.marks if m.state not in ("passed", "to be read")] == []
    assert (full.state, full.points) == ("passed", sum(e.points for e in exercises(chapter).values()))
    assert (none.state, none.points) == ("not started", 0)
    assert {m.state for m in none.marks} == {"not started", "to be read"}


def test_a_case_keeps_the_names_that_functions_in_an_instance_use():
    needed = needed_names([lambda: PATHS["slow"]])
    assert "torch" in needed[id(vars(ch09))]  # the path's alpha is a function of that module
    assert needed[id(globals())] == {"PATHS"}


def test_a_system_without_fork_gives_the_same_marks():
    with Marker("ch01", SEED, fork=False) as marker:
        got, _ = asked(marker, run.solution("ch01").path, ID)
    assert got[ID].state == "passed" and not marker.nursery.isolated
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
    assert isolate.coverable(tmp_path, kept) == [tmp_path / "env" / "lib", tmp_path / "marks"]
    assert isolate.coverable(tmp_path / "marks", kept) == [tmp_path / "marks"]
    assert isolate.coverable(kept[0], kept) == []
