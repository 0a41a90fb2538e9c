"""The process in which students' code runs. It is started as a program, never imported by the grader.

It loads a chapter once (its modules, our set-up cell, the drivers of its cases), forgets everything that could answer
an exercise (references, expected values, the cases themselves), and then serves jobs from its standard input: one
job is one answer. Where the system can fork, each job runs in a process of its own that is killed at the end; else
this process runs one job and ends. Frames on its standard output are messages of `wire`, after a letter: m from the
job, e at its end. A job itself sends i (is it isolated?), an m for each call, and d when it is done.
"""

import ast
import contextlib
import os
import select
import shutil
import signal
import sys
import tempfile
import time

import torch

from minidiff.exercises.judge import attempt, sentence
from minidiff.grading import sandbox, wire
from minidiff.grading.forget import hide, load
from minidiff.grading.wire import HEAD, read_frame, write_frame

WATCH = 0.2  # seconds between two counts of a job's processes


def main():
    """Read the chapter from the first frame of standard input, and serve one job for every further frame."""
    torch.set_num_threads(1)
    incoming, outgoing = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    config = wire.unpack(read_frame(incoming)[1])
    with contextlib.suppress(BrokenPipeError):  # the grader is gone
        serve(config, incoming, outgoing)
    shutil.rmtree(config["folder"], ignore_errors=True)  # where a grader that is gone cannot


def serve(config, incoming, outgoing):
    """Load the chapter, say so, and run jobs until there are no more."""
    try:
        drivers, space = load(config)
    except Exception as error:
        write_frame(outgoing, b"e", wire.pack({"failed": f"loading the chapter {sentence(error)}"}))
        os._exit(1)
    sandbox.adopt()
    write_frame(outgoing, b"e", wire.pack({"failed": ""}))
    while frame := read_frame(incoming):
        job = wire.unpack(frame[1])
        if config["fork"]:
            supervise(job, config, drivers, space, outgoing, incoming)
        else:
            os.chdir(config["folder"])
            run(job, config, drivers, space, outgoing)
            write_frame(outgoing, b"e", wire.pack({"stopped": "", "isolated": False}))
            os._exit(0)  # whatever threads the answer has left


def supervise(job, config, drivers, space, outgoing, incoming):
    """Run a job in a process of its own, pass its messages on, and leave nothing of it behind."""
    folder = sandbox.folder_for(config["user"], config["folder"])
    source, sink = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            os.setsid()
            os.chdir(folder)
            os.environ["HOME"] = os.environ["TMPDIR"] = tempfile.tempdir = folder
            incoming.close()
            kept = {0, 1, 2, sink}
            for fd in map(int, os.listdir("/proc/self/fd") if sandbox.LINUX else range(256)):
                if fd not in kept:
                    with contextlib.suppress(OSError):
                        os.close(fd)
            sandbox.become(config["user"])
            sandbox.die_with_parent()
            sandbox.limit(config["memory"], config["cpu"], config["files"])
            isolated = config["isolate"] and sandbox.isolate(folder, config["hide"])
            with os.fdopen(sink, "wb") as out:
                write_frame(out, b"i", wire.pack(isolated))
                run(job, config, drivers, space, out)
        finally:
            os._exit(0)
    os.close(sink)
    try:
        stopped, isolated = relay(source, outgoing, incoming, config | job, pid)
    finally:
        os.close(source)
        sandbox.kill(pid)
        shutil.rmtree(folder, ignore_errors=True)
    write_frame(outgoing, b"e", wire.pack({"stopped": stopped, "isolated": isolated}))


def relay(source, outgoing, incoming, config, pid):
    """Copy frames until the job says that it is done, ends, or breaks a limit. Returns (why it stopped, isolated).

    isolated is None until the job has said it, in its first frame. That something comes in means that the grader is
    gone: it asks for nothing else before this job ends.
    """
    buffer, total, isolated, timeout = b"", 0, None, config["timeout"]
    begun = latest = watched = time.monotonic()
    while True:
        ready = select.select([source, incoming], [], [], 0.1)[0]
        now = time.monotonic()
        if incoming in ready:
            return "the grader is gone", isolated
        if now - latest > timeout or now - begun > config["seconds"]:
            return f"ran over {timeout:g} s", isolated
        if now - watched > WATCH:
            watched = now
            if len(sandbox.descendants(os.getpid())) > sandbox.PROCESSES:
                return f"starts more than {sandbox.PROCESSES} processes", isolated
        if not ready:
            continue
        chunk = os.read(source, 1 << 20)
        if not chunk and isolated is None:
            return "the grader could not prepare a process for the answer", None
        if not chunk:
            return ending(pid, config["cpu"]), isolated
        buffer, total = buffer + chunk, total + len(chunk)
        if total > wire.TOTAL:
            return "sends more than can be compared", isolated
        while len(buffer) >= HEAD.size and len(buffer) >= HEAD.size + HEAD.unpack_from(buffer)[1]:
            letter, size = HEAD.unpack_from(buffer)
            body, buffer, latest = buffer[HEAD.size:HEAD.size + size], buffer[HEAD.size + size:], now
            if isolated is None:
                isolated = (letter, body) == (b"i", wire.pack(True))
            elif letter == b"d":
                return "", isolated
            elif letter == b"m":
                write_frame(outgoing, b"m", body)


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


def run(job, config, drivers, space, out):
    """Define the answer and call it on each case of the job. Sends {index, attempt} for each, and d at the end."""
    hide(*config["references"][job["id"]])
    sys.stdout = sys.stderr = open(os.devnull, "w", encoding="utf-8")
    space, problem = dict(space), ""
    for part in job["code"]:
        try:
            define(part, space)
        except BaseException as error:  # what a cell raises is the student's; a helper's shows where it is missed
            problem = sentence(error) if part["answer"] else problem
    fn = space.get(job["name"])
    for index, inputs in job["cases"]:
        if problem or not callable(fn):
            told = {"error": f"the cell {problem}" if problem else f"{job['name']} is no function or class"}
        else:
            tried = attempt(job["id"], drivers[job["id"]][index], fn, inputs)
            told = {"value": tried.value, "error": tried.error, "unwritten": tried.unwritten,
                    "changed": tried.changed, "drew": tried.drew}
        try:
            body = wire.pack({"index": index} | told)
        except BaseException as error:
            told = str(error) if isinstance(error, wire.WireError) else f"cannot be read ({type(error).__name__})"
            body = wire.pack({"index": index, "error": told})
        write_frame(out, b"m", body)
    write_frame(out, b"d", b"")


def define(part, space):
    """Run some statements of a cell, with the line numbers of the cell."""
    tree = ast.parse(part["source"])
    tree.body = [tree.body[i] for i in part["keep"]]
    exec(compile(tree, part["file"], "exec", dont_inherit=True), space)


if __name__ == "__main__":
    main()
