"""mnist-classifier: the frozen net whose features measure the distance between sets of digits."""

import torch
import torch.nn.functional as F

from minidiff.data.batches import Batches
from minidiff.data.load import load
from minidiff.models.classifier import Classifier
from minidiff.recipes.run import Run

PRESETS = {"cpu": {"batch": 128, "fit": {"lr": 3e-3, "flat": 0.2, "weight_decay": 0.01}}}
PRESETS["cuda"] = PRESETS["cpu"]


def build(preset="cpu", data="mnist", seed=0, rank=0, world=1):
    """The run `mnist-classifier`; batches carry the label as one more picture value. Raises DataError."""
    chosen = PRESETS[preset]
    images, labels = load(data, "train", n=20_000 if data == "strokes" else None)
    torch.manual_seed(seed)
    rows = torch.cat([images.flatten(1), labels[:, None].float()], dim=1)
    config = {"recipe": "mnist-classifier", "preset": preset, "data": data, "seed": seed, "batch": chosen["batch"]}
    batches = Batches(rows, chosen["batch"], seed, rank, world)
    return Run(Classifier(), reading_loss, batches.at, chosen["fit"] | {"seed": seed}, config)


def reading_loss(net, rows, generator):
    """Cross-entropy of rows (B, 785): a flat picture, then its label. Draws nothing from `generator`."""
    logits = net(rows[:, :-1].reshape(-1, 1, 28, 28))
    return F.cross_entropy(logits.float(), rows[:, -1].long()), {}
