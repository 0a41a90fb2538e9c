"""clip-prior: the first half of unCLIP in miniature, from the vector of a caption to the vector of a picture."""

from functools import cache, partial

import torch
import torch.nn.functional as F

from minidiff.data.emoji import emoji
from minidiff.models.labels import drop_labels
from minidiff.models.prior import Prior
from minidiff.process.denoiser import denoiser_of
from minidiff.process.flow import flow_path
from minidiff.process.targets import X0
from minidiff.process.weighted_loss import weighted_loss
from minidiff.recipes.captions import captions_asked_for
from minidiff.recipes.emoji_text import in_turn
from minidiff.recipes.recipe import Draw, Recipe, load
from minidiff.recipes.run import CHECKPOINTS
from minidiff.recipes.tiny_clip import embed_captions, embed_pictures, pairs, shifted, some_text
from minidiff.samplers.flow import HEUN_FLOW


@cache
def committed_clip():
    """The tiny CLIP that comes with the course: (recipe, net). Raises CheckpointError."""
    return load(CHECKPOINTS / "tiny-clip.safetensors")


def vectors(config):
    """Vectors of pictures and of what is said of them, of the committed CLIP: {"x": (N, dim), "text": (N, dim)}.

    Each pair of `tiny_clip.pairs` stands there config["copies"] times, each time with other words, and its picture
    moved; every other time the style is told. A vector of length 1 is multiplied by sqrt(dim), so that its numbers are
    of the size of the noise.
    """
    recipe, net = committed_clip()
    some, _ = pairs(recipe.config)
    generator, found = torch.Generator().manual_seed(config["seed"]), {"x": [], "text": []}
    for copy in range(config["copies"]):
        tokens = some_text(recipe.config, some, generator, told=copy % 2 == 0)
        found["x"].append(embed_pictures(net, shifted(some["x"], recipe.config["shift"], generator)))
        with torch.no_grad():
            found["text"].append(torch.cat([net.encode_texts(part) for part in tokens.split(500)]))
    dim = found["x"][0].shape[1]
    return ({name: dim ** 0.5 * torch.cat(parts) for name, parts in found.items()},
            {"data": "emoji, shapes", "dim": dim})


def dropped(vector, rate, generator):
    """Vectors (B, D), each replaced by zeros with probability `rate`, so that the net learns to do without."""
    stays = drop_labels(torch.ones(len(vector), dtype=torch.long), rate, 0, generator)
    return vector * stays[:, None].to(vector)


def prior_loss(config):
    """The error of x0, the vector of the picture, at uniform times (Ramesh et al. 2022, eq. 2)."""
    def loss(net, batch, generator):
        told = partial(net, text=dropped(batch["text"], config["untold"], generator))
        return weighted_loss(told, batch["x"], flow_path(), X0, generator)
    return loss


def asked_for(n, config, caption=None, style=None, text=None):
    """{"text": (n, dim)}: of captions, one for all or one a picture, or of given unit vectors (n, dim).

    A style goes before its caption. By default the held-out captions, in turn, each with its style. Raises ValueError
    for vectors of another shape.
    """
    if text is None:
        if caption is None:
            held = emoji("test")
            caption, style = in_turn(held.captions, n), style or in_turn(held.styles, n)
        captions = captions_asked_for(n, caption, None)
        styles = [style or ""] * n if isinstance(style, str | None) else style
        recipe, net = committed_clip()
        text = embed_captions(recipe.config, net, [f"{s} {c}".strip() for s, c in zip(styles, captions, strict=True)])
    if text.shape != (n, config["dim"]):
        raise ValueError(f"text must be ({n}, {config['dim']}), one vector a picture, got {tuple(text.shape)}")
    return {"text": config["dim"] ** 0.5 * text}


def draw(config):
    """By Heun's method in ten steps; what comes out is brought to length 1."""
    return Draw(flow_path(), lambda net, path: denoiser_of(net, path, X0), (config["dim"],), HEUN_FLOW, steps=19,
                cond=partial(asked_for, config=config), clip=False,
                null=lambda cond: {"text": torch.zeros_like(cond["text"])},
                decode=lambda net, x: F.normalize(x, dim=1))


SMALL = {"net": {"width": 256, "depth": 3, "dropout": 0.1}, "batch": 512,
         "fit": {"lr": 1e-3, "precision": "float32", "weight_decay": 0.05}}
RECIPE = Recipe(
    name="clip-prior", data=vectors, net=lambda config: Prior(config["dim"], **config["net"]), loss=prior_loss,
    presets={"cpu": SMALL, "cuda": SMALL}, draw=draw, config={"copies": 4, "untold": 0.1})
