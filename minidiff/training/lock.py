"""One run in one folder: a lock that goes with its process, however that ends."""

import contextlib
import errno
import os
from pathlib import Path

from minidiff.training.errors import CheckpointError, TrainingError

try:
    import fcntl
except ImportError:
    fcntl = None
    import msvcrt


@contextlib.contextmanager
def alone_in(folder):
    """Hold a folder, which is made if need be: a second process, or a second call, gets TrainingError meanwhile.

    The lock is the system's, on FOLDER/.lock, so it is gone when the process is, even after kill -9; the file stays.
    Raises CheckpointError where the folder cannot be written. A file system without locks does not stop a run.
    """
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        file = open(Path(folder) / ".lock", "a+")
    except OSError as error:
        raise CheckpointError(f"cannot write {folder}: {error.strerror or error}") from None
    with file:
        try:
            _take(file)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EAGAIN, errno.EDEADLK):
                raise TrainingError(f"another run is training in {folder}{_holder(file)}: wait for it, stop it, or "
                                    "choose another folder") from None
        else:
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
        yield


def _take(file):
    if fcntl:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    else:
        file.seek(1 << 20)  # Windows lets nobody read what is locked: a byte that is not there holds the lock
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)


def _holder(file):
    file.seek(0)
    number = file.read(20).strip()
    return f" (process {number})" if number.isdigit() else ""
