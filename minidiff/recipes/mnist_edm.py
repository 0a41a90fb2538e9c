"""mnist-edm: the U-Net of chapter 4 with EDM's inputs, targets and noise levels, drawn with Heun's method."""

from functools import partial

import torch

from minidiff.data.batches import Batches
from minidiff.data.load import load as load_data
from minidiff.models.unet import UNet
from minidiff.process.edm import edm_denoiser_of, edm_loss, f_target, ve_path
from minidiff.recipes.run import Run
from minidiff.samplers.heun import heun
from minidiff.samplers.lambda_grids import karras_sigmas
from minidiff.samplers.step import final_sample
from minidiff.training.checkpoint import load_checkpoint, load_weights
from minidiff.training.errors import CheckpointError

PRESETS = {
    "cpu": {"net": {"channels": [48, 64, 64], "blocks": 2, "patch": 2, "width": 96}, "batch": 64,
            "fit": {"lr": 2e-3, "precision": "float32"}},
    "cuda": {"net": {"channels": [64, 128, 128], "blocks": 2, "attention": [1], "width": 256}, "batch": 512,
             "fit": {"lr": 2e-3, "precision": "bfloat16", "compile": True, "ema_decay": 0.9995}},
}
SIGMA_DATA = 0.62  # the standard deviation of MNIST's pixels in [-1, 1]
SIGMA_MIN, SIGMA_MAX = 0.002, 80.0  # Karras et al. 2022, table 1


def the_path():
    """The path of the recipe: alpha = 1, sigma = t up to SIGMA_MAX."""
    return ve_path(SIGMA_MAX)


def of_c_noise(net):
    """A U-Net, which knows times on a scale of 1000, as a function of c_noise = ln(sigma) / 4."""
    return lambda x, c_noise, **cond: net(x, 1000 * c_noise, **cond)


def build(preset="cpu", data="mnist", seed=0, rank=0, world=1):
    """The run `mnist-edm`: data "mnist" or "strokes" (20,000 of them), preset "cpu" or "cuda". Raises DataError."""
    chosen = PRESETS[preset]
    images, _ = load_data(data, "train", n=20_000 if data == "strokes" else None)
    torch.manual_seed(seed)
    net = UNet(**chosen["net"])

    def loss_fn(net, batch, generator):
        return edm_loss(of_c_noise(net), batch, SIGMA_DATA, generator)

    config = {"recipe": "mnist-edm", "preset": preset, "data": data, "seed": seed, "batch": chosen["batch"],
             "net": chosen["net"], "target": "F", "sigma_data": SIGMA_DATA}
    batches = Batches(images, chosen["batch"], seed, rank, world)
    return Run(net, loss_fn, batches.at, chosen["fit"] | {"seed": seed}, config)


def load(checkpoint):
    """Read a trained net: (net, path, target, config). Raises CheckpointError when the file is not of this recipe."""
    tensors, config = load_checkpoint(checkpoint)
    if config.get("recipe") != "mnist-edm" or "net" not in config:
        raise CheckpointError(f"{checkpoint} is not a model of the recipe mnist-edm")
    net = load_weights(UNet(**config["net"]), tensors, checkpoint).eval().requires_grad_(False)
    return net, the_path(), f_target(SIGMA_DATA), config


def denoiser(net):
    """The denoiser of a trained net: what samplers walk with."""
    return edm_denoiser_of(of_c_noise(net), the_path(), SIGMA_DATA)


def sample(net, n, steps=18, seed=0, device="cpu", batch=250, progress=None):
    """n digits (n, 1, 28, 28) on the CPU, by `steps` steps of Heun on Karras' grid: 2 steps - 1 evaluations.

    The same seed gives the same digits. progress: a callable around the batches (tqdm), or None. Raises ValueError
    unless n >= 1 and steps >= 1.
    """
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}")
    times = karras_sigmas(steps, SIGMA_MIN, SIGMA_MAX)
    starts = SIGMA_MAX * torch.randn(n, 1, 28, 28, generator=torch.Generator().manual_seed(seed))
    walk = partial(heun, denoiser(net), times=times, path=the_path())
    return torch.cat([final_sample(walk(x.to(device))).cpu() for x in (progress or iter)(starts.split(batch))])
