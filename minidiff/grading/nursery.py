"""The grader's side of the processes that run students' code: one for each chapter, started when it is needed."""

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

CHILD = Path(__file__).with_name("child.py")
GRACE = 20.0  # seconds beyond the limits after which a process that should keep them is taken for dead
START = 120.0  # seconds that a chapter may take to load
KEPT = ("PATH", "LANG", "LD_LIBRARY_PATH", "SYSTEMROOT", "MINIDIFF_DATA")  # of the environment
CALLS = 6  # an answer may take as long as so many calls
DEATHS = 2  # of one answer, after which its other cases do not run


@dataclass(frozen=True)
class Limits:
    """What one call and one answer may use."""
    timeout: float = 10.0  # seconds of wall clock of one call; an answer has CALLS times as many
    cpu: int = 60  # seconds of processor
    memory: float = 4.0  # GiB beyond what the loaded chapter has
    files: int = 16  # MB of one file


@dataclass
class Nursery:
    """Runs answers of one chapter, one after the other. A context manager: at its end no process is left."""
    config: dict
    limits: Limits
    fork: bool = sandbox.CAN_FORK
    isolate: bool = True  # where the system can
    said: set = field(default_factory=set)  # what its jobs said of being isolated
    _process: subprocess.Popen = None
    _frames: queue.Queue = field(default_factory=queue.Queue)
    _folder: tempfile.TemporaryDirectory = None

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

    def attempts(self, id, name, code, inputs):
        """An Attempt for each case. inputs: [tuple of arguments]. Never raises for what an answer does."""
        with contextlib.suppress(OSError):  # said by the job, which tries again
            self._start()
        tried, left, deaths, end = {}, list(range(len(inputs))), 0, time.monotonic() + CALLS * self.limits.timeout
        while left:
            job = {"id": id, "name": name, "code": code, "cases": [[i, inputs[i]] for i in left]}
            stopped = self._job(job, tried, end)
            died = next((i for i in left if i not in tried), None)
            left = [i for i in left if i not in tried and i != died]
            if died is not None:
                deaths += 1
                tried[died] = Attempt(error=stopped or "the process ended before the answer was given")
            at_once = len(tried) == deaths == 1 and died == 0 and "process ended" not in stopped
            if deaths == DEATHS or at_once or time.monotonic() > end:
                tried |= {i: Attempt(error="did not run: an earlier call stopped the process") for i in left}
                left = []
        return [tried[i] for i in range(len(inputs))]

    def _job(self, job, tried, end):
        """Run one job and fill `tried`, until the time `end`. Returns why it stopped, or ''."""
        try:
            self._start()
            job |= {"seconds": end - time.monotonic()}
            wire.write_frame(self._process.stdin, b"j", wire.pack(job, limit=8 * wire.LIMIT, text=wire.HEADER))
        except wire.WireError:
            return "the answer and what it uses are too long to be run"
        except OSError as error:
            self._stop()
            return f"the grader's process for answers could not be started ({error})"
        while True:
            try:
                left = min(self.limits.timeout, max(0.0, end - time.monotonic()))
                frame = self._frames.get(timeout=left + (GRACE if self.fork else 0))
            except queue.Empty:
                self._stop()
                return f"ran over {self.limits.timeout:g} s"
            if frame is None:
                self._stop()
                return "the process ended before the answer was given (exit)"
            if frame[0] == b"e":
                ended = wire.unpack(frame[1])
                self.said.add(ended["isolated"])
                if not self.fork:
                    self._stop()
                return ended["stopped"]
            _take(frame[1], [i for i, _ in job["cases"]], tried)

    def _start(self):
        if self._process is not None and self._process.poll() is None:
            return
        self._stop()  # what an earlier answer may have left of it
        package = CHILD.parents[2]
        keep = {k: v for k, v in os.environ.items() if k in KEPT}
        env = keep | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MPLBACKEND": "Agg",
                      "PYTHONPATH": str(package), "HOME": self._folder.name, "TMPDIR": self._folder.name,
                      "PYTHONDONTWRITEBYTECODE": "1", "MPLCONFIGDIR": matplotlib.get_cachedir()}
        self._process = subprocess.Popen([sys.executable, "-P", "-s", CHILD], stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, env=env, cwd=self._folder.name,
                                         start_new_session=sandbox.CAN_FORK)
        self._frames = queue.Queue()
        threading.Thread(target=_listen, args=(self._process.stdout, self._frames), daemon=True).start()
        own = {"fork": self.fork, "isolate": self.isolate, "folder": self._folder.name,
               "timeout": float(self.limits.timeout), "cpu": self.limits.cpu,
               "memory": int(self.limits.memory * 2**30), "files": self.limits.files * 2**20}
        wire.write_frame(self._process.stdin, b"c", wire.pack(self.config | own | {"hide": self._hidden_folders()}))
        try:
            frame = self._frames.get(timeout=START)
        except queue.Empty:
            raise OSError(f"loading the chapter took more than {START:g} s") from None
        failed = wire.unpack(frame[1])["failed"] if frame else "it ended while it loaded the chapter"
        if failed:
            raise OSError(failed)

    def _hidden_folders(self):
        kept = sandbox.needed(self._folder.name)
        return [str(f) for folder in self.config["hide"] for f in sandbox.coverable(Path(folder).resolve(), kept)]

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


def _listen(stream, frames):
    """Put every frame of a stream in a queue, and None at its end."""
    try:
        while frame := wire.read_frame(stream):
            frames.put(frame)
    except (OSError, ValueError):
        pass
    frames.put(None)


def _take(body, asked, tried):
    """Read one attempt out of a message. What is no attempt counts as none."""
    try:
        told = wire.unpack(body)
        index = told.pop("index")
        words = {key: str(told.get(key, ""))[:300] for key in ("error", "changed")}
        words = {key: "".join(c if c.isprintable() else " " for c in text) for key, text in words.items()}
        flags = {key: told.get(key) is True for key in ("unwritten", "drew")}
        if type(index) is int and index in asked and index not in tried:
            tried[index] = Attempt(told.get("value"), **words, **flags)
    except (wire.WireError, AttributeError, KeyError, TypeError):
        pass
