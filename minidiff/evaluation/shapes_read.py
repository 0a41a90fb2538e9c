"""Reading a picture of shapes back into objects, by rule and from its pixels alone.

The pure pixels of each colour are cut into connected pieces; each piece is compared with every shape at every place and
radius, by least squares; and where two pieces touch, both orders of the two are tried.
"""

from dataclasses import dataclass
from functools import cache
from itertools import combinations, product

import numpy as np
import torch
import torch.nn.functional as F

from minidiff.data.shapes_draw import PALETTE, SIDE, coverage
from minidiff.data.shapes_words import COLOURS, SHAPES, SIZES

PURE = 0.55  # the distance in RGB, in [-1, 1], up to which a pixel has a colour of the palette
STRANGE = 0.9  # the distance from white from which a pixel has to belong to an object
SMALLEST = 9  # pixels that a piece has at least, four of them in a square
REACH = 3  # pixels from the pure part of an object to its outermost ones
TOUCHING = 3  # pixels from the pure part of one object to that of another one that may overlap it
SIZE_LIMIT = 4.65  # the radius between small and large
UNCLEAR = 0.18  # of its area: a larger squared error of the best shape is no shape
HIDES = 0.08  # of the smaller one's area: two objects that overlap more lie in front of each other
RADII = np.arange(3.0, 6.7, 0.3)
WINDOW, SHIFT = 17, 4  # a shape fits into WINDOW pixels, and lies up to SHIFT pixels beside the middle of its piece
CHUNK = 200  # pictures read at once


@dataclass(frozen=True)
class Seen:
    """One object as it was read: colour, shape and size, None where they are unclear, and its centre in pixels."""

    colour: str | None
    shape: str | None
    size: str | None
    x: float
    y: float


@dataclass(frozen=True)
class Reading:
    """The objects of one picture, and the pairs (i, j) of them where object i lies in front of object j."""

    objects: tuple[Seen, ...]
    in_front: frozenset[tuple[int, int]]


def read(pictures):
    """Read pictures (N, 3, 32, 32) in [-1, 1]: a list of N Readings. Raises ValueError for another shape."""
    if pictures.ndim != 4 or tuple(pictures.shape[1:]) != (3, SIDE, SIDE):
        raise ValueError(f"pictures must have the shape (N, 3, {SIDE}, {SIDE}), got {tuple(pictures.shape)}")
    parts = pictures.detach().float().cpu().split(CHUNK)
    return [reading for part in parts for reading in _read(part.numpy())]


def _read(pictures):
    owner, colour, pure = _pieces(pictures)
    paint = np.array([np.median(pictures[i][:, mask], axis=1) for i, mask in zip(owner, pure, strict=True)])
    partner = _partners(owner, colour, pure)
    covered = _unmix(pictures[owner], paint.reshape(-1, 3), partner)
    covered[pure & (partner >= 0)[:, None, None]] = 1
    covered[(pure[partner] & (partner >= 0)[:, None, None]) | ~_around(owner, pure, partner)] = 0
    paired = np.flatnonzero(partner >= 0)
    best = _fit(covered, None, pure)
    below = best.copy()
    below[paired] = _fit(covered[paired], 1 - covered[partner[paired]], pure[paired])
    on_top = best[:, 0] + below[partner, 0] <= best[partner, 0] + below[:, 0]  # the order with the smaller error
    on_top[paired] &= (paired < partner[paired]) | ~on_top[partner[paired]]  # equal errors: the first one
    fits = np.where((on_top | (partner < 0))[:, None], best, below)
    return _readings(pictures, owner, colour, fits, np.where(on_top, partner, -1))


def _pieces(pictures):
    """The connected pieces of pure colour: their picture (M,), colour (M,) and pixels (M, 32, 32)."""
    from scipy import ndimage

    distance = np.sqrt(((pictures[:, None] - PALETTE[:, :, None, None]) ** 2).sum(axis=2))
    pure = (distance < PURE) & (distance == distance.min(axis=1, keepdims=True))
    flat = np.zeros((3, 3, 3), bool)
    flat[1] = True
    labels, _ = ndimage.label(pure.reshape(-1, SIDE, SIDE), flat)
    pieces = []
    areas = np.bincount(labels.ravel())
    places = ndimage.find_objects(labels)
    for k in np.flatnonzero(areas[1:] >= SMALLEST) + 1:
        plane = places[k - 1][0].start
        mask = labels[plane] == k
        if _has_square(mask):
            pieces.append((*divmod(plane, len(COLOURS)), mask))
    owner, colour, masks = zip(*pieces, strict=True) if pieces else ((), (), ())
    return np.array(owner, int), np.array(colour, int), np.array(masks, bool).reshape(-1, SIDE, SIDE)


def _has_square(mask):
    return (mask[1:, 1:] & mask[1:, :-1] & mask[:-1, 1:] & mask[:-1, :-1]).any()


def _grow(masks, by):
    """Masks (M, H, W) with all pixels that lie up to `by` rows and columns away."""
    return F.max_pool2d(torch.from_numpy(masks).float()[:, None], 2 * by + 1, 1, by)[:, 0].numpy() > 0


def _partners(owner, colour, pure):
    """For each piece the one of another colour that it touches most, -1 without one; nobody is partner twice: (M,)."""
    partner, near = np.full(len(owner), -1), _grow(pure, TOUCHING)
    contacts = [((near[i] & pure[j]).sum(), i, j) for rows in _rows_of(owner) for i, j in combinations(rows, 2)
                if colour[i] != colour[j]]
    for contact, i, j in sorted(contacts, reverse=True):
        if contact and partner[i] < 0 and partner[j] < 0:
            partner[i], partner[j] = j, i
    return partner


