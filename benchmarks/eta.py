"""Quality of digits against steps for four etas, all from one starting noise and one net: benchmarks/eta.json

    python benchmarks/eta.py [--steps 10 20 50 100] [--etas 0 0.2 0.5 1] [--n 500]

Digits are drawn by mnist-ddpm, clipped to [-1, 1] as in chapter 04. A cell that stands in the JSON already is not
drawn again, and the file is written after every cell, so that a run can be stopped and gone on with. One picture takes
about 3 ms a step on one core: 500 pictures of 50 steps 75 seconds, 200 of 1,000 steps ten minutes.
"""

import argparse
import json
import time
from pathlib import Path

import torch

from minidiff.data.load import load as load_data
from minidiff.evaluation.digits import load_judge
from minidiff.process.denoiser import denoiser_of
from minidiff.recipes.mnist_ddpm import load
from minidiff.recipes.run import CHECKPOINTS, hardware
from minidiff.samplers.ddim import ddim
from minidiff.samplers.grids import spaced
from minidiff.samplers.step import final_sample
from minidiff.training.checkpoint import write_whole

FILE = Path(__file__).with_suffix(".json")
SIZES, SEED, BATCH = (200, 500), 0, 100


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, nargs="+", default=[10, 20, 50, 100])
    parser.add_argument("--etas", type=float, nargs="+", default=[0.0, 0.2, 0.5, 1.0])
    parser.add_argument("--n", type=int, default=500, help="how many digits, one of the sizes of the table: 200 or 500")
    args = parser.parse_args()
    judge = load_judge()
    record = json.loads(FILE.read_text()) if FILE.exists() else {
        "what": "digits drawn by mnist-ddpm: Frechet distance to the MNIST training set, in the features of "
                "mnist-classifier (of the first 200 of a cell of 500 too), and the spread of the pixels of a picture, "
                "mean and standard error over pictures; real: the same of test images, mean and standard deviation of "
                "the distance over disjoint sets",
        "seed": SEED, "real": real(judge), "hardware": hardware(), "torch": torch.__version__, "cells": []}
    known = {(cell["eta"], cell["steps"]) for cell in record["cells"] if str(args.n) in cell["distance"]}
    for steps in args.steps:
        for eta in args.etas:
            if (eta, steps) not in known:
                record["cells"].append(cell_of(judge, eta, steps, args.n))
                write_whole(FILE, json.dumps(record, indent=1) + "\n")
                print(record["cells"][-1], flush=True)


def cell_of(judge, eta, steps, n):
    """One cell of the table: n digits drawn and measured."""
    start = time.monotonic()
    digits = drawn(eta, steps, n)
    distance = {str(size): round(judge.distance(digits[:size]), 1) for size in SIZES if size <= n}
    return {"eta": eta, "steps": steps, "distance": distance, "spread": spread(digits),
            "seconds": round(time.monotonic() - start, 1)}


def spread(images):
    """The standard deviation of the pixels of a picture: [mean over pictures, standard error of the mean]."""
    each = images.flatten(1).std(dim=1)
    return [round(float(each.mean()), 4), round(float(each.std()) / len(each) ** 0.5, 4)]


def drawn(eta, steps, n):
    """n digits (n, 1, 28, 28); the starting noise is the same for every eta and every number of steps."""
    net, path, target, _ = load(CHECKPOINTS / "mnist-ddpm.safetensors")
    denoiser, generator = denoiser_of(net, path, target, clip=(-1, 1)), torch.Generator().manual_seed(SEED + 1)
    starts = torch.randn(max(SIZES), 1, 28, 28, generator=torch.Generator().manual_seed(SEED))[:n]
    times = spaced(path.T, steps)
    return torch.cat([final_sample(ddim(denoiser, x, times, path, eta, generator)) for x in starts.split(BATCH)])


def real(judge):
    """What real test images give: the distance of disjoint sets of each size, and the spread of all of them."""
    images = load_data("mnist", "test")[0]
    images = images[torch.randperm(len(images), generator=torch.Generator().manual_seed(SEED))]
    values = {size: torch.tensor([judge.distance(x) for x in images.split(size)]) for size in SIZES}
    distance = {str(size): [round(float(v.mean()), 1), round(float(v.std()), 1)] for size, v in values.items()}
    return {"distance": distance, "spread": spread(images)}


if __name__ == "__main__":
    main()
