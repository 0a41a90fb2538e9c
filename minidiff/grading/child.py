"""The process in which students' files are read and their code runs. A program, never imported by the grader.

It loads a chapter once (its modules, our set-up cell, the drivers of its cases), forgets everything that could answer
an exercise (references, expected values, the cases themselves), and then serves jobs from its standard input: one
job reads a notebook, or runs one answer. Where the system can fork, each job has a process of its own that is killed
at the end; else this process does one job and ends. What it says on its standard output is in `talk`.
"""

import contextlib
import os
import re
import select
import shutil
import signal
import stat
import sys
import tempfile
import time
from pathlib import Path

import torch

from minidiff.exercises.judge import attempt, sentence
from minidiff.grading import answers, flow, plan, sandbox, wire
from minidiff.grading.forget import hide, load
from minidiff.grading.isolate import coverable, isolate, needed
from minidiff.grading.shell import TimeLimit, open_shell, run_cell
from minidiff.grading.talk import MOST, NUMBER
from minidiff.grading.wire import HEAD, read_frame, write_frame

WATCH = 0.2  # seconds between two looks at a job's processes and memory
LATE = 1.0  # seconds that a cell has to come to its end after its alarm
READING = 2 * 2**30  # bytes that reading a notebook may take
UNDEFINED = re.compile(r"NameError: name '(\w+)' is not defined")
NOT_RUN = ": the cell that defines it takes too long, or ends the process, and does not run when marks are given"


def main():
    """Read the chapter from the first frame of standard input, and serve one job for every further frame."""
    torch.set_num_threads(1)
    incoming, outgoing = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    config = wire.unpack(read_frame(incoming, wire.ORDER)[2], wire.ORDER)
    with contextlib.suppress(BrokenPipeError):  # the grader is gone
        serve(config, incoming, outgoing)
    shutil.rmtree(config["folder"], ignore_errors=True)  # where a grader that is gone cannot


def serve(config, incoming, outgoing):
    """Load the chapter, say so, and do jobs until there are no more."""
    try:
        shell = open_shell()
        lesson = plan.lesson(config["lesson"], config["references"])
        drivers = load(config, shell)
    except BaseException as error:
        write_frame(outgoing, b"e", 0, wire.pack({"stopped": f"loading the chapter {sentence(error)}"}))
        os._exit(1)
    sandbox.adopt()
    config["visible"] = needed(config["course"], list(map(Path, config["hide"])))
    seen = list(map(Path, config["visible"]))
    config["hide"] = [str(f) for folder in config["hide"] for f in coverable(Path(folder), seen)]
    config["base"] = sandbox.memory_of([os.getpid()])
    write_frame(outgoing, b"e", 0, wire.pack({"stopped": ""}))
    while frame := read_frame(incoming, wire.ORDER):
        if frame[0] == b"x":  # the end of a job, which its watcher has seen
            continue
        job = wire.unpack(frame[2], wire.ORDER) | {"number": frame[1]}

        def work(say):
            return read(job, config, lesson, say) if "path" in job else run(job, config, drivers, shell, say)
        if config["fork"]:
            supervise(job, config, work, outgoing, incoming)
            continue
        os.chdir(config["folder"])
        work(lambda letter, body=b"": letter == b"d" or write_frame(outgoing, letter, job["number"], body))
        write_frame(outgoing, b"e", job["number"], wire.pack({"stopped": ""}))
        os._exit(0)  # whatever threads the answer has left


def supervise(job, config, work, outgoing, incoming):
    """Do a job in a process of its own, pass its messages on, and leave nothing of it behind."""
    folder = sandbox.folder_for(config["user"], config["folder"])
    source, sink = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            incoming.close()
            prepare(job, config, folder, sink)
            with os.fdopen(sink, "wb") as out:
                work(lambda letter, body=b"": write_frame(out, letter, job["number"], body))
        finally:
            os._exit(0)
    os.close(sink)
    try:
        stopped = relay(source, outgoing, incoming, config | job, pid)
    finally:
        os.close(source)
        sandbox.kill(pid)
        shutil.rmtree(folder, ignore_errors=True)
    write_frame(outgoing, b"e", job["number"], wire.pack({"stopped": stopped}))


def prepare(job, config, folder, sink):
    """Leave this process the pipe `sink`, its folder, and for an answer nothing else; and hold it to the limits."""
    os.setsid()
    os.chdir(folder)
    os.environ["HOME"] = os.environ["TMPDIR"] = tempfile.tempdir = folder
    sys.path.insert(0, folder)
    if "path" in job:
        job["file"] = os.open(job["path"], os.O_RDONLY | os.O_NONBLOCK | getattr(os, "O_NOFOLLOW", 0))
    kept = {0, 1, 2, sink, job.get("file")}
    for fd in map(int, os.listdir("/proc/self/fd") if sandbox.LINUX else range(256)):
        if fd not in kept:
            with contextlib.suppress(OSError):
                os.close(fd)
    sandbox.become(config["user"])
    sandbox.die_with_parent()
    sandbox.limit(READING if "path" in job else job["memory"], job["cpu"], job["files"])
    if "path" not in job:
        isolated = config["isolate"] and isolate(folder, config["visible"], config["hide"])
        os.write(sink, HEAD.pack(b"i", job["number"], 1) + (b"1" if isolated else b"0"))


