"""The part of the grader that depends on the operating system: limits, and the end of all processes.

`limit` runs in the process that will run a student's code, `descendants`, `memory_of` and `kill` in the one that
watches it. Linux has all of it; macOS keeps no memory limit and no count of processes; Windows keeps neither fork nor
limits, only the clock. `promises()` says in words what holds; name spaces are in `isolate`.
"""

import ctypes
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

LINUX = sys.platform.startswith("linux")
CAN_FORK = hasattr(os, "fork")
PROCESSES = 32  # that one exercise may have at a time
OPEN = 128  # files that one process may have open
SCRATCH_MB = 64  # of the folder in which an isolated answer may write
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER = 1, 4, 36


def adopt():
    """Make this process the parent of every orphan below it, so that none is lost (Linux)."""
    if LINUX:
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def die_with_parent():
    """End this process when the one that started it ends, whatever happens to that one (Linux)."""
    if LINUX:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def limit(memory, cpu, files):
    """Limit this process and its children: bytes beyond what it has now, seconds of processor, bytes of one file."""
    import resource
    if LINUX:
        now = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        resource.setrlimit(resource.RLIMIT_AS, (now + memory,) * 2)
        resource.setrlimit(resource.RLIMIT_NPROC, (count_of_mine() + PROCESSES,) * 2)
    resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (files, files))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN, OPEN))


def folder_for(user, parent):
    """A new folder in `parent` that belongs to `user`, (user id, group id), or to this process where that is None."""
    folder = tempfile.mkdtemp(dir=parent)
    if user:
        os.chmod(parent, 0o711)
        os.chown(folder, *user)
    return folder


def become(user):
    """Go on as another user, (user id, group id), for good; only root can (Linux, macOS). None: stay who you are."""
    if not user:
        return
    os.setgroups([])
    os.setgid(user[1])
    os.setuid(user[0])
    if LINUX:
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)  # keeps /proc/self its own: `isolate` writes there


def count_of_mine():
    """How many processes and threads this user has (Linux): the limit on them counts all."""
    mine, count = os.getuid(), 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            count += len(os.listdir(folder / "task")) if folder.stat().st_uid == mine else 0
        except OSError:
            pass
    return count


def descendants(pid):
    """The processes below a process (Linux; elsewhere none are seen)."""
    if not LINUX:
        return []
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            parents.setdefault(int(fields[1]), []).append(int(folder.name))
        except (OSError, ValueError, IndexError):
            pass
    below, queue = [], [pid]
    while queue:
        children = parents.get(queue.pop(), [])
        below += children
        queue += children
    return below


def memory_of(pids):
    """The bytes that some processes hold together: shared pages once, and files that live in memory alone (Linux)."""
    total, files = 0, {}
    for pid in pids if LINUX else ():
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            total += next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
            for file in Path(f"/proc/{pid}/fd").iterdir():
                if os.readlink(file).startswith("/memfd:"):
                    about = file.stat()
                    files[about.st_dev, about.st_ino] = about.st_blocks * 512
        except (OSError, ValueError, StopIteration):
            pass
    return total + sum(files.values())


def end(pid):
    """Kill one process at once."""
    try:
        os.kill(pid, getattr(signal, "SIGKILL", signal.SIGTERM))
    except (ProcessLookupError, PermissionError):
        pass


def kill(pid):
    """End a process, its group, and all that this process has adopted or that stands below it."""
    for _ in range(100):  # a process that forks while it is killed leaves more
        try:
            os.killpg(pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass
        for other in (pid, *descendants(os.getpid())):
            end(other)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.01)


def strays(word):
    """The processes whose environment names `word`: those of a job whose watcher was killed (Linux)."""
    found = []
    for folder in Path("/proc").glob("[0-9]*") if LINUX else ():
        try:
            if word.encode() in (folder / "environ").read_bytes():
                found.append(int(folder.name))
        except OSError:
            pass
    return found


def promises(isolated):
    """What holds on this machine, in one line for the report."""
    if not CAN_FORK:
        return ("limits: wall clock alone (this system has no fork); student code sees the network and your files, and "
                "what it starts may outlive it")
    limits = f"wall clock, processor time, {'memory, number of processes, ' if LINUX else ''}size of one file"
    if isolated:
        return (f"limits: {limits}; no network, own process ids; reads Python, its packages and the course's data, "
                "writes only in a folder of its own")
    stays = "" if LINUX else ", and what it starts may outlive it"
    return f"limits: {limits}; student code sees the network, your processes and your files{stays}"
