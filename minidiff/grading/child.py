"""The process in which students' code runs. It is started as a program, never imported by the grader.

It loads a chapter once (its modules, our set-up cell, the drivers of its cases), forgets everything that could answer
an exercise (references, expected values, the cases themselves), and then serves jobs from its standard input: one
job is one answer. Where the system can fork, each job runs in a process of its own that is killed at the end; else
this process runs one job and ends. Frames on its standard output are messages of `wire`, after a letter: m from the
job, e at its end.
"""

import ast
import contextlib
import gc
import importlib
import importlib.util
import io
import os
import select
import shutil
import signal
import struct
import sys
import time
import types

import torch

from minidiff.exercises.judge import attempt, sentence
from minidiff.grading import sandbox, wire

HEAD = struct.Struct("<cQ")
TOTAL = 4 * wire.LIMIT  # bytes that one job may send


def main():
    """Read the chapter from the first frame of standard input, and serve one job for every further frame."""
    torch.set_num_threads(1)
    incoming, outgoing = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    config = wire.unpack(read_frame(incoming)[1])
    drivers, space = load(config)
    sandbox.adopt()
    write_frame(outgoing, b"e", wire.pack({"stopped": "", "isolated": False}))
    while frame := read_frame(incoming):
        job = wire.unpack(frame[1])
        if config["fork"]:
            supervise(job, config, drivers, space, outgoing, incoming)
        else:
            os.chdir(config["folder"])
            run(job, config, drivers, space, outgoing)
            write_frame(outgoing, b"e", wire.pack({"stopped": "", "isolated": False}))
            os._exit(0)


def read_frame(stream):
    """The next (letter, bytes) of a stream, or None at its end."""
    head = stream.read(HEAD.size)
    if len(head) < HEAD.size:
        return None
    letter, size = HEAD.unpack(head)
    if size > TOTAL:
        return None
    body = stream.read(size)
    return (letter, body) if len(body) == size else None


def write_frame(stream, letter, body):
    """Send one frame."""
    stream.write(HEAD.pack(letter, len(body)) + body)
    stream.flush()


def load(config):
    """Import a chapter, keep the drivers of its cases and our set-up cell's names, and forget the answers."""
    for name in config["modules"]:
        importlib.import_module(name)
    sources = [importlib.import_module(f"minidiff.exercises.{config['chapter']}")]
    by_id = {e.id: [case.drive for case in e.cases] for e in sources[0].EXERCISES}
    for file in config["hidden"]:
        spec = importlib.util.spec_from_file_location(f"hidden_{config['chapter']}", file)
        sources.append(importlib.util.module_from_spec(spec))
        spec.loader.exec_module(sources[-1])
        for name, cases in sources[-1].HIDDEN.items():
            by_id[name] += [case.drive for case in cases]
    sources += [m for name, m in sys.modules.items() if name.startswith("minidiff.exercises.ch")]
    needed = needed_names([drive for drives in by_id.values() for drive in drives])
    for module in sources:
        kept = needed.get(id(vars(module)), ())
        for name in [n for n in vars(module) if not n.startswith("__") and n not in kept]:
            delattr(module, name)
    space = {"__name__": "__main__"}
    with contextlib.redirect_stderr(io.StringIO()):
        exec(config["setup"], space)
    space |= {"answer": lambda id, fn: fn, "check": lambda id, fn, seed=0: None, "hint": lambda id: None,
              "progress": lambda: None}
    for name in [n for n in sys.modules if n.startswith(("minidiff.exercises.ch", "minidiff.grading"))]:
        module = sys.modules.pop(name)
        parent, _, leaf = name.rpartition(".")
        vars(sys.modules.get(parent, module)).pop(leaf, None)
    sys.meta_path.insert(0, KeepsBack())
    gc.collect()
    gc.freeze()
    return by_id, space


class KeepsBack:
    """An importer that refuses every module of minidiff that the chapter has not loaded."""

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "minidiff":
            raise ImportError(f"{name} is not part of this chapter, or is kept back while answers are graded")


def needed_names(functions):
    """The global names that functions use, and the functions that those use: {id of a module's dict: set of names}."""
    needed, queue, seen = {}, list(functions), set()
    while queue:
        thing = queue.pop()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        if isinstance(thing, type):
            queue += [v for v in vars(thing).values() if isinstance(v, types.FunctionType)]
        if not isinstance(thing, types.FunctionType):
            continue
        queue += [cell.cell_contents for cell in thing.__closure__ or ()] + list(thing.__defaults__ or ())
        names = names_in(thing.__code__) & set(thing.__globals__)
        needed.setdefault(id(thing.__globals__), set()).update(names)
        queue += [thing.__globals__[name] for name in names]
    return needed


def names_in(code):
    """All names that a code object and those inside it look up."""
    return set(code.co_names).union(*[names_in(c) for c in code.co_consts if isinstance(c, types.CodeType)])


