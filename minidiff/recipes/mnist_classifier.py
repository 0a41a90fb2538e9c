"""mnist-classifier: the frozen net whose features measure the distance between sets of digits."""

import torch.nn.functional as F

from minidiff.models.classifier import Classifier
from minidiff.recipes.pictures import pictures
from minidiff.recipes.recipe import Recipe


def digits(config):
    """The pictures of a data set whose pictures the classifier can take. Raises ValueError for any other."""
    tensors, facts = pictures(config)
    shape, classes = list(tensors["x"].shape[1:]), facts["classes"]
    if shape != [1, 28, 28] or classes != 10:
        raise ValueError(f"the classifier reads ten classes of pictures (1, 28, 28); {config['data']} has {classes} of "
                         f"{tuple(shape)}")
    return tensors, facts


def reading_loss(net, batch, generator):
    """Cross-entropy of {"x": pictures (B, 1, 28, 28), "label": (B,)}. Draws nothing from `generator`."""
    return F.cross_entropy(net(batch["x"]).float(), batch["label"]), {}


READER = {"net": {}, "batch": 128, "fit": {"lr": 3e-3, "flat": 0.2, "weight_decay": 0.01}}
RECIPE = Recipe(
    name="mnist-classifier", data=digits, net=lambda config: Classifier(**config["net"]),
    loss=lambda config: reading_loss, presets={"cpu": READER, "cuda": READER},
    config={"shape": [1, 28, 28]})
