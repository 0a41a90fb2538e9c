"""mnist-flow: a U-Net that knows the label learns the velocity from digits to noise, by flow matching."""

from functools import partial

import torch

from minidiff.models.labels import LabelEmbedding, check_labels, drop_labels
from minidiff.process.denoiser import denoiser_of
from minidiff.process.flow import FLOW, flow_path, shift_times
from minidiff.process.weighted_loss import logit_normal_times, weighted_loss
from minidiff.recipes.pictures import digit_figures, pictures, unet
from minidiff.recipes.presets import ON_A_CARD, WIDE
from minidiff.recipes.recipe import Draw, Recipe
from minidiff.samplers.flow import HEUN_FLOW
from minidiff.samplers.grids import even_times


def labelled_unet(config):
    """The U-Net that takes label=(B,) int: a class, or the number of classes for any."""
    net = unet(config)
    net.embed.extra["label"] = LabelEmbedding(config["classes"], config["net"]["width"])
    return net


def loss(config):
    """Flow matching: the error of the velocity, with one label in ten dropped."""
    def flow_loss(net, batch, generator):
        label = drop_labels(batch["label"], config["unlabelled"], config["classes"], generator)
        net = partial(net, label=label)
        return weighted_loss(net, batch["x"], flow_path(), FLOW, generator, times=logit_normal_times)
    return flow_loss


def draw(config):
    """By Heun's method in five steps, more of them near the noise; labels in turn, if none is asked for."""
    return Draw(flow_path(), lambda net, path: denoiser_of(net, path, FLOW), config["shape"], HEUN_FLOW, steps=9,
                grid=lambda path, n: shift_times(even_times(path, n), 2.0),
                cond=partial(labels_asked_for, classes=config["classes"]),
                null=lambda cond: {"label": torch.full_like(cond["label"], config["classes"])})


def labels_asked_for(n, classes, label=None):
    """{"label": (n,)}: one class for all, one a picture, or by default 0, 1, 2, ... in turn; `classes` is any."""
    label = torch.arange(n) % classes if label is None else torch.as_tensor(label)
    return {"label": check_labels(label.expand(n) if label.ndim == 0 else label, classes, n)}


RECIPE = Recipe(
    name="mnist-flow", data=pictures, net=labelled_unet, loss=loss, draw=draw, measure=digit_figures,
    presets={"cpu": {"net": {"channels": [24, 48, 96], "blocks": 1, "patch": 2, "width": 96}, "batch": 64,
                     "fit": {"lr": 3e-3, "precision": "float32"}},
             "cuda": {"net": WIDE, "batch": 1024, "fit": ON_A_CARD}},
    config={"shape": [1, 28, 28], "unlabelled": 0.1})
