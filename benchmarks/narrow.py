"""Where do the errors of a net sit that is too narrow for noise? v against x0 in chapter 06: benchmarks/narrow.json

    python benchmarks/narrow.py [TARGET ...] [--steps 600] [--n 500]

The narrow nets of `targets.py`: 28 x 28 digits in squares of 7 x 7, 600 batches of 32, one seed. The last layer makes
784 pixels linearly out of 16 squares with 32 numbers each. Every error and every drawn picture is split into what lies
in the reach of that layer, 512 directions, and what lies beyond, 272. Seconds are those of the processor named.
"""

import argparse
import json
import time
from pathlib import Path

import torch

from minidiff.data.batches import Batches
from minidiff.data.load import load
from minidiff.models.unet import UNet
from minidiff.process.continuous import time_of
from minidiff.process.denoiser import denoiser_of
from minidiff.process.weights import loss_weight
from minidiff.process.weighted_loss import weighted_loss
from minidiff.recipes.mnist_targets import CHOICES, RECIPE
from minidiff.recipes.run import hardware
from minidiff.samplers.ddim import ddim
from minidiff.samplers.grids import even_times
from minidiff.samplers.step import final_sample
from minidiff.training.checkpoint import write_whole
from minidiff.training.fit import fit

FILE = Path(__file__).with_suffix(".json")
NET = {"patch": 7, "channels": [32], "blocks": 2, "width": 64}
LAMBDAS = (-3.0, -1.5, 0.0, 1.5, 3.0)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", metavar="TARGET", default=["x0", "v"])
    parser.add_argument("--steps", type=int, default=600, help="batches of a run")
    parser.add_argument("--n", type=int, default=500, help="pictures measured and drawn")
    args = parser.parse_args()
    images, test = (load("mnist", split)[0] for split in ("train", "test"))
    kept = json.loads(FILE.read_text())["rows"] if FILE.exists() else []
    rows = [row for row in kept if row["target"] not in args.targets]
    rows += [measured(target, images, test[:args.n], args) for target in args.targets]
    write_whole(FILE, json.dumps({"steps": args.steps, "batch": 32, "n": args.n, "net": NET, "lambda": LAMBDAS,
                                  "hardware": hardware(), "torch": torch.__version__, "rows": rows}, indent=1) + "\n")


def measured(name, images, test, args):
    path, target, weight = CHOICES["path"]["cosine"], CHOICES["target"][name], CHOICES["weight"]["min(SNR, 5)"]
    times, preset = CHOICES["times"]["uniform"], RECIPE.presets["cpu"]
    t = path.T * times(100_000, torch.Generator().manual_seed(0))
    mean = float(loss_weight(weight, target, path.alpha(t), path.sigma(t)).mean())
    torch.manual_seed(0)
    net, start = UNet(**NET), time.process_time()
    fitted = fit(net, lambda net, x, g: (weighted_loss(net, x, path, target, g, times, weight)[0] / mean, {}),
                 Batches(images, preset["batch"], 0).at, steps=args.steps, seed=0, **preset["fit"])
    seconds, split = time.process_time() - start, beyond_of(fitted.ema)
    denoiser = denoiser_of(fitted.ema, path, target)
    with torch.no_grad():
        eps = torch.randn(test.shape, generator=torch.Generator().manual_seed(0))
        errors = []
        for t in time_of(path, torch.tensor(LAMBDAS)):
            x_t = float(path.alpha(t)) * test + float(path.sigma(t)) * eps
            errors.append([float(f"{u:.3g}") for u in split(denoiser(x_t, t)[0] - test)])
        drawn = final_sample(ddim(denoiser, torch.randn(test.shape, generator=torch.Generator().manual_seed(1)),
                                  even_times(path, 20), path))
    row = {"target": name, "error (within, beyond)": errors, "real (within, beyond)": split(test),
           "drawn (within, beyond)": split(drawn), "cpu_seconds": round(seconds, 1)}
    print(row, flush=True)
    return row


def beyond_of(net):
    """Split pictures (N, 1, 28, 28): mean square a pixel (within, beyond) the reach of the last layer."""
    channels = net.conv_out.in_channels
    basis = torch.eye(16 * channels).reshape(-1, channels, 4, 4)
    with torch.no_grad():
        made = torch.nn.functional.pixel_shuffle(net.conv_out(basis) - net.conv_out.bias[:, None, None], NET["patch"])
    Q = torch.linalg.qr(made.flatten(1).T.double()).Q  # (784, 512)

    def split(x):
        x = x.flatten(1).double()
        within = (x @ Q).square().sum() / x.numel()
        return [float(f"{u:.3g}") for u in (within, x.square().mean() - within)]
    return split


if __name__ == "__main__":
    main()
