"""mnist-targets: small nets on digits of 14 x 14, alike in all but target, weight, path and times."""

from functools import partial

import torch
import torch.nn.functional as F

from minidiff.data.load import load
from minidiff.evaluation.digits import load_judge
from minidiff.process.continuous import interpolated_path
from minidiff.process.denoiser import denoiser_of
from minidiff.process.schedules import alpha_bar_of, cosine_betas, linear_betas
from minidiff.process.targets import EPS, X0, V
from minidiff.process.weighted_loss import logit_normal_times, stratified_times, weighted_loss
from minidiff.process.weights import constant, loss_weight, min_snr, snr_plus_one, snr_weight
from minidiff.recipes.pictures import pictures, unet
from minidiff.recipes.presets import ON_A_CARD
from minidiff.recipes.recipe import Draw, Recipe
from minidiff.samplers.ancestral import ancestral
from minidiff.samplers.sampler import Sampler

NO_NOISE = Sampler(partial(ancestral, eta=0.0))  # chapter 07 calls it DDIM
CHOICES = {
    "path": {"linear": interpolated_path(alpha_bar_of(linear_betas())),
             "cosine": interpolated_path(alpha_bar_of(cosine_betas()))},
    "target": {"eps": EPS, "x0": X0, "v": V},
    "weight": {"1": constant, "SNR": snr_weight, "SNR + 1": snr_plus_one, "min(SNR, 5)": min_snr},
    "times": {"uniform": stratified_times, "logit-normal": logit_normal_times},
}


def small(images):
    """Every second pixel of every second row: (N, 1, 28, 28) -> (N, 1, 14, 14), still on the 256 grey values."""
    return images[:, :, ::2, ::2]


def small_judge(data="mnist", n=20_000):
    """The judge of 14 x 14 digits, and the function that makes them fit it: (judge, enlarge).

    The reference of judge.distance(enlarge(x)) is n training digits, made small and enlarged again. Raises DataError.
    """
    def enlarge(x):
        return F.interpolate(x, size=28, mode="bilinear")

    return load_judge().against(enlarge(small(load(data, "train", n=n)[0]))), enlarge


def chosen(config, what):
    """The path, target, weight or times that a description names. Raises ValueError for a name that does not exist."""
    if config[what] not in CHOICES[what]:
        raise ValueError(f"{what} must be one of {', '.join(CHOICES[what])}, got {config[what]!r}")
    return CHOICES[what][config[what]]


def small_pictures(config):
    """The digits of `pictures`, small: {"x": (N, 1, 14, 14)}."""
    tensors, facts = pictures(config | {"shape": [1, 28, 28]})
    x = small(tensors["x"])
    return {"x": x}, facts | {"shape": list(x.shape[1:])}


def loss(config):
    """`weighted_loss` divided by the mean weight of 100,000 times: else a weight also sets how often gradients clip."""
    path, target, weight, times = (chosen(config, what) for what in CHOICES)
    t = path.T * times(100_000, torch.Generator().manual_seed(0))
    mean = float(loss_weight(weight, target, path.alpha(t), path.sigma(t)).mean())

    def scaled_loss(net, batch, generator):
        value, logs = weighted_loss(net, batch["x"], path, target, generator, times, weight)
        return value / mean, logs
    return scaled_loss


def draw(config):
    """By a walk without noise, in twenty steps."""
    target = chosen(config, "target")
    return Draw(chosen(config, "path"), lambda net, path: denoiser_of(net, path, target), config["shape"], NO_NOISE, 20)


RECIPE = Recipe(
    name="mnist-targets", data=small_pictures, net=unet, loss=loss, draw=draw,
    presets={"cpu": {"net": {"channels": [24, 32], "blocks": 1, "patch": 2, "width": 48}, "batch": 32,
                     "fit": {"lr": 2e-3, "precision": "float32"}},
             "cuda": {"net": {"channels": [64, 128], "blocks": 2, "patch": 1, "width": 128}, "batch": 512,
                      "fit": ON_A_CARD}},
    config={"path": "cosine", "target": "v", "weight": "SNR + 1", "times": "uniform"})
