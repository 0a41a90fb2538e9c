"""Which data sets there are, where their files lie on this machine, and whether their bytes are the published ones."""

import gzip
import hashlib
import os
import tomllib
import zlib
from dataclasses import dataclass
from pathlib import Path

from minidiff import places
from minidiff.data.errors import DataError

HERE = places.DATASETS  # the registry, and in a checkout the downloads beside it
TORCHVISION = {"mnist": "MNIST/raw", "fashion-mnist": "FashionMNIST/raw"}  # the folders where torchvision leaves files


@dataclass(frozen=True)
class File:
    """One file of a data set: its size at the mirrors, and the digest of the file or of its decompressed content."""

    name: str
    bytes: int
    algorithm: str  # "sha256" or "md5"
    digest: str
    of: str  # "file" or "content"


@dataclass(frozen=True)
class Dataset:
    """One data set of the registry; `mirrors` are tried in this order."""

    name: str
    title: str
    licence: str
    source: str
    mirrors: tuple[str, ...]
    files: tuple[File, ...]


def datasets():
    """Read datasets/registry.toml: a dict name -> Dataset. Raises DataError when it cannot be read."""
    try:
        table = tomllib.loads((HERE / "registry.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"the registry of data sets cannot be read: {error}") from error
    return {name: Dataset(name, d["title"], d["licence"], d["source"], tuple(d["mirrors"]),
                          tuple(_file(key, entry, d["of"]) for key, entry in d["files"].items()))
            for name, d in table.items()}


def dataset(name):
    """The entry of the registry called `name`; raises DataError when there is none."""
    known = datasets()
    if name not in known:
        raise DataError(f"there is no data set {name!r} in the registry, which has {', '.join(known)}")
    return known[name]


def folders(name):
    """Where the files of a data set may lie: in $MINIDIFF_DATA, when that is set, then beside the registry.

    In each as the folder `name` and as torchvision calls it, such as MNIST/raw. The last is where downloads go.
    """
    chosen = os.environ.get("MINIDIFF_DATA")
    roots = ([Path(chosen).expanduser()] if chosen else []) + [HERE]
    torchvision = [root / TORCHVISION[name] for root in roots if name in TORCHVISION]
    return [root / name for root in roots[:-1]] + torchvision + [downloads() / name]


def downloads():
    """The folder of all downloads: beside the registry in a checkout, in the user's cache where pip installed us."""
    return places.CACHE if places.INSTALLED else HERE


def locate(name, file):
    """The first path where a File of the data set `name` lies, as it is published or without its gzip, or None.

    Without gzip only where the published digest is that of the content, so that it can be checked.
    """
    kinds = [file.name] + ([unpacked(file)] if file.of == "content" else [])
    paths = (folder / kind for folder in folders(name) for kind in kinds)
    return next((path for path in paths if path.is_file()), None)


def unpacked(file):
    """The name of a File once gzip is undone."""
    return file.name.removesuffix(".gz")


def content(path, file):
    """The bytes of a file, checked against the registry, with gzip undone where the digest is of the content.

    A path that ends in the name without .gz holds the content itself. Raises DataError when the file cannot be read, or
    is truncated or altered.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    if file.of == "content" and Path(path).name != unpacked(file):
        data = gunzip(data, path)
    digest = hashlib.new(file.algorithm, data, usedforsecurity=False).hexdigest()
    if digest != file.digest:
        raise DataError(f"{path} is damaged: the {file.algorithm} of its {file.of} is {digest[:12]}..., published is "
                        f"{file.digest[:12]}...")
    return data


def problem(path, file):
    """What is wrong with a file that lies at `path`, in one sentence, or None."""
    try:
        content(path, file)
    except DataError as error:
        return str(error)
    return None


def gunzip(data, path):
    """Undo gzip. `path` is named in the DataError that truncated or altered bytes raise."""
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} is damaged: it is not a whole gzip file ({error})") from error


def _file(name, entry, of):
    algorithm = "sha256" if "sha256" in entry else "md5"
    return File(name, entry["bytes"], algorithm, entry[algorithm], of)
