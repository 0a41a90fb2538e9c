"""Train the recipe mnist-ddpm for some minutes and measure it: benchmarks/ddpm.json, or with --keep a checkpoint

    python benchmarks/ddpm.py [--minutes 2 5 10 | --steps N] [--preset cpu|cuda] [--n 1000] [--many 10000] [--keep]

All nets are trained first, while nothing else should run. `many` digits are drawn from the last of them only. With
--keep, that net and its record go to checkpoints/ as mnist-ddpm (preset cpu) or mnist-ddpm-cuda.
"""

import argparse
import tempfile
from pathlib import Path

from measuring import keep, of_the_preset, quality, rounded, trained, write

from minidiff.data.load import load as load_data
from minidiff.evaluation.digits import load_judge
from minidiff.evaluation.eps_baselines import eps_mse
from minidiff.recipes.mnist_ddpm import RECIPE
from minidiff.recipes.recipe import load
from minidiff.samplers.ancestral import ANCESTRAL
from minidiff.training.device import pick_device


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, nargs="+", default=[2, 5, 10])
    parser.add_argument("--steps", type=int, help="instead of minutes")
    parser.add_argument("--preset", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--n", type=int, default=1000, help="samples of each measurement")
    parser.add_argument("--many", type=int, default=10_000, help="samples of the large measurement, 0 to skip it")
    parser.add_argument("--keep", action="store_true")
    args = parser.parse_args()
    device, unit = pick_device(args.preset), "steps" if args.steps else "minutes"
    lengths = [args.steps] if args.steps else args.minutes
    with tempfile.TemporaryDirectory() as whole:
        folders = [Path(whole) / str(length) for length in lengths]
        records = [trained(RECIPE, args.preset, folder, device, unit, length)
                   for folder, length in zip(folders, lengths)]
        for folder, record in zip(folders, records):
            sizes = [args.n] + [args.many] * (folder == folders[-1] and args.many > 0)
            record["metrics"] = measured(folder, device, sizes)
            print(record["steps"], record["metrics"], flush=True)
        if args.keep:
            keep(folders[-1], records[-1])
    kept = ("steps", "images", "seconds", "images_per_second", "metrics")
    record = {key: records[0][key] for key in ("preset", "batch", "net", "hardware", "torch")}
    record["runs"] = [{key: record[key] for key in kept} for record in records]
    write(of_the_preset(Path(__file__), args.preset), record)


def measured(folder, device, sizes):
    """The error on the test set, and the distance of samples for each number of them."""
    recipe, net = load(folder, device)
    mean, of_bin = eps_mse(net, load_data("mnist", "test")[0], recipe.draw(recipe.config).path, device=device)
    return {"eps_mse_test": round(mean, 4), "eps_mse_of_t": [rounded(e) for e in of_bin],
            "frechet": [quality(load_judge(), recipe, net, n, 100, ANCESTRAL, device) for n in sizes]}


if __name__ == "__main__":
    main()
