"""Cases of chapter 04 that only the grader runs."""

import torch

from minidiff.exercises.ch04 import filled, randn, run_attention, run_block, uniform
from minidiff.exercises.ch04_walks import climb, draws_of_walk, skips_of, start, walk
from minidiff.exercises.core import Case


def narrow_block(fn, x, vector, channels):
    """A block with fewer channels out than in, in evaluation mode: there it drops nothing."""
    return run_block(fn, x, vector, channels, dropout=0.4, groups=2)


def attention_in_float32(fn, x):
    return filled(fn(x.shape[1], heads=3, groups=6)).float()(x)


HIDDEN = {
    "ch04.sin_embed": (
        Case("takes any number of columns and any longest period", lambda g: (uniform(g, 7, 0, 5), 62, 500.0)),
        Case("takes a single whole number, and two columns", lambda g: (torch.randint(1, 6, (), generator=g), 2)),
    ),
    "ch04.ResBlock": (
        Case("makes many channels few, and drops nothing in evaluation mode",
             lambda g: (randn(g, 1, 12, 3, 6), randn(g, 1, 4), 6), narrow_block),
        Case("works for as many pictures as they are wide", lambda g: (randn(g, 5, 16, 5, 5), randn(g, 5, 16), 16),
             run_block),
    ),
    "ch04.Attention2d": (
        Case("works in float32, with three heads", lambda g: (randn(g, 3, 12, 3, 3, dtype=torch.float32),),
             attention_in_float32, rtol=1e-4),
        Case("works for a single picture of one row", lambda g: (randn(g, 1, 16, 1, 7),),
             lambda fn, x: run_attention(fn, x, heads=2)),
    ),
    "ch04.walk_up": (
        Case("joins the skips of three blocks a level",
             lambda g: (randn(g, 1, 8, 3, 3), skips_of(g, 1, (8, 8), (6, 3), 3), randn(g, 1, 5), (8, 8), 3), climb),
        Case("hands the context through three levels of different width",
             lambda g: (randn(g, 2, 8, 2, 2), skips_of(g, 2, (16, 8, 8), (8, 4, 2)), randn(g, 2, 6), (16, 8, 8), 2,
                        randn(g, 2, 4)), climb),
    ),
    "ch04.ancestral": (
        Case("walks over other pairs, for a single picture", lambda g: start(g, [20, 19, 12, 2, 1, 0], B=1), walk),
        Case("draws as often as it should when it starts in the middle", lambda g: start(g, [14, 9, 3, 0], B=3),
             draws_of_walk),
    ),
}