def relay(source, outgoing, incoming, config, pid):
    """Copy frames until the job says that it is done, ends, or breaks a limit. Returns why it stopped, or ''.

    That something comes in means that the grader wants no more of this job, or is gone.
    """
    buffer, total, count, timeout = b"", 0, 0, config["timeout"]
    begun = latest = watched = time.monotonic()
    while True:
        ready = select.select([source, incoming], [], [], 0.1)[0]
        now = time.monotonic()
        if incoming in ready:
            return "the grader has stopped it"
        if now - latest > timeout or now - begun > config["seconds"]:
            return f"ran over {config['timeout']:g} s"
        if now - watched > WATCH:
            watched = now
            below = sandbox.descendants(os.getpid())
            if len(below) > sandbox.PROCESSES:
                return f"starts more than {sandbox.PROCESSES} processes"
            if sandbox.memory_of(below) > config["base"] + config["memory"]:
                return f"takes more than {config['memory'] / 2**30:g} GiB of memory"
        if not ready:
            continue
        latest, data = now, os.read(source, 2**16)
        total, buffer = total + len(data), buffer + data
        if not data:
            return ending(pid, config["cpu"])
        if total > wire.TOTAL:
            return "sends more than can be compared"
        while len(buffer) >= HEAD.size and len(buffer) >= HEAD.size + HEAD.unpack_from(buffer)[2]:
            letter, number, size = HEAD.unpack_from(buffer)
            body, buffer = buffer[HEAD.size:HEAD.size + size], buffer[HEAD.size + size:]
            count += 1
            if letter == b"d":
                return ""
            if number != config["number"] or letter not in MOST or size > MOST[letter] or count > config["frames"]:
                return "sends what no answer sends"
            timeout = config["timeout"] + (LATE if letter == b"c" else 0)
            write_frame(outgoing, letter, number, body)


def ending(pid, cpu):
    """How a process that stopped talking ended, in words. cpu: the seconds of processor that it was allowed."""
    for _ in range(100):
        done, status, used = os.wait4(pid, os.WNOHANG)
        if done:
            number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
            if number == getattr(signal, "SIGXCPU", None) or used.ru_utime + used.ru_stime > 0.9 * cpu:
                return "the process died (too much processor time)"
            if number:
                names = {signal.SIGSEGV: "a segmentation fault", signal.SIGKILL: "killed: too much memory?"}
                return f"the process died ({names.get(number, signal.Signals(number).name)})"
            return "the process ended before the answer was given (exit)"
        time.sleep(0.01)  # its exit status arrives a little later than the end of its pipe
    return "the process stopped talking"


def read(job, config, lesson, say):
    """Read a notebook and say, in one message, what it answers and which cells that needs, or why it is none."""
    try:
        file = job.get("file") or os.open(job["path"], os.O_RDONLY)
        with os.fdopen(file, "rb") as stream:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                raise answers.Unreadable("not a file")
            cells = answers.cells_of(stream)
        told = plan.reading(cells, lesson, config["written"]) | {"problem": ""}
        body = wire.pack(told, text=plan.SOURCE, header=MOST[b"r"] - 2**10)
    except BaseException as error:
        words = "has more code in it than can be read" if isinstance(error, wire.WireError) else str(
            error if isinstance(error, answers.Unreadable) else f"cannot be read ({type(error).__name__})")
        body = wire.pack({"problem": words})
    say(b"r", body)
    say(b"d")


def run(job, config, drivers, shell, say):
    """Run the cells that an answer needs, and call it on each case of the job; see `talk` for what is said."""
    hide(*config["references"][job["id"]])
    sys.stdout = sys.stderr = open(os.devnull, "w", encoding="utf-8")
    fn, problem, unrun, left = None, "", list(job["unrun"]), 2 * job["timeout"]
    for number, source in job["cells"]:
        say(b"c", NUMBER.pack(number))
        if number == job["at"]:
            shell.user_ns.pop(job["name"], None)
            error, fn = run_cell(shell, source, job["timeout"]), shell.user_ns.get(job["name"])
            stops = f"ran over {job['timeout']:g} s" if isinstance(error, TimeLimit) else error and sentence(error)
            problem = "" if callable(fn) else f"the cell {stops}" if stops else f"{job['name']} is no function or class"
            continue
        start = time.monotonic()
        if isinstance(run_cell(shell, source, min(left, job["timeout"])), TimeLimit):
            say(b"s", NUMBER.pack(number))
            unrun.append(source)
        left -= time.monotonic() - start
    say(b"c", NUMBER.pack(job["at"]))
    for index, inputs in job["cases"]:
        told = {"index": index, "value": None, "error": problem, "unwritten": False, "changed": "", "drew": False}
        if not problem:
            tried = attempt(job["id"], drivers[job["id"]][index], fn, inputs)
            told |= {"value": tried.value, "error": tried.error, "unwritten": tried.unwritten,
                     "changed": tried.changed, "drew": tried.drew}
        told["error"] = told["error"] and explained(told["error"], unrun)
        try:
            body = wire.pack(told)
        except BaseException as error:
            words = str(error) if isinstance(error, wire.WireError) else f"cannot be read ({type(error).__name__})"
            body = wire.pack(told | {"value": None, "error": words})
        say(b"m", body)
    say(b"d")


def explained(error, unrun):
    """The sentence about an error; of a name that is defined in a cell that did not run, it says so."""
    if "is kept back" in error:
        return error.rpartition(" (line")[0] or error  # that line is none of the student's
    name = UNDEFINED.search(error)
    return error + NOT_RUN if name and any(name[1] in flow.effects(source).binds for source in unrun) else error


if __name__ == "__main__":
    main()
