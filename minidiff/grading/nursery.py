"""The grader's side of the processes that read students' files and run their code: one for each chapter at a time."""

import contextlib
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import matplotlib

from minidiff.exercises.judge import Attempt
from minidiff.grading import sandbox, wire
from minidiff.grading.talk import MOST, Reading, Talk, reading_of

CHILD = Path(__file__).with_name("child.py")
GRACE = 20.0  # seconds beyond the limits after which a process that should keep them is taken for dead
START = 120.0  # seconds that a chapter may take to load
READ = 30.0  # seconds that reading a notebook may take
KEPT = ("PATH", "LANG", "LD_LIBRARY_PATH", "SYSTEMROOT", "MINIDIFF_DATA")  # of the environment
CALLS = 6  # an answer may take as long as so many calls
DEATHS = 2  # of one answer, after which its other cases do not run
SHORTEST = 1.0  # seconds of a call, where others of the notebook ran over their time
SURPRISE = "sends what no answer sends"


@dataclass(frozen=True)
class Limits:
    """What one call and one answer may use."""
    timeout: float = 10.0  # seconds of wall clock of one call or cell; an answer has CALLS times as many
    cpu: int = 60  # seconds of processor
    memory: float = 4.0  # GiB that all processes of an answer hold together, beyond what the loaded chapter has
    files: int = 16  # MB of one file


@dataclass
class Notebook:
    """What is known of a notebook while its answers run: its sources, the cells that stop or take too long, its time.

    An answer that runs over its time halves the time of the answers after it: ten endless loops do not cost ten
    times as much as one.
    """
    cells: list
    timeout: float
    stopping: set = field(default_factory=set)

    def ran_over(self):
        self.timeout = max(min(SHORTEST, self.timeout), self.timeout / 2)


