"""mnist-flow: a U-Net that knows the label learns the velocity from digits to noise, by flow matching."""

from functools import partial

import torch

from minidiff.data.batches import Batches
from minidiff.data.load import load as load_data
from minidiff.models.labels import LabelEmbedding, drop_labels
from minidiff.models.unet import UNet
from minidiff.process.denoiser import denoiser_of
from minidiff.process.flow import FLOW, cfm_loss, flow_path
from minidiff.process.weighted_loss import logit_normal_times
from minidiff.recipes.run import Run
from minidiff.samplers.flow import euler_flow, heun_flow
from minidiff.samplers.step import final_sample
from minidiff.training.checkpoint import load_checkpoint, load_weights
from minidiff.training.errors import CheckpointError

PRESETS = {
    "cpu": {"net": {"channels": [24, 48, 96], "blocks": 1, "patch": 2, "width": 96}, "batch": 64,
            "fit": {"lr": 3e-3, "precision": "float32"}},
    "cuda": {"net": {"channels": [64, 128, 128], "blocks": 2, "attention": [1], "width": 256}, "batch": 512,
             "fit": {"lr": 2e-3, "precision": "bfloat16", "compile": True, "ema_decay": 0.9995}},
}
SAMPLERS = {"euler": euler_flow, "heun": heun_flow}
CLASSES, UNLABELLED = 10, 0.1


def make_net(options):
    """The U-Net of these options, which takes label=(B,) int: a digit 0..9, or 10 for any."""
    net = UNet(**options)
    net.embed.extra["label"] = LabelEmbedding(CLASSES, options["width"])
    return net


def build(preset="cpu", data="mnist", seed=0, rank=0, world=1):
    """The run `mnist-flow`: data "mnist" or "strokes" (20,000 of them), preset "cpu" or "cuda". Raises DataError."""
    chosen = PRESETS[preset]
    images, labels = load_data(data, "train", n=20_000 if data == "strokes" else None)
    rows = torch.cat([images.flatten(1), labels[:, None].float()], dim=1)
    torch.manual_seed(seed)
    config = {"recipe": "mnist-flow", "preset": preset, "data": data, "seed": seed, "batch": chosen["batch"],
             "net": chosen["net"], "target": "flow", "times": "logit-normal", "unlabelled": UNLABELLED}
    batches = Batches(rows, chosen["batch"], seed, rank, world)
    return Run(make_net(chosen["net"]), flow_loss, batches.at, chosen["fit"] | {"seed": seed}, config)


def flow_loss(net, rows, generator):
    """The flow-matching loss of rows (B, 785), a flat picture and its label, which is dropped for one in ten."""
    path, x0 = flow_path(), rows[:, :-1].reshape(-1, 1, 28, 28)
    labels = drop_labels(rows[:, -1].long(), UNLABELLED, CLASSES, generator)
    t = logit_normal_times(len(x0), generator)
    eps = torch.randn(x0.shape, generator=generator).to(x0)

    def velocity(x, t):
        return net(x, path.net_time(t).to(x.device), label=labels).float()

    return cfm_loss(velocity, x0, t, eps, path), {}


def load(checkpoint):
    """Read a trained net: (net, path, target, config). Raises CheckpointError when the file is not of this recipe."""
    tensors, config = load_checkpoint(checkpoint)
    if config.get("recipe") != "mnist-flow" or "net" not in config:
        raise CheckpointError(f"{checkpoint} is not a model of the recipe mnist-flow")
    net = load_weights(make_net(config["net"]), tensors, checkpoint)
    return net.eval().requires_grad_(False), flow_path(), FLOW, config


def sample(net, n, steps=5, seed=0, sampler="heun", device="cpu", batch=250, progress=None, labels=None):
    """n digits (n, 1, 28, 28) in [-1, 1] on the CPU, by `steps` steps in t; the same seed gives the same pictures.

    sampler: "euler" (`steps` evaluations of the net) or "heun" (2 steps - 1). labels: (n,) int in 0..10, 10 for any;
    default: 0, 1, ..., 9 in turn. progress: a callable around the batches (tqdm), or None. Raises ValueError on a bad
    argument.
    """
    if sampler not in SAMPLERS:
        raise ValueError(f"sampler must be one of {', '.join(SAMPLERS)}, got {sampler!r}")
    if n < 1 or steps < 1:
        raise ValueError(f"n and steps must be at least 1, got {n} and {steps}")
    labels = torch.arange(n) % CLASSES if labels is None else torch.as_tensor(labels)
    if labels.shape != (n,):
        raise ValueError(f"labels must be ({n},), one a picture, got {tuple(labels.shape)}")
    path, times = flow_path(), torch.linspace(1, 0, steps + 1, dtype=torch.float64)
    starts = torch.randn(n, 1, 28, 28, generator=torch.Generator().manual_seed(seed))
    denoiser, pictures = denoiser_of(net, path, FLOW), []
    for x, label in (progress or iter)(list(zip(starts.split(batch), labels.split(batch), strict=True))):
        walk = SAMPLERS[sampler](partial(denoiser, label=label.to(device)), x.to(device), times, path)
        pictures.append(final_sample(walk).clamp(-1, 1).cpu())
    return torch.cat(pictures)
