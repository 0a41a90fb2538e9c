"""What a text must say, and how it must be read: flags-text with other captions and readers: benchmarks/flags.json

    python benchmarks/flags.py

Each way is trained from three seeds for 200 batches, and measured on the way there: what part of the flags that were
held out, and of those that were shown, is flown as the long caption says. The ways: long captions read by a transformer
and cross-attention, by GLIDE's joint attention, as a bag of words; and short captions, which name the colours alone.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from measuring import fill

from minidiff.data.flags import FLAGS, caption, held_out, obeyed
from minidiff.process.guidance import cfg
from minidiff.recipes.flags_text import RECIPE
from minidiff.recipes.recipe import build, sample
from minidiff.training.fit import fit

FILE = Path(__file__).with_suffix(".json")
STEPS, POINTS, N = 200, (20, 30, 40, 50, 60, 80, 100, 150, 200), 98
BAG = {"text": {"width": 48, "depth": 0, "positions": False}}
WAYS = {"long": ({}, "long"), "joint": ({"reads": "joint"}, "long"), "bag": (BAG, "long"), "short": ({}, "short")}


def main():
    fill(FILE, lambda: {"steps": STEPS, "n": N, "rows": []}, [{"way": way, "seed": seed} for seed in (0, 1, 2)
                                                              for way in WAYS], measure, rows="rows")


def measure(way, seed):
    """The rates at some points of a run: {"points": [{"steps": ..., "held out": {...}, "shown": {...}}]}."""
    changes, captions = WAYS[way]
    small = RECIPE.presets["cpu"]
    recipe = replace(RECIPE, presets={"cpu": small | {"net": small["net"] | changes}})
    run, points = build(recipe, seed=seed, captions=captions), []

    def look(step, loss, ema):
        if step in POINTS:
            points.append({"steps": step} | rates(replace(recipe, config=run.config), ema, captions == "short"))

    fit(run.net, run.loss_fn, run.batch_at, steps=STEPS, **run.fit | {"callback": look})
    weights = sum(p.numel() for p in run.net.parameters())
    return {"weights": weights, "points": points}


def rates(recipe, net, short):
    """What part of N flags is obeyed, held-out ones and shown ones, with guidance 1 and 3."""
    found = {}
    for name, of in (("held out", True), ("shown", False)):
        flags = [flag for flag in FLAGS if held_out(flag) == of]
        flags = [flags[i % len(flags)] for i in torch.randperm(N, generator=torch.Generator().manual_seed(0)).tolist()]
        for w in (1.0, 3.0):
            pictures = sample(recipe, net, N, caption=[caption(flag, short) for flag in flags],
                              wrap=partial(cfg, w=w, null=recipe.draw(recipe.config).null))
            found[f"{name}, guidance {w:g}"] = {k: round(v, 3) for k, v in obeyed(pictures, flags).items()}
    return found


if __name__ == "__main__":
    main()
