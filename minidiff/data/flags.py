"""Flags: the smallest pictures that need a sentence, two colours side by side or one above the other."""

from itertools import permutations

import torch
import torch.nn.functional as F

from minidiff.data.shapes_draw import PALETTE
from minidiff.data.shapes_words import COLOURS

SIDE, SHADE = 8, 0.06  # pixels; how much lighter or darker than its colour a half may be, in [-1, 1]
RELATIONS = ("left of", "above")
FLAGS = tuple((a, relation, b) for a, b in permutations(COLOURS, 2) for relation in RELATIONS)
NEAR = 0.35  # the root mean square difference to a colour of the palette up to which a half has it


def held_out(flag):
    """Whether training shows this flag (first colour, relation, second colour) never: 14 of the 84 FLAGS.

    Every colour is shown first and second, beside and above others, and every pair of colours in some way.
    """
    first, relation, second = flag
    return (COLOURS.index(second) - COLOURS.index(first)) % 7 == (2, 4)[RELATIONS.index(relation)]


def caption(flag, short=False):
    """"red left of blue"; a short one names the colours alone, in the order of the alphabet: "blue and red"."""
    first, relation, second = flag
    return " and ".join(sorted((first, second))) if short else f"{first} {relation} {second}"


def fly(flags, generator):
    """Pictures of flags (first colour, relation, second colour): (N, 3, 8, 8) in [-1, 1], each half in a shade."""
    numbers = torch.tensor([[COLOURS.index(first), COLOURS.index(second)] for first, _, second in flags])
    colours = torch.from_numpy(PALETTE)[numbers]
    shades = SHADE * (2 * torch.rand(len(flags), 2, 1, generator=generator) - 1)
    halves = (colours + shades).clamp(-1, 1).repeat_interleave(SIDE // 2, dim=1).transpose(1, 2)  # (N, 3, 8)
    beside = torch.tensor([relation == "left of" for _, relation, _ in flags])[:, None, None, None]
    return torch.where(beside, halves[:, :, None, :], halves[:, :, :, None]).expand(-1, -1, SIDE, SIDE).contiguous()


def read(pictures):
    """The flag of each picture (N, 3, 8, 8): a list of (first, relation, second), a colour None where it is unclear."""
    (a, b), (c, d) = F.avg_pool2d(pictures.float(), SIDE // 2).permute(2, 3, 0, 1)  # quarters: a b above c d
    beside = ((a - c).square() + (b - d).square()).sum(dim=1) < ((a - b).square() + (c - d).square()).sum(dim=1)
    halves = torch.where(beside[:, None, None], torch.stack([a + c, b + d], 1), torch.stack([a + b, c + d], 1)) / 2
    away = (halves[:, :, None] - torch.from_numpy(PALETTE)).square().mean(dim=3).sqrt().min(dim=2)
    named = [[COLOURS[k] if near < NEAR else None for near, k in zip(*row, strict=True)]
             for row in zip(away.values.tolist(), away.indices.tolist(), strict=True)]
    return [(first, RELATIONS[0] if side else RELATIONS[1], second)
            for (first, second), side in zip(named, beside.tolist(), strict=True)]


def obeyed(pictures, flags):
    """The part of N pictures that obeys: {"colours": both, in any order, "direction", "first", "whole": the flag}."""
    seen = [({found[0], found[2]} == {flag[0], flag[2]}, found[1] == flag[1], found[0] == flag[0], found == flag)
            for found, flag in zip(read(pictures), flags, strict=True)]
    return {name: sum(column) / len(flags) for name, column in zip(("colours", "direction", "first", "whole"),
                                                                  zip(*seen, strict=True), strict=True)}
