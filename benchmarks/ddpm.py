"""Train the recipe mnist-ddpm for some minutes and measure it: benchmarks/ddpm.json, or with --keep a checkpoint

    python benchmarks/ddpm.py [--minutes 2 5 10 | --steps N] [--preset cpu|cuda] [--many 10000] [--keep]

All nets are trained first, while nothing else should run. `many` digits are drawn from the last of them only. With
--keep, that net and its record go to checkpoints/ as mnist-ddpm (preset cpu) or mnist-ddpm-cuda.
"""

import argparse
import json
import shutil
import tempfile
import time
from pathlib import Path

from minidiff.data.load import load
from minidiff.evaluation.digits import load_judge
from minidiff.recipes.mnist_ddpm import build, eps_mse, sample
from minidiff.recipes.mnist_ddpm import load as load_model
from minidiff.recipes.run import CHECKPOINTS, train
from minidiff.training.checkpoint import write_whole
from minidiff.training.device import pick_device

HERE = Path(__file__)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, nargs="+", default=[2, 5, 10])
    parser.add_argument("--steps", type=int, help="instead of minutes")
    parser.add_argument("--preset", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--many", type=int, default=10_000, help="samples of the large measurement, 0 to skip it")
    parser.add_argument("--keep", action="store_true")
    args = parser.parse_args()
    device = pick_device(args.preset)
    lengths = [{"steps": args.steps}] if args.steps else [{"minutes": m} for m in args.minutes]
    with tempfile.TemporaryDirectory() as folder:
        runs = [train_one(args.preset, Path(folder) / str(i), device, length) for i, length in enumerate(lengths)]
        for weights, record in runs:
            last = weights is runs[-1][0]
            record["metrics"] = measured(weights, device, [(1000, 100)] + [(args.many, 100)] * (last and args.many > 0))
            print(record["steps"], record["metrics"], flush=True)
        if args.keep:
            name = "mnist-ddpm" if args.preset == "cpu" else f"mnist-ddpm-{args.preset}"
            shutil.copyfile(runs[-1][0], CHECKPOINTS / f"{name}.safetensors")
            write_whole(CHECKPOINTS / f"{name}.json", json.dumps(runs[-1][1], indent=1) + "\n")
    kept = ("steps", "images", "seconds", "images_per_second", "metrics")
    config = {key: runs[0][1][key] for key in ("preset", "batch", "net", "hardware", "torch")}
    rows = [{key: record[key] for key in kept} for _, record in runs]
    name = HERE.stem if args.preset == "cpu" else f"{HERE.stem}-{args.preset}"
    write_whole(HERE.with_name(f"{name}.json"), json.dumps(config | {"runs": rows}, indent=1) + "\n")


def train_one(preset, folder, device, length):
    """Train for a length ({"minutes": m} or {"steps": n}); returns (the file of the weights, the record)."""
    folder.mkdir()
    _, record = train(build(preset), folder, device=device, **length)
    return folder / "model.safetensors", record


def measured(weights, device, sizes):
    """The error on the test set and the distance of samples, for each (number of samples, number of steps)."""
    net, judge = load_model(weights)[0].to(device), load_judge()
    mean, of_bin = eps_mse(net, load("mnist", "test")[0], device=device)
    metrics = {"eps_mse_test": round(mean, 4), "eps_mse_of_t": [float(f"{e:.3g}") for e in of_bin], "frechet": []}
    for n, steps in sizes:
        start = time.monotonic()
        distance = judge.distance(sample(net, n, steps, device=device))
        metrics["frechet"].append({"n": n, "steps": steps, "distance": round(distance, 1),
                                   "seconds": round(time.monotonic() - start, 1)})
    return metrics


if __name__ == "__main__":
    main()