@dataclass
class Nursery:
    """Reads notebooks and runs answers of one chapter, one by one. A context manager: no process is left at its end."""
    config: dict
    limits: Limits
    fork: bool = sandbox.CAN_FORK
    isolate: bool = True  # where the system can
    said: set = field(default_factory=set)  # what its jobs said of being isolated
    _process: subprocess.Popen = None
    _frames: queue.Queue = None
    _folder: tempfile.TemporaryDirectory = None
    _number: int = 0

    @property
    def isolated(self):
        """Did every answer run isolated? Also False while none has run."""
        return self.said == {True}

    def __enter__(self):
        self._folder = tempfile.TemporaryDirectory(prefix="minidiff-grading-", ignore_cleanup_errors=True)
        return self

    def __exit__(self, *exception):
        self._stop()
        self._folder.cleanup()

    def read(self, path):
        """The Reading of a notebook's file. Never raises for what a file holds."""
        talk = Talk([], [])
        stopped = self._job({"path": str(Path(path).absolute()), "seconds": READ}, talk, READ)
        try:
            if stopped:
                return Reading(problem=f"it cannot be read: reading it {stopped}")
            return reading_of(talk.told or b"", self.config["references"], self.config["written"])
        except wire.WireError:
            self._stop()
            return Reading(problem="it cannot be read")

    def attempts(self, id, notebook, at, run, inputs):
        """An Attempt for each case of an answer. Never raises for what an answer does.

        notebook: its Notebook; at: the number of the answer's cell; run: the numbers of the cells that it needs, in
        order, itself among them; inputs: [tuple of arguments].
        """
        tried, left, deaths, end = {}, list(range(len(inputs))), 0, time.monotonic() + CALLS * notebook.timeout
        while left:
            cells = [i for i in run if i == at or i not in notebook.stopping]
            talk = Talk(left, cells)
            job = {"id": id, "name": id.split(".")[1], "at": at, "cells": [[i, notebook.cells[i]] for i in cells],
                   "unrun": [notebook.cells[i] for i in run if i not in cells], "cases": [[i, inputs[i]] for i in left],
                   "seconds": end - time.monotonic()}
            stopped = self._job(job, talk, notebook.timeout)
            self.said.add(talk.isolated)
            notebook.stopping |= talk.slow - {at}
            tried |= talk.tried
            left = [i for i in left if i not in tried]
            if stopped and not talk.tried and talk.cell not in (None, at) and time.monotonic() < end:
                late = len(notebook.stopping) >= DEATHS  # a notebook with many such cells loses all of them
                notebook.stopping |= {i for i in cells if late and i != at} | {talk.cell}
                continue
            if left:
                deaths, died, left = deaths + 1, left[0], left[1:]
                tried[died] = Attempt(error=stopped or "the process ended before the answer was given")
            if "ran over" in stopped:
                notebook.ran_over()
            at_once = len(tried) == deaths == 1 and "process ended" not in stopped
            if deaths == DEATHS or at_once or stopped == SURPRISE or time.monotonic() > end:
                tried |= {i: Attempt(error="did not run: an earlier call stopped the process") for i in left}
                left = []
        return [tried[i] for i in range(len(inputs))]

    def _job(self, job, talk, patience):
        """Do one job and let `talk` hear it. Returns why it stopped, or ''. patience: seconds between two frames."""
        job |= {"timeout": patience, "frames": talk.frames, "cpu": self.limits.cpu,
                "memory": int(self.limits.memory * 2**30), "files": self.limits.files * 2**20}
        for _ in range(2):  # a frame of another job says that the process is not to be trusted, and nothing about this
            try:
                self._start()
                self._number += 1
                wire.write_frame(self._process.stdin, b"j", self._number,
                                 wire.pack(job, limit=wire.ORDER, text=wire.ORDER, header=wire.ORDER))
            except wire.WireError:
                return "the answer and what it uses are too long to be run"
            except OSError as error:
                self._stop()
                return f"the grader's process for answers could not be started ({error})"
            stopped = self._listen(talk, time.monotonic() + job["seconds"], patience, job["frames"])
            if stopped is not None:
                break
        return SURPRISE if stopped is None else stopped

    def _listen(self, talk, end, patience, frames):
        """Hear the frames of this job until its end: why it stopped, ''; or None for a frame of another job."""
        for _ in range(frames + 2):
            try:
                left = min(patience, max(0.0, end - time.monotonic()))
                frame = self._frames.get(timeout=left + (GRACE if self.fork else 0))
            except queue.Empty:
                self._stop()
                return f"ran over {patience:g} s"
            if frame is None:
                self._stop()
                return "the process ended before the answer was given (exit)"
            if frame[1] != self._number:
                self._stop()
                return None
            try:
                talk.hear(frame[0], frame[2])
            except wire.WireError:
                return self._end_job(talk, frames)
            if talk.stopped is not None:
                if not self.fork:
                    self._stop()
                return wire.printable(talk.stopped, 200)
        return self._end_job(talk, 0)

    def _end_job(self, talk, frames):
        """End a job that said what none says: alone, where it ran isolated from its watcher, else with the process."""
        with contextlib.suppress(OSError, queue.Empty, AttributeError):
            if talk.isolated and frames:
                wire.write_frame(self._process.stdin, b"x", self._number)
                for _ in range(frames):  # those that were on their way
                    if self._frames.get(timeout=GRACE)[:2] == (b"e", self._number):
                        return SURPRISE
        self._stop()
        return SURPRISE

    def _start(self):
        if self._process is not None and self._process.poll() is None:
            return
        self._stop()  # what an earlier answer may have left of it
        package = CHILD.parents[2]
        keep = {k: v for k, v in os.environ.items() if k in KEPT}
        env = keep | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MPLBACKEND": "Agg",
                      "PYTHONPATH": str(package), "HOME": self._folder.name, "TMPDIR": self._folder.name,
                      "IPYTHONDIR": self._folder.name, "PYTHONDONTWRITEBYTECODE": "1",
                      "MPLCONFIGDIR": matplotlib.get_cachedir()}
        self._process = subprocess.Popen([sys.executable, "-P", "-s", CHILD], stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, env=env, cwd=self._folder.name,
                                         start_new_session=sandbox.CAN_FORK)
        self._frames = queue.Queue(maxsize=2)
        threading.Thread(target=_pass_on, args=(self._process.stdout, self._frames), daemon=True).start()
        own = {"fork": self.fork, "isolate": self.isolate, "folder": self._folder.name}
        wire.write_frame(self._process.stdin, b"c", 0, wire.pack(
            self.config | own, limit=wire.ORDER, text=wire.ORDER, header=wire.ORDER))
        try:
            frame = self._frames.get(timeout=START)
        except queue.Empty:
            raise OSError(f"loading the chapter took more than {START:g} s") from None
        failed = wire.unpack(frame[2])["stopped"] if frame else "it ended while it loaded the chapter"
        if failed:
            raise OSError(failed)

    def _stop(self):
        if self._process is None:
            return
        below = [*sandbox.descendants(self._process.pid), self._process.pid]
        for _ in range(50):  # some may be started while others are killed
            for pid in below:
                sandbox.end(pid)
            self._process.wait()
            below = sandbox.strays(self._folder.name)
            if not below:
                break
            time.sleep(0.02)
        for stream in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                stream.close()
        self._process = None


def _pass_on(stream, frames):
    """Put the frames of a stream in a queue that holds two, and None at its end, for as long as somebody takes them."""
    with contextlib.suppress(OSError, ValueError, queue.Full):
        while frame := wire.read_frame(stream, MOST[b"r"]):
            frames.put(frame, timeout=GRACE)
    with contextlib.suppress(queue.Full):
        frames.put(None, timeout=GRACE)
