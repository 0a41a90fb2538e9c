"""clip-decoder: the second half of unCLIP in miniature, from the vector of a picture back to a picture."""

from functools import partial

import torch
from torch import nn

from minidiff.data.emoji import emoji
from minidiff.models.unet import UNet
from minidiff.process.denoiser import denoiser_of
from minidiff.process.flow import flow_path
from minidiff.process.targets import X0
from minidiff.process.weighted_loss import weighted_loss
from minidiff.recipes.captions import clear_at_most
from minidiff.recipes.clip_prior import committed_clip, dropped
from minidiff.recipes.recipe import Draw, Recipe, sample
from minidiff.recipes.tiny_clip import embed_pictures
from minidiff.samplers.flow import HEUN_FLOW


def seen_pictures(config):
    """The training emoji, and the vectors that the committed CLIP gives them: {"x": (N, 3, 32, 32), "picture": ...}."""
    _, clip = committed_clip()
    pictures = emoji("train").pictures
    vectors = embed_pictures(clip, pictures)
    dim = vectors.shape[1]
    return {"x": pictures, "picture": dim ** 0.5 * vectors}, {"data": "emoji", "dim": dim}


def told_unet(config):
    """The U-Net that takes picture=(B, dim), a vector of length sqrt(dim), or zeros for none."""
    net = UNet(config["shape"][0], **config["net"])
    net.embed.extra["picture"] = nn.Linear(config["dim"], config["net"]["width"])
    return net


def decoder_loss(config):
    """The error of x0 on the straight path, weighted as in emoji-text; some vectors are blurred, and some left out.

    A vector that a prior makes is not exactly that of a picture: noise of a standard deviation uniform in
    0..config["blur"], beside numbers of size 1, gets the decoder used to it.
    """
    def loss(net, batch, generator):
        vector = batch["picture"]
        noise = torch.randn(vector.shape, generator=generator) * torch.rand(len(vector), 1, generator=generator)
        vector = dropped(vector + config["blur"] * noise.to(vector), config["untold"], generator)
        weight = partial(clear_at_most, config["least_time"])
        return weighted_loss(partial(net, picture=vector), batch["x"], flow_path(), X0, generator, weight=weight)
    return loss


def asked_for(n, config, picture=None):
    """{"picture": (n, dim)} of unit vectors (n, dim), by default those of the held-out emoji in turn.

    Raises ValueError for vectors of another shape.
    """
    if picture is None:
        _, clip = committed_clip()
        held = emoji("test").pictures
        picture = embed_pictures(clip, held[torch.arange(n) % len(held)])
    if picture.shape != (n, config["dim"]):
        raise ValueError(f"picture must be ({n}, {config['dim']}), one vector a picture, got {tuple(picture.shape)}")
    return {"picture": config["dim"] ** 0.5 * picture}


def draw(config):
    """By Heun's method in ten steps."""
    return Draw(flow_path(), lambda net, path: denoiser_of(net, path, X0), config["shape"], HEUN_FLOW, steps=19,
                cond=partial(asked_for, config=config),
                null=lambda cond: {"picture": torch.zeros_like(cond["picture"])})


def unclip(prior, decoder, n, seed=0, wrap=None, **asked):
    """n pictures of captions by way of vectors: p(x | text) = p(x | e) p(e | text) (Ramesh et al. 2022, section 2).

    prior, decoder: (recipe, net) each, as `load` gives them; asked: caption, style, for the prior; wrap: of the
    decoder's denoiser. Returns (pictures (n, 3, 32, 32), vectors (n, dim)).
    """
    vectors = sample(*prior, n, seed=seed, **asked)
    return sample(*decoder, n, seed=seed, picture=vectors, wrap=wrap), vectors


RECIPE = Recipe(
    name="clip-decoder", data=seen_pictures, net=told_unet, loss=decoder_loss, draw=draw,
    presets={"cpu": {"net": {"channels": [48, 80, 112], "blocks": 1, "patch": 2, "width": 160}, "batch": 64,
                     "fit": {"lr": 2e-3, "precision": "float32"}},
             "cuda": {"net": {"channels": [96, 160, 224], "blocks": 2, "patch": 2, "width": 256}, "batch": 512,
                      "fit": {"lr": 1e-3, "precision": "bfloat16", "compile": True}}},
    config={"shape": [3, 32, 32], "blur": 0.5, "untold": 0.1, "least_time": 0.2})
