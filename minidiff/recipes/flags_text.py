"""flags-text: a small U-Net learns to fly flags from captions, in seconds; for experiments about what a text tells."""

from functools import partial

import torch

from minidiff.data.flags import FLAGS, SIDE, caption, fly, held_out
from minidiff.data.tokenizer import learn_words
from minidiff.recipes.captions import caption_draw, caption_loss, captions_asked_for, text_unet, tokens_of
from minidiff.recipes.recipe import Recipe


def flags(config):
    """config["each"] pictures of every flag not held out, with captions "long" or "short" as config["captions"] says."""
    shown = [flag for flag in FLAGS if not held_out(flag)] * config["each"]
    captions = [caption(flag, config["captions"] == "short") for flag in shown]
    texts = [caption(flag, short) for flag in FLAGS for short in (False, True)]
    facts = {"data": "flags", "words": list(learn_words(texts).words)}
    pictures = fly(shown, torch.Generator().manual_seed(config["seed"]))
    return {"x": pictures, "tokens": tokens_of(config | facts, captions)}, facts


def asked_for(n, config, caption=None):
    """{"tokens": (n, L)}: of one caption for all, of one a picture, or by default of the held-out flags, in turn."""
    return {"tokens": tokens_of(config, captions_asked_for(n, caption, held_out_captions))}


def held_out_captions(n):
    """n long captions of held-out flags, in turn."""
    held = [caption(flag) for flag in FLAGS if held_out(flag)]
    return [held[i % len(held)] for i in range(n)]


SMALL = {"net": {"channels": [48], "blocks": 1, "patch": 2, "width": 96, "attention": [0], "reads": "self+cross",
                 "text": {"width": 48, "depth": 1, "heads": 4}},
         "batch": 128, "fit": {"lr": 2e-3, "precision": "float32", "ema_decay": 0.99, "warmup": 20}}
RECIPE = Recipe(
    name="flags-text", data=flags, net=text_unet, loss=caption_loss, presets={"cpu": SMALL, "cuda": SMALL},
    draw=lambda config: caption_draw(config, partial(asked_for, config=config), steps=9),
    config={"shape": [3, SIDE, SIDE], "length": 6, "each": 40, "captions": "long", "target": "x0", "least_time": 0.2,
            "shift": 1.0, "uncaptioned": 0.1})
