"""emoji-latent: a small Stable Diffusion; the U-Net of emoji-text learns to draw in the latents of emoji-vae."""

import hashlib
import json
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import torch

from minidiff.models.kl_vae import KLVAE, means, pictures_of
from minidiff.process.latents import Normaliser, measured
from minidiff.recipes import emoji_text
from minidiff.recipes.captions import caption_draw, caption_loss, text_unet
from minidiff.recipes.recipe import Recipe, load
from minidiff.recipes.run import CHECKPOINTS
from minidiff.training.errors import CheckpointError


@cache
def autoencoder(name):
    """A trained autoencoder, of checkpoints/ or a file or folder of one's own: (net, digest of its weights).

    The digest tells one training from another, whose latents mean something else. Raises CheckpointError.
    """
    file = CHECKPOINTS / f"{name}.safetensors"
    recipe, net = load(file if file.is_file() else Path(name))
    if not isinstance(net, KLVAE):
        raise CheckpointError(f"{name} is of the recipe {recipe.name}, which is no autoencoder of pictures")
    weights = hashlib.sha256(json.dumps(recipe.config["net"], sort_keys=True).encode())
    for _, tensor in sorted(net.state_dict().items()):
        weights.update(tensor.contiguous().numpy().tobytes())
    return net, weights.hexdigest()[:16]


def latents(config):
    """What emoji-text trains on, with latents in place of pictures: {"x": (N, c, h, w), "style", "tokens", "parts"}.

    Each picture is encoded once, by the mean of its latents: beside the standard deviation of the means, that of a draw
    is small (the record of emoji-vae has it), and a draw that is made once would only be noise learned by heart. The
    facts say which autoencoder it was, by its digest, and how its latents are normalised.
    """
    tensors, facts = emoji_text.pictures(config)
    net, digest = autoencoder(config["vae"])
    z = means(net, tensors["x"])
    how = measured(z, config["per_channel"])
    return tensors | {"x": how.normalise(z)}, facts | {
        "shape": list(z.shape[1:]), "vae_digest": digest, "latent_shift": how.shift, "latent_scale": how.scale}


def normaliser(config):
    """The `Normaliser` that the latents of a trained model were made with."""
    return Normaliser(config["latent_shift"], config["latent_scale"])


def autoencoder_of(config):
    """The autoencoder that a trained model learned in: a net. Raises CheckpointError when another one lies there."""
    net, digest = autoencoder(config["vae"])
    if digest != config["vae_digest"]:
        raise CheckpointError(f"the latents were learned in the autoencoder {config['vae']} with the digest "
                              f"{config['vae_digest']}, and the one that is there has {digest}")
    return net


def encode(config, pictures):
    """Pictures (B, 3, H, W) in [-1, 1] as the numbers that the net sees: (B, c, H / f, W / f)."""
    return normaliser(config).normalise(means(autoencoder_of(config), pictures))


def decode(config, x):
    """What the net drew, (B, c, h, w), as pictures in [-1, 1] on the CPU: (B, 3, f h, f w)."""
    return pictures_of(autoencoder_of(config).to(x.device), normaliser(config).restore(x.float()))


def draw(config):
    """As emoji-text draws, in latents: these have no range, so nothing is clipped; the last step is the decoder's.

    Raises CheckpointError, before any work, when that decoder is not there.
    """
    autoencoder_of(config)
    pixels = caption_draw(config, partial(emoji_text.asked_for, config=config))
    return replace(pixels, clip=False, decode=lambda net, x: decode(config, x))


RECIPE = Recipe(
    name="emoji-latent", data=latents, net=text_unet, draw=draw,
    loss=lambda config: caption_loss(config, partial(emoji_text.some_words, config=config)),
    presets={"cpu": {"net": {"channels": [96, 128], "blocks": 1, "patch": 1, "width": 192, "attention": [0, 1],
                             "reads": "self+cross", "text": {"width": 128, "depth": 1, "heads": 4}},
                     "batch": 64, "fit": {"lr": 1e-3, "precision": "float32"}},
             "cuda": {"net": {"channels": [192, 288], "blocks": 2, "patch": 1, "width": 256, "attention": [0, 1],
                              "reads": "self+cross", "text": {"width": 192, "depth": 2, "heads": 6}},
                      "batch": 512, "fit": {"lr": 1e-3, "precision": "bfloat16", "compile": True}}},
    config=emoji_text.RECIPE.config | {"shape": [4, 8, 8], "vae": "emoji-vae", "per_channel": True})
