"""The English of the shapes: what a caption can say, and what it means. No network is needed to understand it."""

import re
from dataclasses import dataclass, replace

from minidiff.data.errors import DataError

COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "black")
SHAPES = ("circle", "square", "triangle", "star", "heart", "cross")
SIZES = ("small", "large")
RELATIONS = ("left of", "above", "in front of")
NUMBERS = {1: "a", 2: "two", 3: "three"}
MOST = 3  # objects in a scene


@dataclass(frozen=True)
class Thing:
    """What one phrase names: `count` objects of a colour, a shape and, where it is said, a size (else None)."""

    count: int
    size: str | None
    colour: str
    shape: str


@dataclass(frozen=True)
class Description:
    """What a caption says: its things and, where they are said, the relation of the first thing to each other one."""

    things: tuple[Thing, ...]
    relations: tuple[str, ...] = ()


def say(description):
    """The caption of a Description: "two small red stars above a large blue heart", "a red star and a blue heart"."""
    first, *others = [_phrase(thing) for thing in description.things]
    if description.relations:
        said = [f"{relation} {other}" for relation, other in zip(description.relations, others, strict=True)]
        return f"{first} {' and '.join(said)}"
    *before, last = [first, *others]
    return f"{', '.join(before)} and {last}" if before else last


def understand(caption):
    """The Description that a caption says; `say` gives the caption back, letter by letter.

    Raises DataError that names the place where a text leaves the grammar, or says more than a scene can hold.
    """
    words = re.findall(r"[^\s,]+|,", caption)
    things, relations = [], []
    rest = _take_thing(words, things, caption)
    if _relation(rest):
        while rest:
            rest = rest[1:] if relations and rest[0] == "and" else rest
            if not (relation := _relation(rest)):
                raise DataError(f"{caption!r} is not a caption: expected one of {', '.join(RELATIONS)} at "
                                f"{' '.join(rest) or 'its end'!r}")
            relations.append(relation)
            rest = _take_thing(rest[len(relation.split()):], things, caption)
    while rest:
        if rest[0] not in (",", "and"):
            raise DataError(f"{caption!r} is not a caption: {' '.join(rest)!r} does not belong to it")
        rest = _take_thing(rest[1:], things, caption)
    description = Description(tuple(things), tuple(relations))
    if sum(thing.count for thing in things) > MOST:
        raise DataError(f"{caption!r} asks for more than {MOST} objects")
    if say(description) != caption:
        raise DataError(f"{caption!r} is not a caption; did you mean {say(description)!r}?")
    return description


def shorten(description, order):
    """The Description without sizes and relations, its things in another order, which therefore tells nothing.

    order: a permutation of the indices of the things.
    """
    return Description(tuple(replace(description.things[k], size=None) for k in order))


def _phrase(thing):
    described = f"{thing.size} {thing.colour}" if thing.size else thing.colour
    if thing.count == 1:
        return f"a{'n' if described[0] in 'aeiou' else ''} {described} {thing.shape}"
    return f"{NUMBERS[thing.count]} {described} {_plural(thing.shape)}"


def _plural(shape):
    return f"{shape}es" if shape.endswith("s") else f"{shape}s"


def _relation(words):
    """The relation that words begin with, or None."""
    return next((r for r in RELATIONS if words[:len(r.split())] == r.split()), None)


def _take_thing(words, things, caption):
    """Read one phrase from the front of `words` into `things`; returns the words that are left."""
    left = list(words)

    def take(kind, meanings):
        if not left or left[0] not in meanings:
            raise DataError(f"{caption!r} is not a caption: expected {kind} ({', '.join(meanings)}) at "
                            f"{' '.join(left) or 'its end'!r}")
        return meanings[left.pop(0)]

    count = take("a number", {"a": 1, "an": 1, "two": 2, "three": 3})
    size = left.pop(0) if left and left[0] in SIZES else None
    colour = take("a colour", {c: c for c in COLOURS})
    shape = take("a shape", {(s if count == 1 else _plural(s)): s for s in SHAPES})
    things.append(Thing(count, size, colour, shape))
    return left
