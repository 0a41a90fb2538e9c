"""Digits drawn with a pen that does not exist: jittered Bezier strokes, close enough to MNIST to learn from."""

import numpy as np
import torch

from minidiff.data.errors import DataError, check_split

PIECES = 5  # straight pieces for each cubic
CHUNK = 1 << 15  # pixels drawn at once: so few stay in the cache
NUMBERS = 80  # random numbers an image
PRESSES = 12  # of them say how the pen is pressed on its way
JITTER = 0.05  # of each point, in heights of the digit
PRESS = 0.2  # how unevenly the pen is pressed, as a fraction of its radius
SOFT = 1.2  # width of the ink's edge, in pixels

# Each digit has several handwritings: its share among images of the digit, and its strokes. A stroke is the list of
# points that the pen passes, x to the right and y down, in percent of a box that is as high as the digit.
HANDWRITINGS = {
    0: [(4, "50,0 20,15 8,50 18,85 46,100 76,84 86,50 76,14 50,0"),
        (2, "60,6 34,8 12,40 16,82 44,100 76,78 84,36 64,6 46,2"),
        (1, "42,2 16,30 14,72 42,98 72,82 82,44 66,10 42,4 30,12"),
        (1, "70,10 40,0 12,30 10,74 36,100 70,84 84,44 70,12 48,6 38,20")],
    1: [(6, "58,0 42,100"),
        (4, "58,0 50,50 42,100"),
        (1, "28,22 40,14 52,0 | 52,0 52,50 50,100"),
        (1, "26,24 40,14 52,0 | 52,0 51,50 50,100 | 24,100 50,99 78,100")],
    2: [(3, "14,22 28,4 54,0 74,16 70,42 44,72 12,98 | 12,98 40,96 86,98"),
        (3, "12,24 30,4 58,2 74,22 62,52 36,80 16,96 8,84 26,78 50,92 88,96"),
        (1, "10,14 36,0 68,6 78,30 58,60 28,84 8,90 20,76 44,82 66,98 92,92"),
        (3, "14,20 36,2 66,6 80,34 70,68 40,94 14,92 10,74 30,66 60,82 90,98"),
        (1, "8,8 40,4 80,6 | 80,6 50,44 10,92 | 10,92 44,90 88,94"),
        (2, "20,24 34,4 60,2 70,22 60,52 34,82 10,98 | 10,98 34,88 60,92 90,100"),
        (1, "18,20 40,0 66,10 64,40 46,70 24,92 10,86 22,74 48,84 70,88"),
        (2, "14,16 40,0 70,14 68,44 40,76 16,96 6,88 18,78 46,86 94,82"),
        (1, "4,30 30,4 70,2 84,26 56,62 14,92 | 14,92 50,88 100,84"),
        (1, "30,32 14,22 28,4 56,0 74,20 66,48 40,78 14,98 | 14,98 46,92 84,96")],
    3: [(3, "16,12 42,0 70,10 68,34 38,46 | 38,46 72,52 80,76 54,98 12,90"),
        (2, "12,8 44,0 70,16 56,40 34,46 60,48 80,70 62,96 30,100 10,88"),
        (1, "16,4 46,2 76,4 | 76,4 56,24 36,42 | 36,42 68,46 80,70 58,96 14,92"),
        (3, "10,22 20,6 48,0 70,14 66,36 40,46 | 40,46 74,54 82,76 62,98 28,98 8,82"),
        (2, "22,14 46,0 66,12 56,36 34,48 | 34,48 58,54 64,76 46,96 10,100"),
        (1, "24,8 46,0 60,12 50,30 32,38 62,46 78,68 62,94 28,100 10,90"),
        (1, "8,10 46,0 78,16 70,42 38,54 64,60 72,78 52,98 20,96")],
    4: [(3, "22,0 18,28 14,52 | 14,52 48,52 82,48 | 70,2 66,50 60,100"),
        (2, "56,0 34,28 10,62 | 10,62 46,62 86,60 | 62,4 62,50 60,100"),
        (3, "14,6 10,34 22,52 50,50 74,36 | 82,2 74,36 68,70 64,100"),
        (1, "14,6 10,30 20,50 46,52 88,40 | 84,0 74,40 62,100")],
    5: [(3, "24,4 20,24 18,42 | 18,42 50,36 76,56 70,86 42,100 10,90 | 24,4 50,4 80,0"),
        (2, "76,2 50,2 28,6 | 28,6 24,22 20,42 | 20,42 46,38 72,54 74,80 50,98 12,92"),
        (1, "72,0 40,4 26,22 34,40 58,56 66,80 46,98 14,94"),
        (2, "22,6 18,44 | 18,44 46,34 76,50 74,80 46,100 10,92 | 22,6 52,8 86,2"),
        (2, "36,8 26,44 50,42 64,60 54,86 28,100 4,92 | 36,8 64,4 98,0"),
        (2, "30,14 24,44 48,40 70,58 66,84 40,100 8,92 | 36,6 62,4 90,4"),
        (1, "84,4 56,6 30,4 | 30,4 26,40 | 26,40 54,40 72,60 62,88 36,98 10,84")],
    6: [(3, "62,0 34,22 16,56 22,90 50,100 74,84 70,60 44,54 20,74"),
        (2, "48,0 26,30 18,66 32,96 60,96 72,76 56,60 34,66 22,82"),
        (1, "78,4 44,16 18,50 18,84 46,100 76,86 68,64 38,62 18,80"),
        (2, "56,0 34,26 18,60 20,90 42,100 66,90 68,70 50,62 28,74 20,88"),
        (2, "40,0 20,34 10,70 24,96 56,100 86,88 84,66 60,58 34,72 22,92"),
        (1, "44,0 30,36 20,72 | 20,72 30,98 58,98 72,78 58,60 34,66 20,80"),
        (1, "24,8 8,50 14,88 44,100 80,88 90,62 66,46 38,60 24,86"),
        (1, "66,4 36,10 14,44 16,80 44,100 72,86 74,62 50,50 24,62 16,78")],
    7: [(3, "10,8 44,6 78,4 | 78,4 62,38 48,70 42,100"),
        (2, "8,20 12,6 44,8 80,4 | 80,4 64,34 50,66 40,100"),
        (2, "10,6 44,6 80,4 | 80,4 62,40 48,70 40,100 | 28,52 52,50 76,48"),
        (2, "10,26 14,8 46,10 80,2 | 80,2 58,36 40,70 30,100"),
        (2, "8,16 30,4 60,4 74,16 66,44 48,74 36,100"),
        (1, "12,10 46,8 78,2 | 78,2 58,40 42,70 32,100 | 24,50 48,46 74,40"),
        (1, "8,34 18,8 50,4 74,10 62,44 34,100"),
        (1, "22,16 44,10 66,4 | 66,4 52,38 42,70 34,100")],
    8: [(3, "72,10 44,0 20,18 40,42 68,62 70,88 44,100 18,84 32,58 60,38 72,10"),
        (2, "50,48 24,32 28,6 52,0 74,14 68,36 50,48 | 50,48 20,68 24,94 50,100 76,90 76,66 50,48"),
        (2, "78,8 50,2 22,16 34,40 62,60 64,86 38,100 20,82 38,54 66,32 80,6"),
        (2, "84,6 58,2 32,14 34,32 56,50 66,74 48,98 26,88 34,64 60,40 84,4"),
        (1, "70,14 44,0 18,18 30,40 56,58 60,84 42,100 26,86 36,62 62,40 70,14"),
        (1, "74,8 40,0 14,16 30,38 62,58 74,82 46,100 16,86 26,62 56,44 80,20"),
        (1, "80,10 46,2 18,20 42,42 66,66 54,96 22,94 28,66 62,42 84,14"),
        (2, "62,10 46,0 32,12 44,34 70,58 74,88 44,100 16,86 24,58 50,38 62,10")],
    9: [(2, "70,14 44,0 18,20 22,46 48,48 68,28 | 72,6 68,30 64,64 58,100"),
        (2, "72,18 46,2 20,18 20,42 46,46 68,30 72,10 | 70,18 72,56 62,88 34,100 12,92"),
        (2, "68,28 44,46 18,34 28,8 58,0 70,20 64,60 54,100"),
        (3, "74,8 50,2 26,20 22,42 44,46 66,30 78,6 | 78,6 64,50 46,100"),
        (2, "68,24 48,4 24,12 20,36 42,46 66,30 68,10 66,52 60,100"),
        (1, "72,16 46,0 16,20 22,46 50,44 72,16 74,50 60,84 36,98 14,88"),
        (1, "80,12 44,2 10,18 14,36 46,40 78,16 | 80,12 66,54 52,100"),
        (2, "68,4 38,8 18,30 32,46 60,34 78,4 | 78,4 66,52 52,100"),
        (2, "80,4 52,0 24,18 22,40 46,44 72,18 76,8 | 74,14 56,58 36,100"),
        (1, "76,16 44,0 10,16 8,44 40,58 72,34 | 78,10 76,50 70,100"),
        (1, "66,10 50,2 34,14 34,32 50,38 64,24 66,10 | 66,10 62,56 50,100")],
}


