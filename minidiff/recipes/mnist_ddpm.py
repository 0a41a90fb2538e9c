"""mnist-ddpm: the U-Net of chapter 4 learns to predict the noise in a digit, on 1,000 linear steps."""

from functools import partial

import torch

from minidiff.data.batches import Batches
from minidiff.data.load import load as load_data
from minidiff.models.unet import UNet
from minidiff.process.denoiser import denoiser_of
from minidiff.process.losses import denoising_loss
from minidiff.process.path import discrete_path
from minidiff.process.schedules import alpha_bar_of, linear_betas
from minidiff.process.targets import EPS
from minidiff.recipes.run import Run
from minidiff.samplers.ancestral import ancestral
from minidiff.samplers.grids import spaced
from minidiff.samplers.step import final_sample
from minidiff.training.checkpoint import load_checkpoint, load_weights
from minidiff.training.errors import CheckpointError

PRESETS = {
    "cpu": {"net": {"channels": [48, 64, 64], "blocks": 2, "patch": 2, "width": 96}, "batch": 64,
            "fit": {"lr": 2e-3, "precision": "float32"}},
    "cuda": {"net": {"channels": [64, 128, 128], "blocks": 2, "attention": [1], "width": 256}, "batch": 512,
             "fit": {"lr": 2e-3, "precision": "bfloat16", "compile": True, "ema_decay": 0.9995}},
}
SAMPLERS = ("ancestral",)


def the_path():
    """The path of the recipe: T = 1000 linear betas (Ho et al. 2020, section 4)."""
    return discrete_path(alpha_bar_of(linear_betas()))


def build(preset="cpu", data="mnist", seed=0, rank=0, world=1):
    """The run `mnist-ddpm`: data "mnist" or "strokes" (20,000 of them), preset "cpu" or "cuda". Raises DataError."""
    chosen = PRESETS[preset]
    images, _ = load_data(data, "train", n=20_000 if data == "strokes" else None)
    torch.manual_seed(seed)
    net = UNet(**chosen["net"])
    path = the_path()

    def loss_fn(net, batch, generator):
        return denoising_loss(net, batch, path, EPS, generator)

    config = {"recipe": "mnist-ddpm", "preset": preset, "data": data, "seed": seed, "batch": chosen["batch"],
             "net": chosen["net"], "target": "eps", "T": path.T}
    batches = Batches(images, chosen["batch"], seed, rank, world)
    return Run(net, loss_fn, batches.at, chosen["fit"] | {"seed": seed}, config)


def load(checkpoint):
    """Read a trained net: (net, path, target, config). Raises CheckpointError when the file is not of this recipe."""
    tensors, config = load_checkpoint(checkpoint)
    if config.get("recipe") != "mnist-ddpm" or "net" not in config:
        raise CheckpointError(f"{checkpoint} is not a model of the recipe mnist-ddpm")
    net = load_weights(UNet(**config["net"]), tensors, checkpoint)
    return net.eval().requires_grad_(False), the_path(), EPS, config


def sample(net, n, steps=250, seed=0, sampler="ancestral", device="cpu", batch=250, progress=None):
    """n digits (n, 1, 28, 28) in [-1, 1] on the CPU, by `steps` ancestral steps; the same seed gives the same noise.

    progress: a callable around the batches of starting noise (tqdm), or None. Raises ValueError on a bad argument.
    """
    if sampler not in SAMPLERS:
        raise ValueError(f"sampler must be one of {', '.join(SAMPLERS)}, got {sampler!r}")
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}")
    path, generator = the_path(), torch.Generator().manual_seed(seed)
    times = spaced(path.T, steps)
    walk = partial(ancestral, denoiser_of(net, path, EPS, clip=(-1, 1)), times=times, path=path, generator=generator)
    starts = torch.randn(n, 1, 28, 28, generator=generator).split(batch)
    return torch.cat([final_sample(walk(x.to(device))).cpu() for x in (progress or iter)(starts)])


@torch.no_grad()
def eps_mse(net, images, seed=0, device="cpu", bins=10):
    """The error of the predicted noise on images: (mean over t uniform on 1..T, list of means over `bins` of t)."""
    generator, path = torch.Generator().manual_seed(seed), the_path()
    logs = [denoising_loss(net, x.to(device), path, EPS, generator)[1] for x in images.split(500)]
    t, each = torch.cat([log["t"] for log in logs]), torch.cat([log["each"].cpu() for log in logs])
    of_bin = (t - 1) * bins // path.T
    return each.mean().item(), [each[of_bin == b].mean().item() for b in range(bins)]
