"""Does a picture of shapes obey its caption? Wholly, and in parts: objects, colours, sizes, relations."""

from dataclasses import dataclass
from itertools import permutations

from minidiff.data.shapes_words import understand
from minidiff.evaluation.shapes_read import read


@dataclass(frozen=True)
class Verdict:
    """What of a caption is obeyed: objects (how many of each shape, and no other), their colours, sizes and relations.

    A part that the caption does not speak of is obeyed where the objects are as many as they should be.
    """

    objects: bool
    colours: bool
    sizes: bool
    relations: bool

    @property
    def whole(self):
        """Whether all is obeyed."""
        return self.objects and self.colours and self.sizes and self.relations


def judge(pictures, captions):
    """The Verdict on each of N pictures (N, 3, 32, 32) in [-1, 1], with N captions of the shapes' grammar: a list.

    Raises ValueError when there are not as many captions as pictures, and DataError for a caption outside the grammar.
    """
    if len(pictures) != len(captions):
        raise ValueError(f"captions must be as many as the {len(pictures)} pictures, got {len(captions)}")
    wanted = [understand(caption) for caption in captions]
    return [obeys(reading, description) for reading, description in zip(read(pictures), wanted, strict=True)]


def rates(verdicts):
    """The part of the verdicts that obey: a dict with objects, colours, sizes, relations and whole, each in [0, 1]."""
    return {part: sum(getattr(verdict, part) for verdict in verdicts) / len(verdicts)
            for part in ("objects", "colours", "sizes", "relations", "whole")}


def obeys(reading, description):
    """The Verdict on a Reading, for a Description.

    Each object that was asked for gets one that was read, so that as much as possible agrees; with more objects or
    fewer than were asked for, nothing is obeyed.
    """
    wanted = [(k, thing) for k, thing in enumerate(description.things) for _ in range(thing.count)]
    if len(wanted) != len(reading.objects):
        return Verdict(False, False, False, False)
    orders = permutations(range(len(wanted)))
    return max((_compare(reading, description, wanted, order) for order in orders), key=_merit)


def relation(reading, i, j):
    """How object i of a Reading lies to object j: "in front of", "behind", "left of", "right of", "above" or "below".

    Exactly one holds: what does not overlap is told apart by the longer one of both ways between the centres.
    """
    if (i, j) in reading.in_front:
        return "in front of"
    if (j, i) in reading.in_front:
        return "behind"
    x, y = reading.objects[j].x - reading.objects[i].x, reading.objects[j].y - reading.objects[i].y
    if abs(x) > abs(y):
        return "left of" if x > 0 else "right of"
    return "above" if y > 0 else "below"


def _compare(reading, description, wanted, order):
    """The Verdict if the k-th object that was asked for is object order[k] of the Reading."""
    pairs = [(thing, reading.objects[i]) for (_, thing), i in zip(wanted, order, strict=True)]
    members = [[i for (k, _), i in zip(wanted, order, strict=True) if k == n] for n in range(len(description.things))]
    return Verdict(all(thing.shape == seen.shape for thing, seen in pairs),
                   all(thing.colour == seen.colour for thing, seen in pairs),
                   all(thing.size in (None, seen.size) for thing, seen in pairs),
                   all(relation(reading, i, j) == name for k, name in enumerate(description.relations, start=1)
                       for i in members[0] for j in members[k]))


def _merit(verdict):
    return verdict.objects + verdict.colours + verdict.sizes + verdict.relations, verdict.objects, verdict.colours
