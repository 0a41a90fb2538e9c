"""Digits drawn with a pen that does not exist: jittered Bezier strokes, close enough to MNIST to learn from."""

import math

import numpy as np
import torch

from minidiff.data.errors import DataError

PIECES = 5  # straight pieces for each cubic
CHUNK = 256  # images drawn at once
NUMBERS = 80  # random numbers an image
JITTER = 0.05  # of each point, in heights of the digit
SOFT = 1.3  # width of the ink's edge, in pixels

# Each digit has several handwritings: its share among images of the digit, and its strokes. A stroke is the list of
# points that the pen passes, x to the right and y down, in percent of a box that is as high as the digit.
HANDWRITINGS = {
    0: [(4, "50,0 20,15 8,50 18,85 46,100 76,84 86,50 76,14 50,0"),
        (2, "60,6 34,8 12,40 16,82 44,100 76,78 84,36 64,6 46,2"),
        (1, "42,2 16,30 14,72 42,98 72,82 82,44 66,10 42,4 30,12")],
    1: [(8, "50,0 50,33 50,66 50,100"),
        (2, "28,22 40,14 52,0 | 52,0 52,50 52,100"),
        (1, "26,24 40,14 52,0 | 52,0 51,50 50,100 | 24,100 50,99 78,100")],
    2: [(4, "14,22 28,4 54,0 74,16 70,42 44,72 12,98 | 12,98 40,96 86,98"),
        (4, "12,24 30,4 58,2 74,22 62,52 36,80 16,96 8,84 26,78 50,92 88,96"),
        (1, "10,14 36,0 68,6 78,30 58,60 28,84 8,90 20,76 44,82 66,98 92,92")],
    3: [(4, "16,12 42,0 70,10 68,34 38,46 | 38,46 72,52 80,76 54,98 12,90"),
        (2, "12,8 44,0 70,16 56,40 34,46 60,48 80,70 62,96 30,100 10,88"),
        (1, "16,4 46,2 76,4 | 76,4 56,24 36,42 | 36,42 68,46 80,70 58,96 14,92")],
    4: [(4, "22,0 18,28 14,52 | 14,52 48,52 82,48 | 70,2 66,50 60,100"),
        (2, "56,0 34,28 10,62 | 10,62 46,62 86,60 | 62,4 62,50 60,100"),
        (2, "24,4 16,32 24,52 48,52 70,36 | 76,4 70,36 66,70 62,100")],
    5: [(4, "24,4 20,24 18,42 | 18,42 50,36 76,56 70,86 42,100 10,90 | 24,4 50,4 80,0"),
        (2, "76,2 50,2 28,6 | 28,6 24,22 20,42 | 20,42 46,38 72,54 74,80 50,98 12,92"),
        (1, "72,0 40,4 26,22 34,40 58,56 66,80 46,98 14,94")],
    6: [(4, "62,0 34,22 16,56 22,90 50,100 74,84 70,60 44,54 20,74"),
        (2, "48,0 26,30 18,66 32,96 60,96 72,76 56,60 34,66 22,82"),
        (1, "78,4 44,16 18,50 18,84 46,100 76,86 68,64 38,62 18,80")],
    7: [(5, "10,8 44,6 78,4 | 78,4 62,38 48,70 42,100"),
        (2, "8,20 12,6 44,8 80,4 | 80,4 64,34 50,66 40,100"),
        (2, "10,6 44,6 80,4 | 80,4 62,40 48,70 40,100 | 28,52 52,50 76,48")],
    8: [(4, "72,10 44,0 20,18 40,42 68,62 70,88 44,100 18,84 32,58 60,38 72,10"),
        (2, "50,48 24,32 28,6 52,0 74,14 68,36 50,48 | 50,48 20,68 24,94 50,100 76,90 76,66 50,48"),
        (1, "78,8 50,2 22,16 34,40 62,60 64,86 38,100 20,82 38,54 66,32 80,6")],
    9: [(4, "70,14 44,0 18,20 22,46 48,48 68,28 | 72,6 68,30 64,64 58,100"),
        (2, "72,18 46,2 20,18 20,42 46,46 68,30 72,10 | 70,18 72,56 62,88 34,100 12,92"),
        (2, "66,26 44,46 20,36 28,8 56,0 70,20 64,60 56,100")],
}