def supervise(job, config, drivers, space, outgoing, incoming):
    """Run a job in a process of its own, pass its messages on, and leave nothing of it behind."""
    folder = sandbox.folder_for(config["user"], config["folder"])
    source, sink = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            os.setsid()
            os.chdir(folder)
            os.environ["HOME"] = os.environ["TMPDIR"] = folder
            incoming.close()
            kept = {0, 1, 2, sink}
            for fd in map(int, os.listdir("/proc/self/fd") if sandbox.LINUX else range(256)):
                if fd not in kept:
                    with contextlib.suppress(OSError):
                        os.close(fd)
            sandbox.become(config["user"])
            isolated = sandbox.isolate(config["hide"])
            sandbox.limit(config["memory"], config["cpu"], config["files"])
            with os.fdopen(sink, "wb") as out:
                write_frame(out, b"i", wire.pack(isolated))
                run(job, config, drivers, space, out)
        finally:
            os._exit(0)
    os.close(sink)
    stopped, isolated = relay(source, outgoing, config["timeout"], pid)
    os.close(source)
    if not stopped:
        status = os.waitpid(pid, os.WNOHANG)[1]
        stopped = f"the process died ({signal.Signals(status & 127).name})" if status & 127 else ""
    sandbox.kill(pid)
    shutil.rmtree(folder, ignore_errors=True)
    write_frame(outgoing, b"e", wire.pack({"stopped": stopped, "isolated": isolated}))


def relay(source, outgoing, timeout, pid):
    """Copy frames until the job says that it is done, ends, or breaks a limit. Returns (why it stopped, isolated)."""
    buffer, total, isolated = b"", 0, False
    begun = latest = time.monotonic()
    while True:
        ready = select.select([source], [], [], 0.1)[0]
        now = time.monotonic()
        if now - latest > timeout or now - begun > 6 * timeout:
            return f"ran over {timeout:g} s", isolated
        if len(sandbox.descendants(os.getpid())) > sandbox.PROCESSES:
            return f"starts more than {sandbox.PROCESSES} processes", isolated
        if not ready:
            continue
        chunk = os.read(source, 1 << 20)
        if not chunk:
            time.sleep(0.01)  # its exit status arrives a little later than the end of its pipe
            return ending(pid), isolated
        buffer, total = buffer + chunk, total + len(chunk)
        if total > TOTAL:
            return "sends more than can be compared", isolated
        while len(buffer) >= HEAD.size and len(buffer) >= HEAD.size + HEAD.unpack_from(buffer)[1]:
            letter, size = HEAD.unpack_from(buffer)
            body, buffer, latest = buffer[HEAD.size:HEAD.size + size], buffer[HEAD.size + size:], now
            if letter == b"i":
                isolated = body == wire.pack(True)
            elif letter == b"d":
                return "", isolated
            elif letter == b"m":
                write_frame(outgoing, b"m", body)


def ending(pid):
    """How a process that stopped talking ended, in words."""
    for _ in range(100):
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            if os.WIFSIGNALED(status):
                number = os.WTERMSIG(status)
                names = {signal.SIGSEGV: "a segmentation fault", signal.SIGXCPU: "too much processor time",
                         signal.SIGKILL: "killed: too much memory?"}
                return f"the process died ({names.get(number, signal.Signals(number).name)})"
            return "the process ended before the answer was given (exit)"
        time.sleep(0.01)
    return "the process stopped talking"


def run(job, config, drivers, space, out):
    """Define the answer and call it on each case of the job. Sends {index, attempt} for each, and d at the end."""
    hide(*config["references"][job["id"]])
    space, problem = dict(space), ""
    for part in job["code"]:
        try:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                define(part, space)
        except BaseException as error:  # what a cell raises is the student's; a helper's shows where it is missed
            problem = sentence(error) if part["answer"] else problem
    fn = space.get(job["name"])
    for index, inputs in job["cases"]:
        sys.stdout = io.StringIO()
        if problem or not callable(fn):
            told = {"error": f"the cell {problem}" if problem else f"{job['name']} is no function or class"}
        else:
            tried = attempt(job["id"], drivers[job["id"]][index], fn, inputs)
            told = {"value": tried.value, "error": tried.error, "unwritten": tried.unwritten,
                    "changed": tried.changed, "drew": tried.drew}
        try:
            body = wire.pack({"index": index} | told)
        except BaseException as error:
            words = str(error) if isinstance(error, wire.WireError) else f"gives something unreadable ({type(error)})"
            body = wire.pack({"index": index, "error": words})
        write_frame(out, b"m", body)
    write_frame(out, b"d", b"")


def define(part, space):
    """Run some statements of a cell, with the line numbers of the cell."""
    tree = ast.parse(part["source"])
    tree.body = [tree.body[i] for i in part["keep"]]
    exec(compile(tree, part["file"], "exec", dont_inherit=True), space)


def hide(module, name):
    """Put a refusal in the place of minidiff's own answer, wherever it is known."""
    own = getattr(sys.modules[module], name)

    def kept_back(*args, **kwargs):
        raise RuntimeError(f"minidiff's own {name} is kept back while your answer is graded")

    for known in list(sys.modules.values()) + [None]:
        for key, value in list(getattr(known, "__dict__", {}).items()) if known else ():
            if value is own and getattr(known, "__name__", "").startswith(("minidiff", "hidden")):
                setattr(known, key, kept_back)


if __name__ == "__main__":
    main()
