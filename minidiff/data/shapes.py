"""Captioned scenes of coloured shapes, drawn as many as one asks for; of each one knows all that can be said of it."""

from dataclasses import dataclass

import numpy as np
import torch

from minidiff.data.errors import DataError, check_split
from minidiff.data.shapes_draw import PALETTE, coverage, paint
from minidiff.data.shapes_layout import lay_out
from minidiff.data.shapes_scene import describe, novel
from minidiff.data.shapes_words import MOST, Description, say, shorten

SIZES = {"train": 20_000, "test": 2_000}  # scenes that `load("shapes", split)` gives
SHADE = 0.06  # how much lighter or darker than its colour an object may be, in [-1, 1]
CHUNK = 1000  # scenes drawn at once


@dataclass(frozen=True)
class Shapes:
    """N scenes: the k-th object of a scene is the k-th in the order of its long caption.

    pictures: (N, 3, 32, 32) float32 in [-1, 1]; captions: N long ones, with sizes and relations; short: N short ones,
    without; descriptions: what the long ones say; masks: (N, 3, 32, 32) bool, where each object is seen; centres:
    (N, 3, 2) float32, x and y in pixels from the upper left corner; things: (N, 3) int64, the thing of the description
    that each object belongs to, -1 where there is none; novel: for each scene the kinds of held-out combinations in it,
    as `shapes_scene.novel` names them.
    """

    pictures: torch.Tensor
    captions: tuple[str, ...]
    short: tuple[str, ...]
    descriptions: tuple[Description, ...]
    masks: torch.Tensor
    centres: torch.Tensor
    things: torch.Tensor
    novel: tuple[tuple[str, ...], ...]


def shapes(n, seed=0, split="train"):
    """Draw n scenes: Shapes. A pure function of (n, seed, split); the first n of more scenes are the same.

    Every scene of split "test" has a combination of colour and shape, or of two shapes and a relation, that no scene of
    "train" has. Raises DataError on n < 1 or an unknown split.
    """
    if n < 1:
        raise DataError(f"shapes need n >= 1, got n = {n}")
    check_split(split)
    descriptions = describe(n, seed, split)
    layout = lay_out(descriptions, seed, split)
    u = np.random.Generator(np.random.PCG64([seed, split == "test", 3])).random((n, 2 * MOST), np.float32)
    colours = PALETTE[layout.colours] + SHADE * (2 * u[:, :MOST, None] - 1)
    pictures, masks = torch.empty(n, 3, 32, 32), torch.empty(n, MOST, 32, 32, dtype=torch.bool)
    for first in range(0, n, CHUNK):
        some = slice(first, first + CHUNK)
        pictures[some], masks[some] = _draw(layout, colours, some)
    short = (shorten(d, np.argsort(row[:len(d.things)])) for d, row in zip(descriptions, u[:, MOST:], strict=True))
    return Shapes(pictures, tuple(map(say, descriptions)), tuple(map(say, short)), tuple(descriptions), masks,
                  torch.from_numpy(layout.centres).float(), torch.from_numpy(layout.things),
                  tuple(map(novel, descriptions)))


def _draw(layout, colours, some):
    """Pictures and masks of some scenes. The first object of a scene lies on top."""
    covered = coverage(layout.shapes[some].ravel(), layout.centres[some].reshape(-1, 2), layout.radii[some].ravel())
    covered = covered.reshape(-1, MOST, *covered.shape[1:])
    pictures, seen = paint(covered[:, ::-1], np.clip(colours[some], -1, 1)[:, ::-1])
    return torch.from_numpy(pictures), torch.from_numpy(seen[:, ::-1] >= 0.5)


def labelled(name, split, n=None):
    """What `load("shapes", split, n)` gives: pictures (N, 3, 32, 32), and how many objects each has (N,) int64."""
    scenes = shapes(SIZES[split] if n is None else n, split=split)
    return scenes.pictures, (scenes.things >= 0).sum(dim=1)