def strokes(n, seed=0, split="train", size=28):
    """Draw n digits: images (n, 1, size, size) float32 in [-1, 1] on 256 levels of grey, and labels (n,) int64.

    A pure function of (n, seed, split, size), and the first n of more are the same images. Of every ten images each digit
    is one. Raises DataError on n < 1, size < 8 or an unknown split.
    """
    if n < 1 or size < 8:
        raise DataError(f"strokes need n >= 1 and size >= 8, got n = {n}, size = {size}")
    if split not in ("train", "test"):
        raise DataError(f'split must be "train" or "test", got {split!r}')
    rng = np.random.Generator(np.random.PCG64([seed, split == "test"]))
    u = rng.random((-(-n // 10), 10, NUMBERS))  # a row an image, so that more images do not change the first ones
    labels = np.argsort(u[:, :, 0], axis=1).reshape(-1)[:n]
    u = u.reshape(-1, NUMBERS)[:n]
    images = torch.empty(n, 1, size, size)
    for digit, handwritings in HANDWRITINGS.items():
        shares = np.cumsum([share for share, _ in handwritings])
        choice = np.searchsorted(shares / shares[-1], u[:, 1], side="right")
        for k, (_, text) in enumerate(handwritings):
            rows = np.flatnonzero((labels == digit) & (choice == k))
            for first in range(0, len(rows), CHUNK):
                chunk = rows[first:first + CHUNK]
                ends, radius = _write(text, u[chunk, 2:])
                images[torch.from_numpy(chunk), 0] = _draw(ends * (size / 28), radius * (size / 28), size)
    return images, torch.from_numpy(labels)


def _write(text, u):
    """Write a digit in B hands: the pieces of the pen's way (S, B, 2, 2), and the pen's radius there (S, B), in 1/28."""
    strokes = [[[float(c) / 100 for c in point.split(",")] for point in stroke.split()] for stroke in text.split("|")]
    slant, turn, aspect, width, press, bend, curl, taper, tilt = ((u[:, :27].reshape(-1, 9, 3).sum(2) - 1.5) * 2).T
    p = np.array(sum(strokes, [])) - 0.5
    p = p + JITTER * (2 * u[:, 27:27 + p.size] - 1).reshape(-1, *p.shape)
    x, y = p[..., 0], p[..., 1]
    one = lambda values: values[:, None]
    x = x * (1 + one(0.25 * taper) * y) + one(0.25 * bend) * (y**2 - 0.1) + one(0.5 * curl) * (y**3 - 0.1 * y)
    x, y = x * np.exp(one(0.2 * aspect - 0.1)), y + one(0.15 * tilt) * x * y
    x = x - one(0.1 + 0.25 * slant) * y
    c, s = np.cos(one(0.1 * turn)), np.sin(one(0.1 * turn))
    p = np.stack([c * x - s * y, s * x + c * y], -1)
    cuts = np.cumsum([len(stroke) for stroke in strokes])[:-1]
    ends = np.concatenate([_pieces(part) for part in np.split(p, cuts, axis=1)])
    radius = 1.12 * np.exp(0.24 * width)
    low, high = ends.min((0, 2)), ends.max((0, 2))
    scale = (20 - 2 * radius) / (high - low).max(-1)
    ends = (ends - (low + high)[:, None] / 2) * scale[:, None, None]
    weight = np.linalg.norm(ends[:, :, 1] - ends[:, :, 0], axis=-1, keepdims=True)
    ends = ends - ((ends.mean(2) * weight).sum(0) / weight.sum(0))[:, None]
    along = np.linspace(-1, 1, len(ends))[:, None]
    return ends + 14, radius * (1 + 0.12 * press * along)


def _pieces(p):
    """Join points (B, m, 2) by cubic Bezier curves with the tangents of Catmull and Rom: straight pieces (S, B, 2, 2)."""
    q = np.concatenate([2 * p[:, :1] - p[:, 1:2], p, 2 * p[:, -1:] - p[:, -2:-1]], 1)
    tangent = (q[:, 2:] - q[:, :-2]) / 6
    a, b = p[:, :-1], p[:, 1:]
    control = np.stack([a, a + tangent[:, :-1], b - tangent[:, 1:], b])
    t = np.linspace(0, 1, PIECES + 1)
    bernstein = np.stack([(1 - t)**3, 3 * t * (1 - t)**2, 3 * t**2 * (1 - t), t**3])
    way = np.einsum("kt,kbmc->mtbc", bernstein, control)
    return np.stack([way[:, :-1], way[:, 1:]], -2).reshape(-1, *way.shape[2:3], 2, 2)


def _draw(ends, radius, size):
    """Ink on paper: pieces (S, B, 2, 2) and radius (S, B), both in pixels -> images (B, size, size) in [-1, 1]."""
    ends, radius = torch.from_numpy(ends).float(), torch.from_numpy(radius).float()
    grid = torch.arange(size, dtype=torch.float32)
    nearest = torch.full((ends.shape[1], size, size), math.inf)
    for (start, end), r in zip(ends.transpose(1, 2), radius, strict=True):
        along = end - start
        px, py = (grid - start[:, c, None] for c in (0, 1))
        dx, dy = along[:, :1], along[:, 1:]
        length = (dx**2 + dy**2).clamp(min=1e-6)
        t = ((py * (dy / length))[:, :, None] + (px * (dx / length))[:, None, :]).clamp_(0, 1)
        square = (px[:, None, :] - t * dx[:, None]).square_()
        square += (py[:, :, None] - t.mul_(dy[:, None])).square_()
        torch.minimum(nearest, square.sqrt_().sub_(r[:, None, None]), out=nearest)
    ink = (0.5 - nearest / SOFT).clamp_(0, 1)
    return (ink * 255).round_() / 127.5 - 1
