"""shapes-text: a U-Net learns to draw scenes of coloured shapes from captions, and a judge reads whether it obeys."""

from functools import partial
from itertools import product

import torch

from minidiff.data.shapes import shapes
from minidiff.data.shapes_scene import describe
from minidiff.data.shapes_words import COLOURS, NUMBERS, RELATIONS, SHAPES, SIZES, Description, Thing, say
from minidiff.data.tokenizer import learn_words
from minidiff.evaluation.shapes_judge import judge, rates
from minidiff.recipes.captions import (as_text, caption_draw, caption_loss, captions_asked_for, text_unet,
                                       tokens_of)
from minidiff.recipes.recipe import Recipe


def scenes(config):
    """Training scenes with captions of a kind: ({"x": (N, 3, 32, 32), "tokens": (N, L)}, facts).

    config["captions"]: "long", "short", or "both", where every other scene has its short one; else ValueError.
    """
    made = shapes(config["scenes"], seed=config["scene_seed"])
    which = config["captions"]
    if which not in ("long", "short", "both"):
        raise ValueError(f"captions must be long, short or both, got {which!r}")
    captions = [short if which == "short" or which == "both" and i % 2 else long
                for i, (long, short) in enumerate(zip(made.captions, made.short, strict=True))]
    facts = {"data": "shapes", "words": list(vocabulary())}
    return {"x": made.pictures, "tokens": tokens_of(config | facts, captions)}, facts


def vocabulary():
    """All words of the grammar: a tuple."""
    things = [Thing(*thing) for thing in product(NUMBERS, (None, *SIZES), COLOURS, SHAPES)]
    return learn_words([", and", *RELATIONS, *(say(Description((thing,))) for thing in things)]).words


def held_out_captions(n):
    """n long captions of held-out combinations, as split "test" has them."""
    return [say(description) for description in describe(n, 0, "test")]


def asked_for(n, config, caption=None):
    """{"tokens": (n, L)}: of one caption for all, of one a picture, or by default of held-out combinations."""
    return {"tokens": tokens_of(config, captions_asked_for(n, caption, held_out_captions))}


def obeyed(config, pictures, cond):
    """What part of the pictures obeys its caption, wholly and in parts, as the judge reads them: {name: figure}."""
    return {name: round(rate, 3) for name, rate in rates(judge(pictures, as_text(config, cond["tokens"]))).items()}


RECIPE = Recipe(
    name="shapes-text", data=scenes, net=text_unet, loss=caption_loss, measure=obeyed,
    draw=lambda config: caption_draw(config, partial(asked_for, config=config)),
    presets={"cpu": {"net": {"channels": [64, 96, 128], "blocks": 1, "patch": 2, "width": 128, "attention": [1, 2],
                             "reads": "self+cross", "mean": False,
                             "text": {"width": 96, "depth": 1, "heads": 4}},
                     "batch": 32, "fit": {"lr": 1e-3, "precision": "float32"}},
             "cuda": {"net": {"channels": [96, 192, 256], "blocks": 2, "patch": 2, "width": 256, "attention": [1, 2],
                              "reads": "self+cross", "mean": False, "text": {"width": 192, "depth": 3, "heads": 6}},
                      "batch": 512, "fit": {"lr": 1e-3, "precision": "bfloat16", "compile": True}}},
    config={"shape": [3, 32, 32], "length": 20, "scenes": 60_000, "scene_seed": 0, "captions": "long", "target": "x0",
            "least_time": 0.2, "times": [0.5, 0.8], "shift": 1.0, "uncaptioned": 0.1})
