"""mnist-targets: small nets on digits of 14 x 14, alike in all but target, weight, path and times."""

import torch
import torch.nn.functional as F

from minidiff.data.batches import Batches
from minidiff.data.load import load as load_data
from minidiff.evaluation.digits import load_judge
from minidiff.models.unet import UNet
from minidiff.process.continuous import interpolated_path
from minidiff.process.denoiser import denoiser_of
from minidiff.process.schedules import alpha_bar_of, cosine_betas, linear_betas
from minidiff.process.targets import EPS, X0, V
from minidiff.process.weighted_loss import logit_normal_times, stratified_times, weighted_loss
from minidiff.process.weights import constant, loss_weight, min_snr, snr_plus_one, snr_weight
from minidiff.recipes.run import Run
from minidiff.samplers.step import ddim_step
from minidiff.training.checkpoint import load_checkpoint, load_weights
from minidiff.training.errors import CheckpointError

PRESETS = {
    "cpu": {"net": {"channels": [24, 32], "blocks": 1, "patch": 2, "width": 48}, "batch": 32,
            "fit": {"lr": 2e-3, "precision": "float32"}},
    "cuda": {"net": {"channels": [64, 128], "blocks": 2, "patch": 1, "width": 128}, "batch": 512,
             "fit": {"lr": 2e-3, "precision": "bfloat16", "compile": True}},
}
PATHS = {"linear": interpolated_path(alpha_bar_of(linear_betas())),
         "cosine": interpolated_path(alpha_bar_of(cosine_betas()))}
TARGETS = {"eps": EPS, "x0": X0, "v": V}
WEIGHTS = {"1": constant, "SNR": snr_weight, "SNR + 1": snr_plus_one, "min(SNR, 5)": min_snr}
TIMES = {"uniform": stratified_times, "logit-normal": logit_normal_times}


def small(images):
    """Every second pixel of every second row: (N, 1, 28, 28) -> (N, 1, 14, 14), still on the 256 grey values."""
    return images[:, :, ::2, ::2]


def small_judge(data="mnist", n=20_000):
    """The judge of 14 x 14 digits, and the function that makes them fit it: (judge, enlarge).

    The reference of judge.distance(enlarge(x)) is n training digits, made small and enlarged again. Raises DataError.
    """
    def enlarge(x):
        return F.interpolate(x, size=28, mode="bilinear")

    return load_judge().against(enlarge(small(load_data(data, "train", n=n)[0]))), enlarge


def build(preset="cpu", data="mnist", seed=0, rank=0, world=1, path="cosine", target="v", weight="SNR + 1",
          times="uniform"):
    """The run `mnist-targets`: data "mnist" or "strokes", one name each of PATHS, TARGETS, WEIGHTS, TIMES.

    All runs of one seed start from the same weights, and see the same digits, times and noise. Raises DataError, and
    ValueError for a name that does not exist.
    """
    chosen = PRESETS[preset]
    for what, name, table in (("path", path, PATHS), ("target", target, TARGETS), ("weight", weight, WEIGHTS),
                              ("times", times, TIMES)):
        if name not in table:
            raise ValueError(f"{what} must be one of {', '.join(table)}, got {name!r}")
    images, _ = load_data(data, "train", n=20_000 if data == "strokes" else None)
    torch.manual_seed(seed)
    names = {"path": path, "target": target, "weight": weight, "times": times}
    config = {"recipe": "mnist-targets", "preset": preset, "data": data, "seed": seed, "batch": chosen["batch"],
             "net": chosen["net"]} | names
    loss_fn = scaled_loss(PATHS[path], TARGETS[target], WEIGHTS[weight], TIMES[times])
    batches = Batches(small(images), chosen["batch"], seed, rank, world)
    return Run(UNet(**chosen["net"]), loss_fn, batches.at, chosen["fit"] | {"seed": seed}, config)


def scaled_loss(path, target, weight, times):
    """`weighted_loss` as the trainer wants it, divided by the mean weight over 100,000 times.

    Without this a weight would also set how often the gradient is clipped.
    """
    t = path.T * times(100_000, torch.Generator().manual_seed(0))
    mean = loss_weight(weight, target, path.alpha(t), path.sigma(t)).mean()

    def loss_fn(net, batch, generator):
        loss, logs = weighted_loss(net, batch, path, target, generator, times, weight)
        return loss / float(mean), logs
    return loss_fn


def load(checkpoint):
    """Read a trained net: (net, path, target, config). Raises CheckpointError when the file is not of this recipe."""
    tensors, config = load_checkpoint(checkpoint)
    if config.get("recipe") != "mnist-targets" or "net" not in config:
        raise CheckpointError(f"{checkpoint} is not a model of the recipe mnist-targets")
    net = load_weights(UNet(**config["net"]), tensors, checkpoint)
    return net.eval().requires_grad_(False), PATHS[config["path"]], TARGETS[config["target"]], config


@torch.no_grad()
def sample(net, path, target, shape, steps=20, seed=0):
    """Pictures (N, C, H, W) = shape in [-1, 1], by `steps` steps of DDIM evenly spread over the path's time.

    The same seed starts from the same noise, whatever the net. Raises ValueError on a target that T does not determine.
    """
    times = torch.linspace(path.T, 0, steps + 1, dtype=torch.float64)
    denoiser = denoiser_of(net, path, target, clip=(-1, 1))
    x = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    for t, s in zip(times[:-1], times[1:], strict=True):
        x = ddim_step(*denoiser(x, t), t, s, path, eta=0.0)
    return x
