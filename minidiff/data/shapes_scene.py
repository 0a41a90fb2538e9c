"""What is in a scene of shapes: descriptions, drawn at random, with the combinations that training never shows."""

from itertools import permutations

import numpy as np

from minidiff.data.shapes_words import COLOURS, RELATIONS, SHAPES, SIZES, Description, Thing

# One object; two with a relation; two or three alike; two alike and another one; three with two relations.
KINDS = {"one": 0.2, "pair": 0.4, "alike": 0.15, "group": 0.1, "three": 0.15}
# Each shape in one colour (6 of 42 pairs), and each shape and relation with one other shape (18 of 108), are held out.
HELD_OUT = frozenset({("yellow", "circle"), ("orange", "square"), ("red", "triangle"), ("green", "star"),
                      ("purple", "heart"), ("blue", "cross")})
NUMBERS = 16  # random numbers for each try to describe a scene


def novel(description):
    """The kinds of held-out combinations that a Description has: a tuple of "colour-shape" and "relation".

    With shapes numbered 0..5 and relations 0..2, "a RELATION b" is held out where (b - a + RELATION) mod 6 = 1.
    """
    first, *others = description.things
    pairs = any((thing.colour, thing.shape) in HELD_OUT for thing in description.things)
    relations = any((SHAPES.index(other.shape) - SHAPES.index(first.shape) + RELATIONS.index(relation)) % 6 == 1
                    for relation, other in zip(description.relations, others, strict=False))
    return ("colour-shape",) * pairs + ("relation",) * relations


def describe(n, seed, split):
    """Draw n descriptions: with no held-out combination for split "train", with at least one for "test".

    The first n of more are the same: each try has a table of random numbers of its own, a row a scene.
    """
    found, tries = [None] * n, 0
    while left := [i for i in range(n) if found[i] is None]:
        u = np.random.Generator(np.random.PCG64([seed, split == "test", 0, tries])).random((n, NUMBERS))
        for i in left:
            description = _describe(iter(u[i]))
            if bool(novel(description)) == (split == "test"):
                found[i] = description
        tries += 1
    return found


def _describe(u):
    """One description, decided by an iterator of uniform numbers."""
    kind = tuple(KINDS)[np.searchsorted(np.cumsum(tuple(KINDS.values()))[:-1], next(u), side="right")]
    if kind == "one":
        return Description((_thing(u),))
    if kind == "alike":
        return Description((_thing(u, count=_pick(u, (2, 3))),))
    if kind == "group":
        first, second = _pick(u, ((2, 1), (1, 2)))
        things = [_thing(u, first)]
        return Description((*things, _thing(u, second, things)), (_pick(u, RELATIONS[:2]),))
    relations = (_pick(u, RELATIONS),) if kind == "pair" else _pick(u, tuple(permutations(RELATIONS, 2)))
    things = [_thing(u)]
    for relation in relations:  # what is in front of a thing must differ from it in colour
        others = [c for c in COLOURS if c != things[0].colour or relation != "in front of"]
        things.append(_thing(u, 1, things, others))
    return Description(tuple(things), relations)


def _thing(u, count=1, unlike=(), colours=COLOURS):
    """A thing of one of `colours` that is not the same colour and shape as one of the things `unlike`."""
    taken = {(thing.colour, thing.shape) for thing in unlike}
    colour, shape = _pick(u, [(c, s) for c in colours for s in SHAPES if (c, s) not in taken])
    return Thing(count, _pick(u, SIZES), colour, shape)


def _pick(u, values):
    return values[int(next(u) * len(values))]
