"""The one door to all data: a name and a split in, images in [-1, 1] and labels out."""

import importlib
from importlib.util import find_spec

import torch

from minidiff.data.cifar import read_archive
from minidiff.data.download import fetch
from minidiff.data.errors import DataError, check_split
from minidiff.data.idx import read_idx
from minidiff.data.registry import content, dataset, datasets, gunzip, locate, problem
from minidiff.data.strokes import strokes

STROKES = {"train": 60_000, "test": 10_000}  # as many as MNIST has
ABSENT = "not on this machine"
OWN = {"emoji": "emoji", "openmoji": "emoji", "shapes": "shapes"}  # sets with a module of their own, of a later chapter


def load(name, split, n=None, size=28):
    """Load images and labels; a data set that is not on this machine is downloaded first.

    name: "strokes", "mnist", "fashion-mnist", "cifar10", or one of those that a later chapter knows more of: "emoji",
    "openmoji" (labels: the style) and "shapes" (labels: how many objects); split: "train" or "test"; n: only the first
    n images; size: of drawn strokes, other images have their own. Files are sought as `registry.folders` says,
    $MINIDIFF_DATA first, and their digest is verified.
    Returns (N, 1, 28, 28) float32 in [-1, 1] (in colour: (N, 3, 32, 32)) and (N,) int64. Raises DataError.
    """
    check_split(split)
    if n is not None and n < 1:
        raise DataError(f"n must be at least 1, got {n}")
    if name == "strokes":
        return strokes(STROKES[split] if n is None else n, split=split, size=size)
    if size != 28:
        raise DataError(f"only strokes are drawn in any size; {name!r} cannot be loaded with size = {size}")
    if name in own():
        return importlib.import_module(f"minidiff.data.{OWN[name]}").labelled(name, split, n)
    images, labels = _read(name, split)
    if n is not None and n > len(images):
        raise DataError(f"{name} has {len(images)} {split} images, asked for were {n}")
    return images[:n].float() / 127.5 - 1, labels[:n]


def own():
    """The names of the data sets that come with the package in a module of their own: a list."""
    return [name for name, module in OWN.items() if find_spec(f"minidiff.data.{module}")]


def available(name):
    """Whether `load(name, ...)` finds its files without a download. Raises DataError for an unknown name."""
    return name == "strokes" or name in own() or all(locate(name, file) for file in dataset(name).files)


def verify(name):
    """Check each file of a data set: a list of (file name, what is wrong or None); ABSENT when it is not here."""
    places = [(file, locate(name, file)) for file in dataset(name).files]
    return [(file.name, problem(path, file) if path else ABSENT) for file, path in places]


def _read(name, split):
    """Images uint8 (N, C, H, W) and labels int64 (N,) of a data set of the registry."""
    if name not in datasets():
        raise DataError(f"there is no data set {name!r}; there are strokes, {', '.join([*datasets(), *own()])}")
    if not available(name):
        fetch(name)
    files = {file.name: file for file in dataset(name).files}
    if name == "cifar10":
        (file,) = files.values()
        path, data = _verified(name, file)
        return read_archive(data, split, path)
    prefix = "train" if split == "train" else "t10k"
    images, labels = (_read_idx(name, files[f"{prefix}-{part}-ubyte.gz"]) for part in ("images-idx3", "labels-idx1"))
    if images.ndim != 3 or labels.shape != images.shape[:1]:
        raise DataError(f"{name} is damaged: images of shape {tuple(images.shape)}, labels {tuple(labels.shape)}")
    return images[:, None], labels.long()


def _verified(name, file):
    path = locate(name, file)
    try:
        return path, content(path, file)
    except DataError as error:
        raise DataError(f"{error}; delete it, and the next call downloads it") from error


def _read_idx(name, file):
    path, data = _verified(name, file)
    return read_idx(data if file.of == "content" else gunzip(data, path), path)
