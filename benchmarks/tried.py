"""Which net, batch and learning rate for mnist-ddpm? Each candidate on the same number of images: benchmarks/tried.json

    python benchmarks/tried.py [--images 30000] [--n 500] [--steps 50]

The rows show which choice pays on a short run; images/s are those of the machine named beside them. Rows that stand in
the JSON already are left as they are, so that a run can be stopped and gone on with.
"""

import argparse
import json
import tempfile
from pathlib import Path
from unittest import mock

from minidiff.data.load import load
from minidiff.evaluation.digits import load_judge
from minidiff.models.unet import UNet
from minidiff.recipes import mnist_ddpm
from minidiff.recipes.run import hardware, train
from minidiff.training.checkpoint import write_whole

CHOSEN = mnist_ddpm.PRESETS["cpu"]
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
    parser.add_argument("--steps", type=int, default=50, help="ancestral steps of a sample")
    args = parser.parse_args()
    file, config = Path(__file__).with_suffix(".json"), {"images": args.images, "n": args.n, "steps": args.steps}
    kept = json.loads(file.read_text()) if file.exists() else config | {"rows": []}
    if any(kept[key] != value for key, value in config.items()):
        parser.error(f"{file} holds rows of another size ({kept['images']} images, n = {kept['n']}): remove it")
    judge, test, rows = load_judge(), load("mnist", "test")[0], kept["rows"]
    for name, change in NETS.items():
        if name in [row["tried"] for row in rows]:
            continue
        rows.append({"tried": name} | tried(change, args, judge, test))
        print(rows[-1], flush=True)
        write_whole(file, json.dumps(config | {"hardware": hardware(), "rows": rows}, indent=1) + "\n")


def tried(change, args, judge, test):
    """Train and measure the chosen preset with one change: a row of the table without its name."""
    preset = {key: value | change.get(key, {}) if isinstance(value, dict) else change.get(key, value)
              for key, value in CHOSEN.items()}
    with mock.patch.dict(mnist_ddpm.PRESETS, cpu=preset), tempfile.TemporaryDirectory() as folder:
        _, record = train(mnist_ddpm.build("cpu"), folder, steps=args.images // preset["batch"], progress=False)
        net = mnist_ddpm.load(Path(folder) / "model.safetensors")[0]
    distance = judge.distance(mnist_ddpm.sample(net, args.n, args.steps))
    return {"weights": sum(p.numel() for p in UNet(**preset["net"]).parameters()),
            "images_per_second": record["images_per_second"],
            "eps_mse_test": round(mnist_ddpm.eps_mse(net, test[:5000])[0], 4), "distance": round(distance, 1)}


if __name__ == "__main__":
    main()
