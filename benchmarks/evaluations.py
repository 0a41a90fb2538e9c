"""Quality of digits against evaluations of the net, for several solvers from one noise: benchmarks/evaluations.json

    python benchmarks/evaluations.py [--samplers heun unipc] [--evaluations 5 10 20 50] [--n 500]    at most so many
    python benchmarks/evaluations.py --samplers ancestral --evaluations 1000 --n 250        the walk to compare with

Digits are drawn by mnist-ddpm, asked at real times and clipped to [-1, 1]. A cell that stands in the JSON already is
not drawn again, and the file is written after every cell, so that a run can be stopped and gone on with. One picture
takes about 3 ms an evaluation on one core: a cell of 500 pictures and 50 evaluations 75 seconds, the last line above
13 minutes.
"""

import argparse
import json
import time
from functools import partial
from pathlib import Path

import torch

from minidiff.data.load import load as load_data
from minidiff.evaluation.digits import load_judge
from minidiff.process.continuous import interpolated_path
from minidiff.process.denoiser import denoiser_of
from minidiff.process.schedules import alpha_bar_of, linear_betas
from minidiff.recipes.mnist_ddpm import load
from minidiff.recipes.run import CHECKPOINTS, hardware
from minidiff.samplers.ancestral import ancestral
from minidiff.samplers.ddim import ddim
from minidiff.samplers.heun import heun
from minidiff.samplers.lambda_grids import lambda_grid
from minidiff.samplers.multistep import multistep
from minidiff.samplers.step import final_sample
from minidiff.samplers.unipc import unipc
from minidiff.training.checkpoint import write_whole

FILE = Path(__file__).with_suffix(".json")
SIZES, SEED, BATCH = (250, 500), 0, 125
PATH = interpolated_path(alpha_bar_of(linear_betas()))


def even_in_t(n):
    return torch.linspace(PATH.T, 0, n + 1, dtype=torch.float64)


def even_in_lambda(n):
    return lambda_grid(PATH, n, PATH.T, 1.0)


# name -> (sampler, its grid)
SAMPLERS = {
    "ancestral": (ancestral, even_in_t),
    "ddim": (ddim, even_in_t),
    "heun": (heun, even_in_t),
    "dpmpp_2m": (multistep, even_in_t),
    "dpmpp_2m, even in lambda": (multistep, even_in_lambda),
    "unipc": (unipc, even_in_t),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samplers", nargs="+", default=list(SAMPLERS), choices=list(SAMPLERS))
    parser.add_argument("--evaluations", type=int, nargs="+", default=[5, 10, 20, 50])
    parser.add_argument("--n", type=int, default=500, choices=SIZES)
    args = parser.parse_args()
    judge = load_judge()
    record = json.loads(FILE.read_text()) if FILE.exists() else {
        "what": "Frechet distance to the MNIST training set, in the features of mnist-classifier, of digits drawn by "
                "mnist-ddpm; the first 250 of a cell of 500 are measured too",
        "seed": SEED, "real": floor(judge), "hardware": hardware(), "torch": torch.__version__, "cells": []}
    for budget in args.evaluations:
        for name in args.samplers:
            steps, evaluations = affordable(name, budget)
            known = [c for c in record["cells"] if (c["sampler"], c["evaluations"]) == (name, evaluations)]
            if not any(str(args.n) in cell["distance"] for cell in known):
                record["cells"] = [c for c in record["cells"] if c not in known]
                record["cells"].append(cell_of(judge, name, steps, evaluations, args.n))
                write_whole(FILE, json.dumps(record, indent=1) + "\n")
                print(record["cells"][-1], flush=True)


def affordable(name, budget):
    """(steps, evaluations): as many steps as `budget` evaluations allow. N steps of Heun ask 2N - 1 times."""
    steps = (budget + 1) // 2 if name == "heun" else budget
    return steps, 2 * steps - 1 if name == "heun" else steps


def cell_of(judge, name, steps, evaluations, n):
    """One cell of the table: n digits drawn and measured."""
    start = time.monotonic()
    digits = drawn(name, steps, n)
    distance = {str(size): round(judge.distance(digits[:size]), 1) for size in SIZES if size <= n}
    return {"sampler": name, "evaluations": evaluations, "steps": steps, "distance": distance,
            "seconds": round(time.monotonic() - start, 1)}


def drawn(name, steps, n):
    """n digits (n, 1, 28, 28) by `steps` steps: the starting noise is the same for every sampler."""
    net, _, target, _ = load(CHECKPOINTS / "mnist-ddpm.safetensors")
    denoiser = denoiser_of(net, PATH, target, clip=(-1, 1))
    sampler, grid = SAMPLERS[name]
    if sampler is ancestral:
        sampler = partial(ancestral, generator=torch.Generator().manual_seed(SEED + 1))
    starts = torch.randn(max(SIZES), 1, 28, 28, generator=torch.Generator().manual_seed(SEED))[:n]
    return torch.cat([final_sample(sampler(denoiser, x, grid(steps), PATH)) for x in starts.split(BATCH)])


def floor(judge):
    """The same distance of real test images: {size: [mean, standard deviation]} over disjoint random sets."""
    images = load_data("mnist", "test")[0]
    images = images[torch.randperm(len(images), generator=torch.Generator().manual_seed(SEED))]
    floors = {size: torch.tensor([judge.distance(part) for part in images.split(size)]) for size in SIZES}
    return {str(size): [round(d.mean().item(), 1), round(d.std().item(), 1)] for size, d in floors.items()}


if __name__ == "__main__":
    main()
