"""The classification accuracy score: what can a reader learn from generated digits?"""

import torch

from minidiff.data.batches import Batches
from minidiff.models.classifier import Classifier
from minidiff.recipes.mnist_classifier import READER, reading_loss
from minidiff.training.fit import fit


def classification_accuracy_score(images, labels, test_images, test_labels, steps=200, seed=0):
    """Train a fresh Classifier on generated digits, and let it read real ones (Ravuri and Vinyals 2019).

    images: (N, 1, 28, 28) and labels: (N,), generated; test_images, test_labels: real. Of an unconditional model the
    labels are what a judge reads, so its mistakes are learned too. Returns the share of real digits that are read
    right, a float. Compare at equal N and steps, with real digits in place of the generated ones.
    """
    torch.manual_seed(seed)
    batches = Batches({"x": images, "label": labels}, 64, seed)
    fitted = fit(Classifier(), reading_loss, batches.at, steps=steps, seed=seed, **READER["fit"] | {"warmup": 20})
    with torch.no_grad():
        read = torch.cat([fitted.ema(x).argmax(dim=1) for x in test_images.split(500)])
    return float((read == test_labels).double().mean())
