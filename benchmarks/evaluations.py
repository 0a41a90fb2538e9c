"""Quality of digits against evaluations of the net, for several solvers from one noise: benchmarks/evaluations.json

    python benchmarks/evaluations.py [--samplers heun unipc] [--evaluations 5 10 20 50] [--n 500]    at most so many
    python benchmarks/evaluations.py --samplers ancestral --evaluations 1000 --n 250        the walk to compare with

Digits are drawn by mnist-ddpm and clipped to [-1, 1]; all grids but one are even in t. A cell that stands in the JSON
already is not drawn again, and the file is written after every cell, so that a run can be stopped and gone on with. One
picture takes about 3 ms an evaluation on one core: a cell of 500 pictures and 50 evaluations 75 seconds, the last line
above 13 minutes.
"""

import argparse
import time
from pathlib import Path

from measuring import cost, distances, fill, floor

from minidiff.evaluation.digits import load_judge
from minidiff.recipes.recipe import load, sample
from minidiff.recipes.run import CHECKPOINTS
from minidiff.samplers.ancestral import ANCESTRAL
from minidiff.samplers.ddim import DDIM
from minidiff.samplers.grids import even_times
from minidiff.samplers.heun import HEUN
from minidiff.samplers.lambda_grids import lambda_grid
from minidiff.samplers.multistep import DPMPP_2M
from minidiff.samplers.unipc import UNIPC

FILE = Path(__file__).with_suffix(".json")
SIZES, SEED = (250, 500), 0


def even_in_lambda(path, n):
    return lambda_grid(path, n, path.T, 1.0)


# name -> (sampler, its grid)
SAMPLERS = {
    "ancestral": (ANCESTRAL, even_times),
    "ddim": (DDIM, even_times),
    "heun": (HEUN, even_times),
    "dpmpp_2m": (DPMPP_2M, even_times),
    "dpmpp_2m, even in lambda": (DPMPP_2M, even_in_lambda),
    "unipc": (UNIPC, even_times),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samplers", nargs="+", default=list(SAMPLERS), choices=list(SAMPLERS))
    parser.add_argument("--evaluations", type=int, nargs="+", default=[5, 10, 20, 50])
    parser.add_argument("--n", type=int, default=500, choices=SIZES)
    args = parser.parse_args()
    judge, (recipe, net) = load_judge(), load(CHECKPOINTS / "mnist-ddpm.safetensors")

    def head():
        return {"what": "Frechet distance to the MNIST training set, in the features of mnist-classifier, of digits "
                        "drawn by mnist-ddpm; the first 250 of a cell of 500 are measured too",
                "seed": SEED, "real": floor(judge, SIZES)}

    def cell_of(sampler, evaluations, steps):
        start, (walk, grid) = time.monotonic(), SAMPLERS[sampler]
        digits = sample(recipe, net, args.n, steps=evaluations, sampler=walk, grid=grid, seed=SEED, batch=125)
        return {"distance": distances(judge, digits, SIZES), "seconds": round(time.monotonic() - start, 1)}

    wanted = [{"sampler": name} | cost(SAMPLERS[name][0], budget)
              for budget in args.evaluations for name in args.samplers]
    fill(FILE, head, wanted, cell_of, done=lambda cell: str(args.n) in cell["distance"])


if __name__ == "__main__":
    main()
