"""Train and measure the recipe mnist-ddpm, and keep it: checkpoints/mnist-ddpm.* (or --out, to measure only)

    python benchmarks/ddpm.py [--minutes 10 | --steps N] [--preset cpu|cuda] [--many 10000] [--out DIR]
"""

import argparse
import json
import shutil
import tempfile
import time
from pathlib import Path

from minidiff.data.load import load
from minidiff.evaluation.digits import load_judge
from minidiff.plotting import save_grid
from minidiff.recipes.mnist_ddpm import build, eps_mse, sample
from minidiff.recipes.mnist_ddpm import load as load_model
from minidiff.recipes.run import CHECKPOINTS, train
from minidiff.training.checkpoint import write_whole
from minidiff.training.device import pick_device


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--preset", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--many", type=int, default=10_000,
                        help="samples of the large measurement, 0 to skip it and the one of all 1,000 steps")
    parser.add_argument("--out", type=Path, default=CHECKPOINTS)
    args = parser.parse_args()
    device = pick_device(args.preset)
    minutes = None if args.steps else args.minutes or 10
    with tempfile.TemporaryDirectory() as folder:
        _, record = train(build(args.preset), folder, steps=args.steps, minutes=minutes, device=device)
        args.out.mkdir(parents=True, exist_ok=True)
        name = "mnist-ddpm" if args.preset == "cpu" else f"mnist-ddpm-{args.preset}"
        shutil.copyfile(Path(folder) / "model.safetensors", args.out / f"{name}.safetensors")
    net = load_model(args.out / f"{name}.safetensors")[0].to(device)
    mean, of_bin = eps_mse(net, load("mnist", "test")[0], device=device)
    metrics = {"eps_mse_test": round(mean, 4), "eps_mse_of_t": [float(f"{e:.3g}") for e in of_bin], "frechet": []}
    judge = load_judge()
    for n, steps in [(1000, 100), (1000, 250)] + [(1000, 1000), (args.many, 250)] * (args.many > 0):
        start = time.monotonic()
        images = sample(net, n, steps, device=device)
        metrics["frechet"].append({"n": n, "steps": steps, "distance": round(judge.distance(images), 1),
                                   "seconds": round(time.monotonic() - start, 1)})
        print(metrics["frechet"][-1], flush=True)
    save_grid(images[:100], args.out / f"{name}.png", scale=2)
    write_whole(args.out / f"{name}.json", json.dumps(record | {"metrics": metrics}, indent=1) + "\n")


if __name__ == "__main__":
    main()
