"""How fast is a training step of mnist-ddpm, beside the fastest convolution of this machine: benchmarks/speed.json

    python benchmarks/speed.py        about a minute; nothing else should run meanwhile
"""

import json
import subprocess
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from measuring import flops_of_an_image, machine, write

from minidiff.recipes.mnist_ddpm import RECIPE
from minidiff.recipes.recipe import build
from minidiff.training.fit import fit

STEPS = 60


def main():
    run = build(RECIPE, data="strokes")
    flops = flops_of_an_image(run)
    fit(run.net, run.loss_fn, run.batch_at, steps=5, **run.fit)  # warms the caches
    fitted = fit(run.net, run.loss_fn, run.batch_at, steps=STEPS, **run.fit)
    rate = fitted.images / fitted.seconds
    peak = max(convolution_flops(c, side) for c in (64, 128, 256) for side in (14, 28))
    record = machine() | {
        "batch": run.config["batch"], "images_per_second": round(rate),
        "mflop_per_image": round(flops / 1e6), "gflops_reached": round(rate * flops / 1e9),
        "gflops_of_the_best_convolution": round(peak / 1e9), "fraction": round(rate * flops / peak, 2),
        "import_minidiff_beyond_torch_seconds":
            round(import_seconds("import torch, minidiff") - import_seconds("import torch"), 3),
    }
    write(Path(__file__).with_suffix(".json"), record)
    print(json.dumps(record, indent=1))


def convolution_flops(channels, side, batch=64, repeats=10):
    """Floating-point operations a second of a 3x3 float32 convolution, forward and backward."""
    x = torch.randn(batch, channels, side, side).to(memory_format=torch.channels_last).requires_grad_()
    w = torch.randn(channels, channels, 3, 3).to(memory_format=torch.channels_last).requires_grad_()
    grad = torch.randn_like(x)
    F.conv2d(x, w, padding=1).backward(grad)
    start = time.monotonic()
    for _ in range(repeats):
        F.conv2d(x, w, padding=1).backward(grad)
    return 3 * 2 * 9 * channels**2 * side**2 * batch * repeats / (time.monotonic() - start)


def import_seconds(code, repeats=5):
    """The shortest of some imports, each in a new interpreter."""
    def once():
        start = time.monotonic()
        subprocess.run([sys.executable, "-c", code], check=True)
        return time.monotonic() - start
    return min(once() for _ in range(repeats))


if __name__ == "__main__":
    main()
