"""What recipes of digits share: their data, their net, and the judge that measures what they draw."""

import torch

from minidiff.data.load import available, load
from minidiff.evaluation.digits import load_judge
from minidiff.models.unet import UNet


def pictures(config):
    """The training pictures of config["data"]: {"x": (N, C, H, W), "label": (N,)}; their shape and number of classes.

    Of the embedded strokes there are 20,000. Raises DataError.
    """
    images, labels = load(config["data"], "train", n=20_000 if config["data"] == "strokes" else None)
    return {"x": images, "label": labels}, {"shape": list(images.shape[1:]), "classes": int(labels.max()) + 1}


def unet(config):
    """The U-Net of config["net"] for pictures of config["shape"]."""
    return UNet(image_channels=config["shape"][0], **config["net"])


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
    judge = load_judge()
    judge = judge.against(load("strokes", "train", n=20_000)[0]) if data == "strokes" else judge
    figures = {"distance": round(judge.distance(images), 1)}
    if available(data):
        figures["distance_of_real"] = distance_of_real(judge, load(data, "test")[0], len(images))
    if "label" in cond:
        asked = cond["label"] < config["classes"]
        figures["label_accuracy"] = round((judge.labels(images) == cond["label"])[asked].float().mean().item(), 3)
    return figures


def distance_of_real(judge, test, n):
    """The distance of n real test images drawn at random, always the same ones, or None where there are not as many.

    Not the first n: MNIST's test set is not in random order, and its first 1,000 digits lie several times as far away.
    """
    drawn_at_random = torch.randperm(len(test), generator=torch.Generator().manual_seed(0))[:n]
    return round(judge.distance(test[drawn_at_random]), 1) if n <= len(test) else None