def strokes(n, seed=0, split="train", size=28):
    """Draw n digits: images (n, 1, size, size) float32 in [-1, 1] on 256 levels of grey, and labels (n,) int64.

    A pure function of (n, seed, split, size); the first n of more images are the same. Each ten hold every digit once.
    Raises DataError on n < 1, size < 8 or an unknown split.
    """
    if n < 1 or size < 8:
        raise DataError(f"strokes need n >= 1 and size >= 8, got n = {n}, size = {size}")
    check_split(split)
    rng = np.random.Generator(np.random.PCG64([seed, split == "test"]))
    u = rng.random((-(-n // 10), 10, NUMBERS))  # a row an image, so that more images do not change the first ones
    labels = np.argsort(u[:, :, 0], axis=1).reshape(-1)[:n]
    u = u.reshape(-1, NUMBERS)[:n]
    images = np.empty((n, 1, size, size), np.float32)
    together = max(1, CHUNK // size**2)
    for digit, handwritings in HANDWRITINGS.items():
        shares = np.cumsum([share for share, _ in handwritings])
        choice = np.searchsorted(shares / shares[-1], u[:, 1], side="right")
        for k, (_, text) in enumerate(handwritings):
            rows = np.flatnonzero((labels == digit) & (choice == k))
            for first in range(0, len(rows), together):
                chunk = rows[first:first + together]
                ends, radius = _write(text, u[chunk, 2:])
                images[chunk, 0] = _draw(ends * (size / 28), radius * (size / 28), size)
    return torch.from_numpy(images), torch.from_numpy(labels)


def _write(text, u):
    """Write one handwriting in B hands, decided by uniform numbers u (B, NUMBERS - 2), as MNIST scales and centres it.

    Returns the straight pieces of the pen's way (S, B, 2, 2) and the pen's radius on each (S, B), in 1/28 of the image.
    """
    lines = [[[float(c) / 100 for c in point.split(",")] for point in stroke.split()] for stroke in text.split("|")]
    points = np.array(sum(lines, [])) - 0.5
    habits = ((u[:, :27].reshape(-1, 9, 3).sum(2) - 1.5) * 2).T[..., None]  # each has variance 1, and never exceeds 3
    slant, turn, aspect, width, *others = habits
    shake = np.pad(2 * u[:, 27:27 + points.size].reshape(-1, *points.shape) - 1, ((0, 0), (1, 1), (0, 0)), mode="edge")
    shake = shake[:, :-2] / 2 + shake[:, 1:-1] + shake[:, 2:] / 2  # a hand does not shake in one point alone
    points = _bend(points + JITTER * shake, slant, turn, aspect, *others)
    cuts = np.cumsum([len(stroke) for stroke in lines])[:-1]
    ends = np.concatenate([_pieces(stroke) for stroke in np.split(points, cuts, axis=1)])
    radius = 1.33 * np.exp(0.26 * width[:, 0])
    low, high = ends.min((0, 2)), ends.max((0, 2))
    scale = (20 - 2 * radius - SOFT) / (high - low).max(-1)  # the ink fits a box of 20 x 20
    ends = (ends - (low + high)[:, None] / 2) * scale[:, None, None]
    weight = np.linalg.norm(ends[:, :, 1] - ends[:, :, 0], axis=-1, keepdims=True)
    ends = ends - ((ends.mean(2) * weight).sum(0) / weight.sum(0))[:, None]  # its centre of mass is the image's centre
    along = np.linspace(0, PRESSES - 1.001, len(ends))
    k, part = along.astype(int), (along % 1)[:, None]
    press = 2 * u[:, -PRESSES:].T - 1
    return ends + 14, radius * (1 + PRESS * ((1 - part) * press[k] + part * press[k + 1]))


def _bend(points, slant, turn, aspect, bend, curl, taper, tilt, sag):
    """Give points (B, m, 2) around 0 the habits of a hand, numbers (B, 1) of variance 1."""
    x, y = points[..., 0], points[..., 1]
    x = x * (1 + 0.25 * taper * y) + 0.25 * bend * (y**2 - 0.1) + 0.5 * curl * (y**3 - 0.1 * y)
    y = y + 0.25 * sag * (0.25 - y**2)
    x, y = x * np.exp(0.2 * aspect - 0.1), y + 0.15 * tilt * x * y
    x = x - (0.1 + 0.25 * slant) * y
    cos, sin = np.cos(0.1 * turn), np.sin(0.1 * turn)
    return np.stack([cos * x - sin * y, sin * x + cos * y], -1)


def _pieces(p):
    """Join points (B, m, 2) by cubic Bezier curves, with the tangents of Catmull and Rom: pieces (S, B, 2, 2)."""
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
    ends, radius = ends.astype(np.float32), radius.astype(np.float32)
    grid = np.arange(size, dtype=np.float32)
    nearest = np.full((ends.shape[1], size, size), np.inf, np.float32)
    for (start, end), r in zip(ends.transpose(0, 2, 1, 3), radius, strict=True):
        dx, dy = (end - start).T[..., None]
        px, py = grid - start[:, :1], grid - start[:, 1:]
        length = np.maximum(dx**2 + dy**2, 1e-6)
        t = (py * (dy / length))[:, :, None] + (px * (dx / length))[:, None, :]
        t = np.clip(t, 0, 1, out=t)  # where on the piece the point lies that is nearest to each pixel
        square = (px[:, None, :] - t * dx[:, None]) ** 2
        square += (py[:, :, None] - t * dy[:, None]) ** 2
        distance = np.sqrt(square, out=square)
        distance -= r[:, None, None]
        np.minimum(nearest, distance, out=nearest)
    ink = np.clip(0.5 - nearest / np.float32(SOFT), 0, 1)
    return np.round(ink * 255) / np.float32(127.5) - 1
