"""Draw digits from checkpoints/mnist-ddpm once, for all that chapter 05 measures: benchmarks/digits.npy.xz

    python benchmarks/digits.py        about six minutes on one core

The file holds 1,000 pictures, (1000, 28, 28) uint8, in the order of their seed.
"""

import io
import lzma
from pathlib import Path

import numpy as np

from minidiff.recipes.recipe import load, sample
from minidiff.recipes.run import CHECKPOINTS
from minidiff.training.checkpoint import write_whole

N, STEPS, SEED = 1000, 100, 5


def main():
    images = sample(*load(CHECKPOINTS / "mnist-ddpm.safetensors"), N, steps=STEPS, seed=SEED)[:, 0]
    content = io.BytesIO()
    np.save(content, ((images + 1) * 127.5).round().byte().numpy())
    write_whole(Path(__file__).with_suffix(".npy.xz"), lzma.compress(content.getvalue()))


if __name__ == "__main__":
    main()
