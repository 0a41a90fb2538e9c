"""What recipes of pictures share: their data, their net, and the judge that measures drawn digits."""

from functools import cache
from pathlib import Path

import torch

from minidiff.data.errors import DataError
from minidiff.data.folder import read_folder
from minidiff.data.load import available, load
from minidiff.data.registry import datasets
from minidiff.evaluation.digits import load_judge
from minidiff.models.unet import UNet


def pictures(config):
    """The training pictures of config["data"], and what they add to the description: their shape and classes.

    {"x": (N, C, H, W), "label": (N,)}. config["data"] names a data set, which has its own shape (of the embedded
    strokes there are 20,000), or a folder of one's own pictures, brought to config["shape"]. Raises DataError.
    """
    name = config["data"]
    if name == "strokes" or name in datasets():
        images, labels = load(name, "train", n=20_000 if name == "strokes" else None)
        return {"x": images, "label": labels}, {"shape": list(images.shape[1:]), "classes": int(labels.max()) + 1}
    folder = Path(name).expanduser().resolve()
    if not folder.is_dir():
        raise DataError(f"data {name!r} is neither a data set (strokes, {', '.join(datasets())}) nor a folder")
    images, labels, classes = read_folder(folder, config["shape"])
    return {"x": images, "label": labels}, {"data": str(folder), "classes": len(classes), "class_names": classes}


def unet(config):
    """The U-Net of config["net"] for pictures of config["shape"]. Raises ValueError where its patches do not fit."""
    (channels, *size), patch = config["shape"], config["net"].get("patch", 1)
    if len(size) != 2:
        raise ValueError(f"shape must be (C, H, W), got {config['shape']}")
    if any(side % patch for side in size):
        raise ValueError(f"pictures of {size[0]} x {size[1]} pixels cannot be cut into patches of {patch} x {patch}")
    return UNet(image_channels=channels, **config["net"])


def digit_figures(config, images, cond):
    """How good n digits (n, 1, 28, 28) in [-1, 1] are, beside n real ones: {name: figure}.

    The Fréchet distance to the training set, that of as many real test digits where there are, and, where `cond` holds
    the labels that were asked for, the share that the judge reads as asked. Raises ValueError for n < 2 and for data
    that the judge was not made for.
    """
    data = config["data"]
    if data not in ("mnist", "strokes"):
        raise ValueError(f"the judge reads handwritten digits, and this model learned {data}: look at its pictures")
    if len(images) < 2:
        raise ValueError(f"a Fréchet distance needs at least 2 pictures, got {len(images)}")
    judge = judge_of(data)
    figures = {"distance": round(judge.distance(images), 1)}
    if available(data):
        figures["distance_of_real"] = distance_of_real(judge, load(data, "test")[0], len(images))
    if "label" in cond:
        asked = cond["label"] < config["classes"]
        figures["label_accuracy"] = round((judge.labels(images) == cond["label"])[asked].float().mean().item(), 3)
    return figures


@cache
def judge_of(data):
    """The judge of digits, with the training set of `data`, "mnist" or "strokes", as its reference; read once."""
    return load_judge() if data == "mnist" else load_judge().against(load("strokes", "train", n=20_000)[0])


def distance_of_real(judge, test, n):
    """The distance of n real test images drawn at random, always the same ones, or None where there are not as many.

    Not the first n: MNIST's test set is not in random order, and its first 1,000 digits lie several times as far away.
    """
    drawn_at_random = torch.randperm(len(test), generator=torch.Generator().manual_seed(0))[:n]
    return round(judge.distance(test[drawn_at_random]), 1) if n <= len(test) else None
