"""Which net, batch and learning rate for mnist-ddpm? Each candidate on the same number of images: benchmarks/tried.json

    python benchmarks/tried.py [--images 30000] [--n 500] [--steps 50]

The rows show which choice pays on a short run; images/s are those of the machine named beside them. Rows that stand in
the JSON already are left as they are, so that a run can be stopped and gone on with.
"""

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path

from measuring import fill

from minidiff.data.load import load as load_data
from minidiff.evaluation.digits import load_judge
from minidiff.evaluation.eps_baselines import eps_mse
from minidiff.recipes.mnist_ddpm import RECIPE
from minidiff.recipes.recipe import build, load, sample
from minidiff.recipes.run import train

FILE = Path(__file__).with_suffix(".json")
CHOSEN = RECIPE.presets["cpu"]
NETS = {
    "chosen": {},
    "batch 128": {"batch": 128},
    "learning rate 4e-3": {"fit": {"lr": 4e-3}},
    "learning rate 1e-3": {"fit": {"lr": 1e-3}},
    "EMA decay 0.9995": {"fit": {"ema_decay": 0.9995}},
    "bfloat16": {"fit": {"precision": "bfloat16"}},
    "channels 48-64-96, 1 block": {"net": {"channels": [48, 64, 96], "blocks": 1}},
    "attention at 7 x 7": {"net": {"attention": [1]}},
    "no space to depth, channels 24-48-64": {"net": {"channels": [24, 48, 64], "patch": 1}},
    "patches of 4, channels 96-128": {"net": {"channels": [96, 128], "patch": 4}},
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=30_000, help="training images of each candidate")
    parser.add_argument("--n", type=int, default=500, help="samples")
    parser.add_argument("--steps", type=int, default=50, help="evaluations of a sample, by ancestral sampling")
    parser.add_argument("--only", nargs="+", default=list(NETS), choices=list(NETS), metavar="NAME")
    args = parser.parse_args()
    size = {"images": args.images, "n": args.n, "steps": args.steps}
    kept = json.loads(FILE.read_text()) if FILE.exists() else size
    if any(kept[key] != value for key, value in size.items()):
        parser.error(f"{FILE} holds rows of another size ({kept['images']} images, n = {kept['n']}): remove it")
    judge, test = load_judge(), load_data("mnist", "test")[0][:5000]
    fill(FILE, lambda: size, [{"tried": name} for name in args.only],
         lambda tried: row_of(NETS[tried], args, judge, test), rows="rows")


def row_of(change, args, judge, test):
    """Train and measure the chosen preset with one change: a row of the table without its name."""
    preset = {key: value | change.get(key, {}) if isinstance(value, dict) else change.get(key, value)
              for key, value in CHOSEN.items()}
    with tempfile.TemporaryDirectory() as folder:
        run = build(replace(RECIPE, presets={"cpu": preset}))
        _, record = train(run, folder, steps=args.images // preset["batch"], progress=False)
        recipe, net = load(folder)
    return {"weights": sum(p.numel() for p in net.parameters()), "images_per_second": record["images_per_second"],
            "eps_mse_test": round(eps_mse(net, test, recipe.draw(recipe.config).path)[0], 4),
            "distance": round(judge.distance(sample(recipe, net, args.n, steps=args.steps)), 1)}


if __name__ == "__main__":
    main()
