"""The part of the grader that depends on the operating system: limits, isolation, and the end of all processes.

`start()` runs in the process that will run a student's code, `descendants` and `kill` in the one that watches it.
Linux has all of it where the kernel allows; macOS keeps no memory limit and no name spaces; Windows keeps neither
fork nor limits, only the clock. `promises()` says in words what holds on this machine.
"""

import ctypes
import os
import signal
import sys
import tempfile
from pathlib import Path

LINUX = sys.platform.startswith("linux")
CAN_FORK = hasattr(os, "fork")
PROCESSES = 32  # that one exercise may have at a time
NEW_USER, NEW_NET, NEW_PID, NEW_MOUNT, NEW_IPC = 0x10000000, 0x40000000, 0x20000000, 0x00020000, 0x08000000
PRIVATE, RECURSIVE, READ_ONLY = 1 << 18, 1 << 14, 1
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER = 1, 4, 36


def adopt():
    """Make this process the parent of every orphan below it, so that none is lost (Linux)."""
    if LINUX:
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def limit(memory, cpu, files):
    """Limit this process and its children: bytes beyond what it has now, seconds of processor, bytes of one file."""
    if not CAN_FORK:
        return
    import resource
    if LINUX:
        now = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        resource.setrlimit(resource.RLIMIT_AS, (now + memory,) * 2)
        resource.setrlimit(resource.RLIMIT_NPROC, (count_of_mine() + PROCESSES,) * 2)
    resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (files, files))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


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


def isolate(hidden=()):
    """Leave the network, the other processes and the folders `hidden` behind (Linux, where allowed).

    Forks: the caller goes on in a new process, the first of its own space, and its parent only waits for it. Returns
    True if all of that held; where it does not, the process goes on as it is.
    """
    if not LINUX:
        return False
    libc, user, group = ctypes.CDLL(None, use_errno=True), os.getuid(), os.getgid()
    if libc.unshare(NEW_USER | NEW_NET | NEW_PID | NEW_MOUNT | NEW_IPC):
        return False
    try:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    except OSError:
        return False
    child = os.fork()
    if child:
        status = os.waitpid(child, 0)[1]
        if os.WIFSIGNALED(status):
            signal.signal(os.WTERMSIG(status), signal.SIG_DFL)
            os.kill(os.getpid(), os.WTERMSIG(status))
        os._exit(os.WEXITSTATUS(status))
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    libc.mount(b"none", b"/", None, PRIVATE | RECURSIVE, None)
    libc.mount(b"proc", b"/proc", b"proc", 0, None)
    for folder in hidden:
        libc.mount(b"none", str(folder).encode(), b"tmpfs", READ_ONLY, b"size=4k")
    return True


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


def end(pid):
    """Kill one process at once."""
    try:
        os.kill(pid, getattr(signal, "SIGKILL", signal.SIGTERM))
    except (ProcessLookupError, PermissionError):
        pass


def kill(pid):
    """End a process, its group, and all that this process has adopted or that stands below it."""
    for _ in range(50):  # a process that forks while it is killed leaves more
        try:
            os.killpg(pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass
        below = descendants(os.getpid())
        for other in (pid, *below):
            end(other)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        if not below:
            return


def promises(isolated):
    """What holds on this machine, in one line for the report."""
    if not CAN_FORK:
        return "limits: wall clock only (this system has no fork); student code sees the network and your files"
    rest = "own network, own process ids" if isolated else "student code sees the network and your processes"
    memory = "memory, " if LINUX else ""
    return f"limits: wall clock, processor time, {memory}file size, processes; {rest}"
