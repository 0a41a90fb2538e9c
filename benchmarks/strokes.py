"""Are the strokes worth learning from? A classifier that saw only strokes reads held-out strokes, and real MNIST.

Run as `python benchmarks/strokes.py`; writes benchmarks/strokes.json beside this file.
"""

import time
from pathlib import Path

import torch
import torch.nn.functional as F
from measuring import machine, write

from minidiff.data.batches import Batches
from minidiff.data.load import load
from minidiff.data.strokes import strokes
from minidiff.models.classifier import Classifier

TRAIN, HELD_OUT, EPOCHS, BATCH, LR, SEED = 20_000, 2_000, 4, 64, 3e-3, 0


def train(images, labels):
    """A classifier after EPOCHS over images (N, 1, 28, 28) with labels (N,): AdamW, one cycle of the learning rate."""
    torch.manual_seed(SEED)
    net, batches = Classifier(), Batches(images, BATCH, SEED)
    steps = EPOCHS * batches.per_epoch
    optimizer = torch.optim.AdamW(net.parameters(), LR)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, LR, steps)
    for step in range(steps):
        rows = batches.indices(step)
        optimizer.zero_grad()
        F.cross_entropy(net(images[rows]), labels[rows]).backward()
        optimizer.step()
        cycle.step()
    return net.eval()


@torch.no_grad()
def read(net, images):
    """The digit that the classifier reads in each image: (N, 1, 28, 28) -> (N,)."""
    return torch.cat([net(part).argmax(1) for part in images.split(1000)])


def main():
    torch.set_num_threads(1)  # the same sums in the same order wherever it runs
    start = time.process_time()
    images, labels = strokes(TRAIN, SEED, "train")
    drawn = time.process_time()
    net = train(images, labels)
    trained = time.process_time()
    accuracy = {}
    for name, (images, labels) in {"strokes": strokes(HELD_OUT, SEED, "test"), "mnist": load("mnist", "test")}.items():
        right = read(net, images) == labels
        accuracy[name] = {"images": len(images), "accuracy": round(right.float().mean().item(), 4),
                          "of each digit": {d: round(right[labels == d].float().mean().item(), 3) for d in range(10)}}
    record = {"what": f"{TRAIN} strokes drawn, a Classifier trained on them for {EPOCHS} epochs, digits read on test",
              "accuracy": accuracy,
              "CPU seconds": {"draw": round(drawn - start, 1), "train": round(trained - drawn, 1)},
              "seed": SEED, "batch": BATCH, "lr": LR,
              **machine()}
    write(Path(__file__).with_suffix(".json"), record)
    print(record)


if __name__ == "__main__":
    main()