def _rows_of(owner):
    return np.split(np.arange(len(owner)), np.flatnonzero(np.diff(owner)) + 1)


def _unmix(pictures, paint, partner):
    """How much of each pixel a piece's paint covers, if the rest is white or its partner's: (M, 32, 32) in [0, 1]."""
    ink = np.stack([1 - paint, np.where(partner[:, None] >= 0, 1 - paint[partner], 0)], axis=2)
    return np.einsum("mc,mchw->mhw", np.linalg.pinv(ink)[:, 0], 1 - pictures).clip(0, 1).astype(np.float32)


def _around(owner, pure, partner):
    """Where a piece may reach: around its pure pixels, and not around another one's but its partner's: (M, 32, 32)."""
    near, close = _grow(pure, 2), _grow(pure, 1)
    total = np.zeros((owner.max(initial=-1) + 1, SIDE, SIDE), int)
    np.add.at(total, owner, near)
    others = total[owner] - near - np.where((partner >= 0)[:, None, None], near[partner], 0)
    return _grow(pure, REACH) & (close | (others == 0))


@cache
def _templates():
    """Every shape at every radius, at four places in a pixel: (T, 4) shape, radius, x, y; (T, WINDOW^2) coverage."""
    kinds = np.array([*product(range(len(SHAPES)), RADII, (-0.25, 0.25), (-0.25, 0.25))])
    covered = coverage(kinds[:, 0].astype(int), kinds[:, 2:] + WINDOW / 2, kinds[:, 1], WINDOW)
    return kinds, torch.from_numpy(covered.reshape(len(kinds), -1))


def _fit(covered, visible, pure):
    """The shape and place of least squared error for each of M pieces: (M, 6) error, area seen, shape, radius, x, y.

    covered: (M, 32, 32), how much of each pixel a piece covers; visible: (M, 32, 32), where it could be seen, or None
    for everywhere. With v visible and c covered, a shape s errs by the sum over pixels of (c - v s)^2.
    """
    kinds, shapes = _templates()
    columns, rows = pure.any(axis=1), pure.any(axis=2)
    middle = np.stack([(m.argmax(1) + SIDE - 1 - m[:, ::-1].argmax(1)) // 2 for m in (columns, rows)], axis=1)
    reach, side = WINDOW // 2 + SHIFT, WINDOW + 2 * SHIFT

    def around(image, m, fill):
        x, y = middle[m]
        return torch.from_numpy(np.pad(image[m], reach, constant_values=fill)[y:y + side, x:x + side])[None, None]

    fits, squares = np.empty((len(pure), 6)), shapes.square()
    whole = squares.sum(dim=1, keepdim=True)
    for m in range(len(pure)):
        part, areas = around(covered, m, 0), whole
        total = part.square().sum()
        if visible is not None:
            seen = around(visible, m, 1)
            part, areas = part * seen, squares @ F.unfold(seen.square(), WINDOW)[0]
        error = areas - 2 * shapes @ F.unfold(part, WINDOW)[0] + total
        k, place = divmod(int(error.argmin()), error.shape[1])
        shift = np.array([place % (2 * SHIFT + 1), place // (2 * SHIFT + 1)]) - SHIFT
        area, centre = areas.expand_as(error)[k, place], middle[m] + shift + 0.5 + kinds[k, 2:]
        fits[m] = (error[k, place], area, *kinds[k, :2], *centre)
    return fits


def _readings(pictures, owner, colour, fits, hides):
    """One Reading for each picture; hides: (M,), the piece that a piece may lie in front of, or -1."""
    from scipy import ndimage

    covered = coverage(fits[:, 2].astype(int), fits[:, 4:], fits[:, 3])
    explained = np.zeros((len(pictures), SIDE, SIDE), bool)
    np.logical_or.at(explained, owner, covered > 0.2)
    strange = (np.sqrt(((1 - pictures) ** 2).sum(axis=1)) > STRANGE) & ~_grow(explained, 2)
    numbers = np.arange(len(owner)) - np.searchsorted(owner, owner)
    overlap = (covered * covered[hides]).sum((1, 2)) / np.minimum(covered.sum((1, 2)), covered.sum((1, 2))[hides])
    readings = []
    for n in range(len(pictures)):
        rows = np.flatnonzero(owner == n)
        objects = [_seen(colour[m], *fits[m]) for m in rows]
        if strange[n].sum() >= SMALLEST:
            labels, count = ndimage.label(strange[n])
            blots = [labels == k for k in range(1, count + 1)]
            objects += [Seen(None, None, None, *(np.argwhere(blot).mean(axis=0)[::-1] + 0.5).tolist())
                        for blot in blots if blot.sum() >= SMALLEST and _has_square(blot)]
        front = {(int(numbers[m]), int(numbers[hides[m]])) for m in rows if hides[m] >= 0 and overlap[m] >= HIDES}
        readings.append(Reading(tuple(objects), frozenset(front)))
    return readings


def _seen(colour, error, area, shape, radius, x, y):
    shape = SHAPES[int(shape)] if error <= UNCLEAR * area else None
    return Seen(COLOURS[colour], shape, SIZES[int(radius > SIZE_LIMIT)], float(x), float(y))
