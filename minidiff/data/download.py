"""Downloads that may be interrupted at any moment: nothing takes its final name before its bytes were checked."""

import contextlib
import os
import shutil
import ssl
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path

from tqdm import tqdm

from minidiff.data.errors import DataError
from minidiff.data.registry import dataset, folders, locate, problem

try:
    import fcntl
except ImportError:  # Windows: two downloads at once then end in a clear error, not in a wrong file
    fcntl = None

CHUNK = 1 << 16
TIMEOUT = 20.0  # seconds without a byte
NETWORK_ERRORS = (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError, ssl.SSLError, ValueError)


def fetch(name, timeout=TIMEOUT):
    """Download the files of a data set that are not on this machine, into the last of `folders`; verify those that are.

    Returns the paths. Raises DataError when no mirror has a good file, or a file that lies here is damaged.
    """
    entry, paths = dataset(name), []
    for file in entry.files:
        path = locate(name, file)
        if path and (damage := problem(path, file)):
            raise DataError(f"{damage}; delete it, and fetch it again")
        paths.append(path or download(file, entry.mirrors, folders(name)[-1], timeout))
    return paths


def download(file, mirrors, folder, timeout=TIMEOUT):
    """Download a File of the registry from the first mirror that serves it whole; returns its path in `folder`.

    The bytes are collected in NAME.part, where a later call goes on, and NAME appears when its digest is right. A
    second process waits for the first. Raises DataError that says what each mirror did.
    """
    path, part = Path(folder) / file.name, Path(folder) / f"{file.name}.part"
    with _disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(path.parent).free
        if free < file.bytes:
            raise DataError(f"no room for {path}: it needs {file.bytes / 1e6:.1f} MB, the disk has {free / 1e6:.1f} MB")
        with _alone(part):
            if path.exists():  # the process that we waited for has downloaded it
                part.unlink(missing_ok=True)
                return path
            part.touch()
            failures = _try_mirrors(file, mirrors, part, timeout)
            if failures is None:
                os.replace(part, path)
            elif part.stat().st_size == 0:
                part.unlink()
    if failures:
        raise DataError(f"{file.name} could not be downloaded ({'; '.join(failures)}); try again later, put it by "
                        f"hand into {path.parent}, or let MINIDIFF_DATA name a folder that has "
                        f"{path.parent.name}/{path.name}")
    return path


def _try_mirrors(file, mirrors, part, timeout):
    """Fill `part` from the first mirror that serves the right bytes. Returns None, or what each mirror did instead."""
    failures = []
    for mirror in mirrors:
        try:
            resumed = _receive(mirror + file.name, part, file, timeout)
            damage = problem(part, file)
            if damage and resumed:  # what lay here before may be to blame, so once more without it
                part.write_bytes(b"")
                _receive(mirror + file.name, part, file, timeout)
                damage = problem(part, file)
        except NETWORK_ERRORS as error:
            failures.append(f"{mirror}: {error}")
            continue
        if damage is None:
            return None
        part.write_bytes(b"")
        failures.append(f"{mirror}: {damage}")
    return failures


def _receive(url, part, file, timeout):
    """Add to `part` what is missing of `url`. Returns whether bytes of an earlier attempt were kept."""
    have = part.stat().st_size
    headers = {"User-Agent": "minidiff"} | ({"Range": f"bytes={have}-"} if have else {})
    try:
        reply = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=timeout)
    except urllib.error.HTTPError as error:
        if error.code != 416 or not have:  # 416: nothing is missing, or what lies here is longer than the file
            raise
        return True
    with reply:
        where = reply.headers.get("Content-Range", "")
        resumed = have > 0 and reply.status == 206 and where.startswith(f"bytes {have}-")
        if not resumed and reply.status != 200:
            raise HTTPException(f"answered {reply.status} {where}".strip())
        have = have if resumed else 0
        length = reply.headers.get("Content-Length")
        total = have + int(length) if length else None
        with open(part, "r+b") as out, tqdm(total=total or file.bytes, initial=have, unit="B", unit_scale=True,
                                            desc=file.name, disable=None, leave=False) as bar:
            out.truncate(have)
            out.seek(have)
            while block := reply.read(CHUNK):
                out.write(block)
                have += len(block)
                bar.update(len(block))
                if have > 2 * file.bytes:
                    raise HTTPException(f"serves more than twice the {file.bytes} bytes of the file")
        if total is not None and have < total:
            raise HTTPException(f"broke off after {have} of {total} bytes")
    return resumed


@contextlib.contextmanager
def _alone(part):
    """Hold the partial file for this process; the lock goes with the process, however it ends."""
    if fcntl is None:
        yield
        return
    with open(part, "ab") as handle:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _disk_errors(path):
    try:
        yield
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror or error}") from error
