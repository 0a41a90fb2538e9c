"""Drawing the shapes: signed distances, anti-aliased coverage, and objects painted over each other on white."""

import numpy as np

from minidiff.data.shapes_words import SHAPES

SIDE = 32  # pixels
PALETTE = np.array([(208, 32, 45), (245, 118, 20), (255, 224, 50), (40, 160, 70), (40, 100, 230), (145, 60, 185),
                    (35, 35, 40)], np.float32) / 127.5 - 1  # (7, 3): the COLOURS, in [-1, 1]; the background is 1
# Half the width and half the height of each of the SHAPES, in radii; their areas are about those of circles.
EXTENT = np.array([(1, 1), (0.89, 0.89), (1.2, 1.04), (1.17, 1.12), (1.13, 1.03), (1.05, 1.05)], np.float32)
TIPS = -np.pi / 2 + 2 * np.pi / 5 * np.arange(5)  # directions of a star's tips; y points down


def distance(shape, x, y, r):
    """Signed distance, in pixels, from points to the edge of a shape of radius r around the origin; negative inside.

    shape: one of SHAPES; x, y, r: arrays that broadcast, y pointing down. Exact beside straight edges and circles;
    beyond a corner too small, by less than a pixel could show. Raises ValueError for another shape.
    """
    if shape == "circle":
        return np.hypot(x, y) - r
    if shape == "square":
        return np.maximum(abs(x), abs(y)) - 0.89 * r
    if shape == "triangle":  # the tip is 1.04 above the middle; a side goes 1.2 outwards on 2.08 downwards
        return np.maximum(y - 1.04 * r, (2.08 * abs(x) - 1.2 * (y + 1.04 * r)) / np.hypot(2.08, 1.2))
    if shape == "star":  # inside at least four of five lines, its tips a little blunt
        y = y - 0.09 * r
        lines = np.sort(np.stack([np.cos(tip) * x + np.sin(tip) * y for tip in TIPS]), axis=0)[-2] - 0.46 * r
        return np.maximum(lines, np.hypot(x, y) - 1.2 * r)
    if shape == "heart":  # a square on its corner, and a half circle on each of its upper sides
        h, x, y = 0.93 * r, abs(x), y - 0.1 * r
        return np.minimum((x + abs(y) - h) / np.sqrt(2), np.hypot(x - h / 2, y + h / 2) - h / np.sqrt(2))
    if shape == "cross":
        x, y = abs(x), abs(y)
        return np.maximum(np.maximum(x, y) - 1.05 * r, np.minimum(x, y) - 0.38 * r)
    raise ValueError(f"shape must be one of {', '.join(SHAPES)}, got {shape!r}")


def coverage(shapes, centres, radii, side=SIDE):
    """How much of each pixel each object covers: (M, side, side) float32 in [0, 1].

    shapes: (M,) indices into SHAPES, -1 for no object; centres: (M, 2) x and y in pixels from the upper left corner;
    radii: (M,) in pixels.
    """
    shapes, centres, radii = np.asarray(shapes), np.asarray(centres, np.float32), np.asarray(radii, np.float32)
    covered = np.zeros((len(shapes), side, side), np.float32)
    pixels = np.arange(side, dtype=np.float32) + np.float32(0.5)
    for k, shape in enumerate(SHAPES):
        rows = np.flatnonzero(shapes == k)
        x = pixels[None, None, :] - centres[rows, 0, None, None]
        y = pixels[None, :, None] - centres[rows, 1, None, None]
        covered[rows] = np.clip(0.5 - distance(shape, x, y, radii[rows, None, None]), 0, 1)
    return covered


def paint(covered, colours):
    """Paint objects over each other on white, the last one on top.

    covered: (N, K, H, W) coverage of objects from back to front; colours: (N, K, 3) in [-1, 1].
    Returns pictures (N, 3, H, W) on 256 levels, and what is seen of each object (N, K, H, W) in [0, 1].
    """
    N, K, H, W = covered.shape
    picture, left, seen = np.zeros((N, 3, H, W), np.float32), np.ones((N, H, W), np.float32), np.empty_like(covered)
    for k in reversed(range(K)):
        seen[:, k] = covered[:, k] * left
        left = left - seen[:, k]
        picture += seen[:, k, None] * colours[:, k, :, None, None]
    return np.round((picture + left[:, None] + 1) * 127.5) / np.float32(127.5) - 1, seen
