"""emoji-vae: the first stage of latent diffusion, 32 x 32 x 3 pixels of an emoji as 8 x 8 x 4 latents and back."""

import torch

from minidiff.data.emoji import emoji
from minidiff.evaluation.rate import rate_distortion
from minidiff.models.kl_vae import KLVAE, means
from minidiff.process.autoencoding import vae_loss
from minidiff.process.latents import measured
from minidiff.recipes.recipe import Recipe
from minidiff.recipes.tiny_clip import shifted


def pictures(config):
    """The training emoji: ({"x": (N, 3, 32, 32)}, facts)."""
    chosen = emoji("train").pictures
    return {"x": chosen}, {"data": "emoji", "shape": list(chosen.shape[1:])}


def kl_vae(config):
    """The autoencoder of config["net"] for pictures of config["shape"]."""
    return KLVAE(config["shape"][0], **config["net"])


def loss(config):
    """`vae_loss` of pictures that are moved by up to config["moved"] pixels; its weight is config["weight"]."""
    def loss_fn(net, batch, generator):
        x = shifted(batch["x"], config["moved"], generator)
        picture, mean, log_var = net(x, noise(x, config["net"], generator))
        return vae_loss(picture.float(), x, mean.float(), log_var.float(), config["weight"])
    return loss_fn


def noise(x, net, generator):
    """Standard normal numbers for the latents of pictures x (B, C, H, W), by the settings of their autoencoder."""
    factor = net["patch"] * 2 ** (len(net["channels"]) - 1)
    B, _, H, W = x.shape
    return torch.randn(B, net["latent"], H // factor, W // factor, generator=generator).to(x)


def figures(net, seed=0):
    """What a trained autoencoder keeps of held-out emoji and of as many training ones, and the law of its latents."""
    seen, held = emoji("train").pictures, emoji("test").pictures
    z = means(net, seen)
    found = {name: rate_distortion(net, some, torch.Generator().manual_seed(seed))
             for name, some in (("held_out", held), ("training", seen[::31]))}
    each, whole = measured(z), measured(z, per_channel=False)
    return found | {"latent": {"mean": whole.shift, "std": [1 / s for s in whole.scale],
                               "mean_per_channel": each.shift, "std_per_channel": [1 / s for s in each.scale]}}


RECIPE = Recipe(
    name="emoji-vae", data=pictures, net=kl_vae, loss=loss,
    presets={"cpu": {"net": {"latent": 4, "channels": [32, 64], "blocks": 1, "patch": 2}, "batch": 64,
                     "fit": {"lr": 5e-3, "precision": "auto"}},
             "cuda": {"net": {"latent": 4, "channels": [64, 128, 256], "blocks": 2, "patch": 1}, "batch": 256,
                      "fit": {"lr": 1e-3, "precision": "bfloat16", "compile": True}}},
    config={"shape": [3, 32, 32], "weight": 1e-2, "moved": 3})
