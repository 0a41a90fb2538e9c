"""The pictures at the top of the README, drawn by the committed nets: benchmarks/pictures/*.png

    python benchmarks/pictures.py        a minute on one core
"""

from functools import partial
from pathlib import Path

import torch

from minidiff.cli.demo import denoising_strip
from minidiff.plotting import save_grid
from minidiff.process.guidance import cfg
from minidiff.recipes.recipe import load, sample
from minidiff.recipes.run import CHECKPOINTS

FOLDER = Path(__file__).with_suffix("")


def main():
    FOLDER.mkdir(exist_ok=True)
    recipe, net = load(CHECKPOINTS / "mnist-flow.safetensors")
    guided = partial(cfg, w=2.0, null=recipe.draw(recipe.config).null)
    digits = sample(recipe, net, 60, steps=19, wrap=guided, label=torch.arange(60) % 20 // 2)
    save_grid(digits, FOLDER / "digits.png", columns=20, scale=2)
    denoising_strip(recipe, net, "cpu", FOLDER / "denoising.png")


if __name__ == "__main__":
    main()
