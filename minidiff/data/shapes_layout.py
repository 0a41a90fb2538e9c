"""Where the objects of a scene of shapes lie: every relation that is said can be seen, and no picture is ambiguous."""

from dataclasses import dataclass

import numpy as np

from minidiff.data.shapes_draw import EXTENT, SIDE, coverage
from minidiff.data.shapes_words import COLOURS, MOST, RELATIONS, SHAPES

RADII = {"small": (3.7, 4.0), "large": (5.4, 5.8)}  # pixels; drawn uniformly between
MARGIN = 0.5  # pixels, at least, from an object to the border of the picture
GAP = 2.0  # pixels, at least, between the boxes of two objects that do not lie in front of each other
ASIDE = 0.6  # how far an object lies beside the axis of its relation, at most, as a part of its way along it
HIDDEN = (0.15, 0.35)  # of an object's area, by the one in front of it
X, Y, FRONT, NONE = 0, 1, 2, -1  # a relation: its axis, in the order of RELATIONS
NUMBERS = 11  # random numbers for each try to place a scene


@dataclass(frozen=True)
class Layout:
    """The objects of N scenes; slot k = 0, 1, 2 of a scene is its k-th object in the order of the caption.

    things: (N, 3), which thing of the description the object belongs to, -1 for an empty slot; colours, shapes: (N, 3),
    their indices, -1 too; radii: (N, 3) and centres (x and y): (N, 3, 2), pixels from the upper left corner.
    """

    things: np.ndarray
    colours: np.ndarray
    shapes: np.ndarray
    radii: np.ndarray
    centres: np.ndarray


def lay_out(descriptions, seed, split):
    """Place the objects of N descriptions: a Layout. The first ones of more are the same.

    Objects keep MARGIN and GAP. An object with another one in front of it is HIDDEN in part, and stays in one piece.
    """
    layout, relations = _objects(descriptions, np.random.Generator(np.random.PCG64([seed, split == "test", 1])))
    left, tries = np.arange(len(descriptions)), 0
    while len(left):
        rng = np.random.Generator(np.random.PCG64([seed, split == "test", 2, tries]))
        u = rng.random((len(descriptions), NUMBERS))[left]
        some = Layout(*(getattr(layout, name)[left] for name in Layout.__dataclass_fields__))
        centres, fits = _place(some, *(part[left] for part in relations), u)
        layout.centres[left[fits]] = centres[fits]
        left, tries = left[~fits], tries + 1
    return layout


def _objects(descriptions, rng):
    """A Layout without places, and its relations: anchor (N,), sign (N,), axis (N, 3).

    They start in the slot `anchor` or, where the sign is -1, end in it; `axis` tells which one each slot has to it.
    """
    N = len(descriptions)
    things, colours, shapes, axis = (np.full((N, MOST), NONE) for _ in range(4))
    low, high, anchor, sign = np.zeros((N, MOST)), np.zeros((N, MOST)), np.zeros(N, int), np.ones(N)
    for i, description in enumerate(descriptions):
        slot = 0
        for k, thing in enumerate(description.things):
            some = slice(slot, slot := slot + thing.count)
            things[i, some], colours[i, some] = k, COLOURS.index(thing.colour)
            shapes[i, some], (low[i, some], high[i, some]) = SHAPES.index(thing.shape), RADII[thing.size]
            if k and description.relations:
                axis[i, some] = RELATIONS.index(description.relations[k - 1])
        if description.relations and description.things[0].count == 2:  # two things and one: the one is the anchor
            anchor[i], sign[i], axis[i] = 2, -1, (axis[i, 2], axis[i, 2], NONE)
    radii = low + (high - low) * rng.random((N, MOST))
    return Layout(things, colours, shapes, radii, np.zeros((N, MOST, 2))), (anchor, sign, axis)


def _place(layout, anchor, sign, axis, u):
    """Try to place each scene once: centres (N, 3, 2), and whether all is as it must be (N,)."""
    rows, there = np.arange(len(u)), layout.things >= 0
    half = np.where(there[..., None], EXTENT[layout.shapes] * layout.radii[..., None], 0)
    u1, u2 = u[:, 0:3], u[:, 3:6]
    offsets = _offsets(half + half[rows, anchor][:, None], layout.radii + layout.radii[rows, anchor][:, None], axis,
                       sign[:, None], u1, u2)
    offsets[rows, anchor] = 0
    low = np.where(there[..., None], offsets - half, np.inf).min(axis=1)
    high = np.where(there[..., None], offsets + half, -np.inf).max(axis=1)
    spare = SIDE - 2 * MARGIN - (high - low)
    centres = offsets + (MARGIN - low + u[:, 6:8] * spare)[:, None]
    fits = (spare >= 0).all(axis=1)
    for a, b in ((0, 1), (0, 2), (1, 2)):
        apart = (abs(centres[:, a] - centres[:, b]) - half[:, a] - half[:, b]).max(axis=1)
        front = (axis[:, b] == FRONT) & (a == 0)
        fits &= ~(there[:, a] & there[:, b]) | front | (apart >= GAP)
    for b in (1, 2):
        some = np.flatnonzero(fits & (axis[:, b] == FRONT))
        fits[some] = _well_hidden(*(coverage(layout.shapes[some, k], centres[some, k], layout.radii[some, k])
                                    for k in (0, b)))
    return centres, fits


def _offsets(reach, radii, axis, sign, u1, u2):
    """Where objects lie seen from the anchor (N, 3, 2), by their axis (N, 3); uniform numbers u1, u2: (N, 3).

    reach: (N, 3, 2), the sum of half the sides of both boxes; radii: (N, 3), the sum of both radii.
    """
    room = SIDE - 2 * MARGIN
    anywhere = (2 * np.stack([u1, u2], axis=-1) - 1) * (room - reach)
    along = reach + GAP + u1[..., None] * np.maximum(room - 2 * reach - GAP, 0)  # as far as both fit into the picture
    aside = (2 * u2 - 1) * ASIDE
    beside = np.stack([along[..., X], aside * along[..., X]], axis=-1) * sign[..., None]
    below = np.stack([aside * along[..., Y], along[..., Y]], axis=-1) * sign[..., None]
    angle = 2 * np.pi * u1
    behind = np.stack([np.cos(angle), np.sin(angle)], axis=-1) * (radii * (0.4 + 0.6 * u2))[..., None]
    return np.select([axis[..., None] == k for k in (X, Y, FRONT)], [beside, below, behind], anywhere)


def _well_hidden(front, back):
    """Whether `front` (M, H, W) hides the right part of `back`, coverages, and leaves it in one piece: (M,)."""
    from scipy import ndimage

    seen = back * (1 - front)
    hidden = 1 - seen.sum((1, 2)) / np.maximum(back.sum((1, 2)), 1e-6)
    within = np.zeros((3, 3, 3), bool)
    within[1] = ndimage.generate_binary_structure(2, 1)  # pixels of one picture that share a side
    pieces, count = ndimage.label(seen > 0.7, within)
    first = ndimage.minimum_position(pieces, pieces, range(1, count + 1)) if count else []
    return (hidden >= HIDDEN[0]) & (hidden <= HIDDEN[1]) & (
        np.bincount([place[0] for place in first], minlength=len(front)) == 1)
