"""Quality of digits against steps for four etas, all from one starting noise and one net: benchmarks/eta.json

    python benchmarks/eta.py [--steps 10 20 50 100] [--etas 0 0.2 0.5 1] [--n 500]

Digits are drawn by mnist-ddpm, clipped to [-1, 1] as in chapter 04. A cell that stands in the JSON already is not
drawn again, and the file is written after every cell, so that a run can be stopped and gone on with. One picture takes
about 3 ms a step on one core: 500 pictures of 50 steps 75 seconds, 200 of 1,000 steps ten minutes.
"""

import argparse
import time
from functools import partial
from pathlib import Path

from measuring import distances, fill, floor, some

from minidiff.evaluation.digits import load_judge
from minidiff.recipes.recipe import load, sample
from minidiff.recipes.run import CHECKPOINTS
from minidiff.samplers.ddim import ddim
from minidiff.samplers.sampler import Sampler

FILE = Path(__file__).with_suffix(".json")
SIZES, SEED = (200, 500), 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, nargs="+", default=[10, 20, 50, 100])
    parser.add_argument("--etas", type=float, nargs="+", default=[0.0, 0.2, 0.5, 1.0])
    parser.add_argument("--n", type=int, default=500, help="how many digits, one of the sizes of the table: 200 or 500")
    args = parser.parse_args()
    judge, (recipe, net) = load_judge(), load(CHECKPOINTS / "mnist-ddpm.safetensors")

    def head():
        return {"what": "digits drawn by mnist-ddpm: Frechet distance to the MNIST training set, in the features of "
                        "mnist-classifier (of the first 200 of a cell of 500 too), and the spread of the pixels of a "
                        "picture, mean and standard error over pictures; real: the same of test images, mean and "
                        "standard deviation of the distance over disjoint sets",
                "seed": SEED, "real": {"distance": floor(judge, SIZES), "spread": spread(some("test"))}}

    def cell_of(eta, steps):
        start, walk = time.monotonic(), Sampler(partial(ddim, eta=eta), draws=True)
        digits = sample(recipe, net, args.n, steps=steps, sampler=walk, seed=SEED, batch=100)
        return {"distance": distances(judge, digits, SIZES), "spread": spread(digits),
                "seconds": round(time.monotonic() - start, 1)}

    wanted = [{"eta": eta, "steps": steps} for steps in args.steps for eta in args.etas]
    fill(FILE, head, wanted, cell_of, done=lambda cell: str(args.n) in cell["distance"])


def spread(images):
    """The standard deviation of the pixels of a picture: [mean over pictures, standard error of the mean]."""
    each = images.flatten(1).std(dim=1)
    return [round(float(each.mean()), 4), round(float(each.std()) / len(each) ** 0.5, 4)]


if __name__ == "__main__":
    main()
