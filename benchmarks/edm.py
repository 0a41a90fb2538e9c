"""Train the recipe mnist-edm and measure it; with --keep it goes to checkpoints/, with its record: benchmarks/edm.json

    python benchmarks/edm.py [--steps 710] [--preset cpu|cuda] [--n 1000] [--keep] [--resume FOLDER]

710 steps of 64 are the images that mnist-ddpm saw in its five minutes (benchmarks/ddpm.json). FOLDER keeps the state,
so that a run that was stopped goes on.
"""

import argparse
import tempfile
from pathlib import Path

import torch
from measuring import keep, of_the_preset, quality, rounded, trained, write

from minidiff.data.load import load as load_data
from minidiff.evaluation.digits import load_judge
from minidiff.recipes.mnist_edm import RECIPE
from minidiff.recipes.recipe import load
from minidiff.samplers.heun import HEUN
from minidiff.training.device import pick_device

EDGES = (0.0, 0.02, 0.1, 0.5, 2.0, float("inf"))  # of the bins of sigma


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=710)
    parser.add_argument("--preset", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--n", type=int, default=1000, help="samples to measure")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--resume", type=Path)
    args = parser.parse_args()
    device = pick_device(args.preset)
    with tempfile.TemporaryDirectory() as folder:
        out = args.resume or Path(folder)
        record = trained(RECIPE, args.preset, out, device, "steps", args.steps)
        record["metrics"] = measured(*load(out, device), args.n, device)
        print(record["metrics"])
        if args.keep:
            keep(out, record)
    kept = ("preset", "batch", "net", "hardware", "torch", "steps", "images", "seconds", "images_per_second", "metrics")
    write(of_the_preset(Path(__file__), args.preset), {key: record[key] for key in kept})


@torch.no_grad()
def measured(recipe, net, n, device):
    """The error on F over test images, whole and in bins of sigma, and the distance of n samples for some steps."""
    generator, loss_fn = torch.Generator().manual_seed(0), recipe.loss(recipe.config)
    logs = [loss_fn(net, {"x": x.to(device)}, generator)[1] for x in load_data("mnist", "test")[0].split(500)]
    sigma, each = (torch.cat([log[key].cpu() for log in logs]) for key in ("sigma", "each"))
    bins = [each[(low <= sigma) & (sigma < high)].mean() for low, high in zip(EDGES, EDGES[1:])]
    judge = load_judge()
    return {"f_mse_test": round(each.mean().item(), 4), "edges": list(EDGES[:-1]),
            "f_mse_of_sigma": [rounded(e) for e in bins],
            "frechet": [quality(judge, recipe, net, n, evaluations, HEUN, device) for evaluations in (9, 19, 35)]}


if __name__ == "__main__":
    main()
