"""Train the recipe mnist-edm and measure it; with --keep it goes to checkpoints/, with its record: benchmarks/edm.json

    python benchmarks/edm.py [--steps 710] [--preset cpu|cuda] [--n 1000] [--keep] [--resume FOLDER]

710 steps of 64 are the images that mnist-ddpm saw in its five minutes (benchmarks/ddpm.json). FOLDER keeps the state,
so that a run that was stopped goes on.
"""

import argparse
import json
import shutil
import tempfile
import time
from pathlib import Path

import torch

from minidiff.data.load import load as load_data
from minidiff.evaluation.digits import load_judge
from minidiff.process.edm import edm_loss
from minidiff.recipes.mnist_edm import SIGMA_DATA, build, load, of_c_noise, sample
from minidiff.recipes.run import CHECKPOINTS, train
from minidiff.training.checkpoint import write_whole
from minidiff.training.device import pick_device

FILE = Path(__file__).with_suffix(".json")
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
        resume = (out / "state.safetensors").exists()
        _, record = train(build(args.preset), out, steps=args.steps, device=device, resume=resume)
        record["metrics"] = measured(load(out / "model.safetensors")[0], args.n)
        print(record["metrics"])
        if args.keep:
            name = "mnist-edm" if args.preset == "cpu" else f"mnist-edm-{args.preset}"
            shutil.copyfile(out / "model.safetensors", CHECKPOINTS / f"{name}.safetensors")
            write_whole(CHECKPOINTS / f"{name}.json", json.dumps(record, indent=1) + "\n")
    kept = ("preset", "batch", "net", "hardware", "torch", "steps", "images", "seconds", "images_per_second", "metrics")
    write_whole(FILE, json.dumps({key: record[key] for key in kept}, indent=1) + "\n")


@torch.no_grad()
def measured(net, n):
    """The error on F over test images, whole and in bins of sigma, and the distance of n samples for some steps."""
    generator, images = torch.Generator().manual_seed(0), load_data("mnist", "test")[0]
    logs = [edm_loss(of_c_noise(net), x, SIGMA_DATA, generator)[1] for x in images.split(500)]
    sigma, each = (torch.cat([log[key] for log in logs]) for key in ("sigma", "each"))
    bins = [each[(low <= sigma) & (sigma < high)].mean().item() for low, high in zip(EDGES, EDGES[1:])]
    metrics = {"f_mse_test": round(each.mean().item(), 4), "edges": [e for e in EDGES if e != float("inf")],
               "f_mse_of_sigma": [float(f"{e:.3g}") for e in bins], "frechet": []}
    judge = load_judge()
    for steps in (5, 10, 18):
        start = time.monotonic()
        metrics["frechet"].append({"n": n, "evaluations": 2 * steps - 1,
                                   "distance": round(judge.distance(sample(net, n, steps)), 1),
                                   "seconds": round(time.monotonic() - start, 1)})
    return metrics


if __name__ == "__main__":
    main()
