"""Bits per dimension of 100 MNIST test images under mnist-ddpm, by its ODE and by its ELBO: benchmarks/bits.json

    python benchmarks/bits.py [--n 100] [--steps 24] [--elbo 40]

The ODE starts at t = 1 and ends at T, 4 evaluations and backward passes a step. Parts that stand in the JSON already
are not computed again. --elbo: for how many of the images all 1,000 terms of chapter 02's bound are computed.
"""

import argparse
import json
import lzma
import math
import time
from functools import partial
from pathlib import Path

import torch
from measuring import machine, some, write

from minidiff.data.load import load as load_data
from minidiff.evaluation.likelihood import decoder_nats, hutchinson, log_density, uniform_nats
from minidiff.process.continuous import in_real_time
from minidiff.process.elbo import bits_per_dim, discretized_loglik, elbo_terms
from minidiff.recipes.recipe import load
from minidiff.recipes.run import CHECKPOINTS

FILE = Path(__file__).with_suffix(".json")
SEED, BATCH, WIDTHS = 0, 25, (0.004, 0.005, 0.006, 0.007, 0.008, 0.009, 0.01)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=100)
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--elbo", type=int, default=40)
    args = parser.parse_args()
    record = json.loads(FILE.read_text()) if FILE.exists() else {
        "what": "bits per dimension of MNIST test images; mean and standard error of the mean",
        "seed": SEED} | machine()
    recipe, net = load(CHECKPOINTS / "mnist-ddpm.safetensors")
    draw = recipe.draw(recipe.config)
    alpha_bar, path = draw.path.alpha_bar, in_real_time(draw.path)
    denoiser, images = draw.denoiser(net, path), some("test", args.n, SEED)
    parts = {
        "baselines": lambda: baselines(images),
        "decoder_std": lambda: best_width(denoiser, path),
        "ode": lambda: ode_bits(denoiser, path, images, args.steps, record["decoder_std"]),
        "ode_half_the_steps": lambda: ode_bits(denoiser, path, images, args.steps // 2, record["decoder_std"]),
        "ode_uniform": lambda: ode_bits(denoiser, path, images, args.steps // 2, None),
        "elbo": lambda: elbo_bits(denoiser, images[:args.elbo], alpha_bar, record["decoder_std"]),
    }
    for name, part in parts.items():
        if name not in record:
            record[name] = part()
            write(FILE, record)
            print(name, record[name], flush=True)


def summary(nats, start, **more):
    """The mean and standard error of nats per dimension, one per image or one per group of images, in bits."""
    mean, error = bits_per_dim(nats.mean().item()), bits_per_dim(nats.std().item()) / math.sqrt(len(nats))
    return {"bits": round(mean, 3), "error": round(error, 3)} | more | {"seconds": round(time.monotonic() - start, 1)}


def ode_bits(denoiser, path, images, steps, decoder_std):
    """By the density at t = 1 of the ODE's flow: through a decoder of this width, or by uniform dequantisation."""
    start, noise, signs = time.monotonic(), *(torch.Generator().manual_seed(SEED + i) for i in (1, 2))
    log_p = partial(log_density, denoiser, path=path, t=1.0, end=path.T, steps=steps,
                    trace=partial(hutchinson, generator=signs))
    nats = [uniform_nats(log_p, x, noise) if decoder_std is None else
            decoder_nats(log_p, denoiser, x, path, 1.0, decoder_std, noise) for x in images.split(BATCH)]
    return summary(torch.cat(nats), start, images=len(images), steps=steps)


@torch.no_grad()
def best_width(denoiser, path):
    """The width of the decoder with the best log-likelihood on 200 training images noised to t = 1."""
    x0, generator = some("train", 200, SEED), torch.Generator().manual_seed(SEED)
    x_1 = float(path.alpha(1)) * x0 + float(path.sigma(1)) * torch.randn(x0.shape, generator=generator)
    x0_hat = denoiser(x_1, 1)[0]
    return max(WIDTHS, key=lambda width: float(discretized_loglik(x0, x0_hat, torch.tensor(width)).double().mean()))


@torch.no_grad()
def elbo_bits(denoiser, images, alpha_bar, decoder_std):
    """All terms of the bound of the 1,000 ancestral steps, in groups of four images, each noised once per step."""
    start, generator = time.monotonic(), torch.Generator().manual_seed(SEED)
    terms = torch.stack([elbo_terms(lambda x, t: denoiser(x, t)[0], x, alpha_bar, generator, torch.tensor(decoder_std))
                         for x in images.split(4)])
    share = {name: round(bits_per_dim(part.sum(dim=1).mean().item()), 3) for name, part in
             {"decoder": terms[:, :1], "steps": terms[:, 1:-1], "prior": terms[:, -1:]}.items()}
    return summary(terms.sum(dim=1), start, images=len(images), parts=share)


def baselines(images):
    """What needs no net: one histogram of the training set for all pixels, one for each, and a general compressor."""
    train, test, ours = (((x + 1) * 127.5).round().long().flatten(1) for x in (
        load_data("mnist", "train")[0], load_data("mnist", "test")[0], images))
    counts = torch.full((train.shape[1], 256), 1 / 256, dtype=torch.float64)
    counts.scatter_add_(1, train.T, torch.ones(train.T.shape, dtype=torch.float64))
    raw = test.to(torch.uint8).numpy().tobytes()
    return {"one_histogram_test_set": price(counts.sum(dim=0).expand(counts.shape), test),
            "pixel_histograms_test_set": price(counts, test),
            "pixel_histograms_these_images": price(counts, ours),
            "lzma_test_set": round(8 * len(lzma.compress(raw)) / len(raw), 3)}


def price(counts, images):
    """Bits per pixel of images (N, D) of grey values, each pixel coded by its own row of counts (D, 256)."""
    return round(float(-(counts / counts.sum(dim=1, keepdim=True)).log2().gather(1, images.T).mean()), 3)


if __name__ == "__main__":
    main()
