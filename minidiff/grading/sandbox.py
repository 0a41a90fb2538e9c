"""The part of the grader that depends on the operating system: limits, isolation, and the end of all processes.

`limit` and `isolate` run in the process that will run a student's code, `descendants` and `kill` in the one that
watches it. Linux has all of it where the kernel allows; macOS keeps no memory limit, no name spaces and no count of
processes; Windows keeps neither fork nor limits, only the clock. `promises()` says in words what holds.
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
SCRATCH_MB = 64  # of the folder in which an isolated answer may write
NEW_USER, NEW_NET, NEW_PID, NEW_MOUNT, NEW_IPC = 0x10000000, 0x40000000, 0x20000000, 0x00020000, 0x08000000
READ_ONLY, RECURSIVE, PRIVATE = 1, 1 << 14, 1 << 18
SYS_MOUNT_SETATTR, AT_FDCWD, AT_RECURSIVE = 442, -100, 0x8000
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 4, 36, 38
CAPABILITIES_VERSION = 0x20080522


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


def isolate(folder, hidden=()):
    """Leave the network, the other processes and the folders `hidden` behind, and write nowhere but in `folder`.

    On Linux, where the kernel allows it. Forks: the caller goes on in a new process, the first of its own space, and
    its parent only waits for it. Returns True if all of that holds; where it does not, the process goes on as it is.
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
    die_with_parent()  # once more: the kernel forgets it when rights change
    child = os.fork()
    if child:
        status = os.waitpid(child, 0)[1]
        if os.WIFSIGNALED(status):
            if os.WTERMSIG(status) != signal.SIGKILL:
                signal.signal(os.WTERMSIG(status), signal.SIG_DFL)
            os.kill(os.getpid(), os.WTERMSIG(status))
        os._exit(os.WEXITSTATUS(status))
    die_with_parent()
    failed = libc.mount(b"none", b"/", None, PRIVATE | RECURSIVE, None)
    failed |= libc.mount(b"proc", b"/proc", b"proc", 0, None)
    for path in hidden:
        failed |= libc.mount(b"none", os.fsencode(path), b"tmpfs", READ_ONLY, b"size=4k")
    read_only = (ctypes.c_uint64 * 4)(READ_ONLY)
    failed |= libc.syscall(SYS_MOUNT_SETATTR, AT_FDCWD, b"/", AT_RECURSIVE, read_only, ctypes.sizeof(read_only))
    failed |= libc.mount(b"none", os.fsencode(folder), b"tmpfs", 0, b"size=%dm,nr_inodes=10k" % SCRATCH_MB)
    os.chdir(folder)
    return not failed | _give_up_privileges(libc)


def _give_up_privileges(libc):
    """Drop the rights over its own space that made it possible to set it up: nothing can be unmounted again."""
    header, none = (ctypes.c_uint32 * 2)(CAPABILITIES_VERSION, 0), (ctypes.c_uint32 * 6)()
    return libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) | libc.capset(header, none)


def needed(folder):
    """The folders that an answer needs in any case: the system's, Python's, and `folder`."""
    system = ("/bin", "/dev", "/etc", "/lib", "/lib64", "/proc", "/sys", "/usr")
    return [Path(path).resolve() for path in (*system, sys.prefix, sys.base_prefix, *sys.path, folder)]


def coverable(folder, needed):
    """The folders that hide `folder` without hiding any path in `needed`: itself, or what lies beside those paths."""
    if not any(path.is_relative_to(folder) for path in needed):
        return [folder]
    if folder in needed:
        return []
    try:
        inside = sorted(p for p in folder.iterdir() if p.is_dir() and not p.is_symlink())
    except OSError:
        return []
    return [found for path in inside for found in coverable(path, needed)]


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
        return f"limits: {limits}; no network, own process ids, writes only in a folder of its own"
    stays = "" if LINUX else ", and what it starts may outlive it"
    return f"limits: {limits}; student code sees the network, your processes and your files{stays}"
