"""Name spaces (Linux): a process leaves the network, the other processes and all files behind that it does not need.

What it needs is a list, `visible`; everything else is not there for it, whatever its rights. Where the kernel allows
no unprivileged name spaces, nothing of this holds, and `isolate` says so.
"""

import ctypes
import os
import signal
import sys
from pathlib import Path

from minidiff.grading.sandbox import LINUX, SCRATCH_MB, die_with_parent

NEW_USER, NEW_NET, NEW_PID, NEW_MOUNT, NEW_IPC = 0x10000000, 0x40000000, 0x20000000, 0x00020000, 0x08000000
READ_ONLY, BIND, RECURSIVE, PRIVATE, DETACH = 1, 1 << 12, 1 << 14, 1 << 18, 2
SYS_PIVOT_ROOT = {"x86_64": 155}.get(os.uname().machine, 41) if LINUX else 0
SYS_MOUNT_SETATTR, AT_FDCWD, AT_RECURSIVE = 442, -100, 0x8000
PR_SET_NO_NEW_PRIVS, CAPABILITIES_VERSION = 38, 0x20080522
SYSTEM = ("/bin", "/lib", "/lib32", "/lib64", "/sbin", "/usr", "/etc/alternatives", "/etc/fonts", "/etc/group",
          "/etc/ld.so.cache", "/etc/localtime", "/etc/nsswitch.conf", "/etc/passwd", "/sys/devices/system/cpu",
          "/dev/full", "/dev/null", "/dev/random", "/dev/urandom", "/dev/zero")


def isolate(folder, visible, hidden=()):
    """See no network, no other process and no file but the `visible` ones, and write nowhere but in `folder`.

    visible: files and folders; hidden: folders inside them that are empty then. Forks: the caller goes on in a new
    process, the first of its own space, and its parent only waits for it. Returns True if all of that holds; where it
    does not, the process goes on as it is.
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
    try:
        failed = _new_root(libc, folder, visible, hidden)
    except OSError:
        failed = True
    os.chdir(folder)
    return not failed | _give_up_privileges(libc)


def _new_root(libc, folder, visible, hidden):
    """Make `folder` the root of all files, with the visible ones in it at their places, and itself empty again."""
    root = os.fsencode(folder)
    failed = libc.mount(b"none", b"/", None, PRIVATE | RECURSIVE, None)
    failed |= libc.mount(b"none", root, b"tmpfs", 0, b"size=1m,nr_inodes=4k")
    for path in map(os.fsencode, visible):
        if os.path.islink(path) and not os.path.islink(root + path):  # such as /lib, into /usr
            os.makedirs(os.path.dirname(root + path), exist_ok=True)
            os.symlink(os.readlink(path), root + path)
            continue
        if os.path.isdir(path):
            os.makedirs(root + path, exist_ok=True)
        else:
            os.makedirs(os.path.dirname(root + path), exist_ok=True)
            os.close(os.open(root + path, os.O_CREAT))
        failed |= libc.mount(path, root + path, None, BIND | RECURSIVE, None)
    for path in map(os.fsencode, hidden):
        if os.path.isdir(root + path):
            failed |= libc.mount(b"none", root + path, b"tmpfs", READ_ONLY, b"size=4k")
    for path in (b"/proc", root):
        os.makedirs(root + path, exist_ok=True)
    failed |= libc.mount(b"proc", root + b"/proc", b"proc", 0, None)
    read_only = (ctypes.c_uint64 * 4)(READ_ONLY)
    failed |= libc.syscall(SYS_MOUNT_SETATTR, AT_FDCWD, root, AT_RECURSIVE, read_only, ctypes.sizeof(read_only))
    failed |= libc.mount(b"none", root + root, b"tmpfs", 0, b"size=%dm,nr_inodes=10k" % SCRATCH_MB)
    if failed:
        return True
    os.chdir(root)
    return libc.syscall(SYS_PIVOT_ROOT, b".", b".") | libc.umount2(b".", DETACH)


def _give_up_privileges(libc):
    """Drop the rights over its own space that made it possible to set it up: nothing can be unmounted again."""
    header, none = (ctypes.c_uint32 * 2)(CAPABILITIES_VERSION, 0), (ctypes.c_uint32 * 6)()
    return libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) | libc.capset(header, none)


def needed(course, without=()):
    """The files and folders that an answer needs: the system's libraries, Python with its packages, and the course's.

    course: folders of the course with data; without: folders of which none is needed, nor any that holds one of them.
    """
    python = [sys.prefix, sys.base_prefix, *sys.path, *os.environ.get("LD_LIBRARY_PATH", "").split(":")]
    found = [Path(path) for path in (*python, *_folders_of_libraries(), *course) if path and Path(path).is_dir()]
    real = {path: path.resolve() for path in found}
    kept = [p for path, r in real.items() if not any(w.is_relative_to(r) for w in without) for p in (path, r)]
    outermost = [p for p in dict.fromkeys(map(Path.absolute, kept)) if not any(
        p != q and p.is_relative_to(q) for q in (*kept, *map(Path, SYSTEM)))]
    return [str(p) for p in (*filter(os.path.lexists, SYSTEM), *dict.fromkeys(outermost)) if str(p) not in ("/", "")]


def _folders_of_libraries():
    """The folders of the libraries that this process has loaded."""
    try:
        lines = Path("/proc/self/maps").read_text().splitlines()
    except OSError:
        return set()
    return {os.path.dirname(line.split(maxsplit=5)[5]) for line in lines if ".so" in line and line.count(" /") == 1}


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
