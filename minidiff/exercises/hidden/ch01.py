"""Cases of chapter 01 that only the grader runs."""

import torch

from minidiff.exercises.ch01 import IN_FLOAT32, a_batch, a_schedule, a_table, integer, number, uniform, values
from minidiff.exercises.ch01_left import pictures
from minidiff.exercises.core import Case
from minidiff.process.schedules import cosine_betas


def two_schedules(fn, T, beta_T):
    """Some arguments by name, the others left out."""
    return values(fn, T), values(lambda: fn(beta_T=beta_T, T=T))


def entries(g):
    """Some entries of a table, in the shape of a small matrix; clean data among them."""
    t = torch.randint(1, 21, (3, 4), generator=g)
    t[1, 2] = 0
    return (a_table(g)[t],)


HIDDEN = {
    "ch01.linear_betas": (
        Case("is a straight line of hundreds of steps", lambda g: (integer(g, 200, 400), 0.001, number(g, 0.02, 0.1)),
             values),
        Case("takes some of its arguments and has values for the others",
             lambda g: (integer(g, 40, 90), number(g, 0.03, 0.2)), two_schedules),
    ),
    "ch01.alpha_bar_of": (
        Case("is the product for hundreds of steps", lambda g: (a_schedule(g, T=integer(g, 150, 250)) / 5,), values),
        Case("is the product for betas in float32", lambda g: (a_schedule(g, T=12).float(),), values),
        Case("keeps its digits for any cosine", lambda g: (cosine_betas(integer(g, 60, 90)),), values, rtol=1e-8,
             atol=0.0),
    ),
    "ch01.q_sample": (
        Case("works for clips (B, F, C, H, W)", lambda g: a_batch(g, 4, 3, 2, 5, 4), values, **IN_FLOAT32),
        Case("works for colour pictures and any number of steps", lambda g: a_batch(g, 5, 3, 6, 5, T=60), values,
             **IN_FLOAT32),
        Case("works in float64 for points, as many as they have coordinates",
             lambda g: a_batch(g, 7, 7, dtype=torch.float64), rtol=1e-10, atol=1e-10),
    ),
    "ch01.snr": (
        Case("is right for any entries of a table", entries, values),
        Case("is right for a table in float32", lambda g: (a_table(g, T=9)[1:].float(),), values, **IN_FLOAT32),
    ),
    "ch01.prior_kl": (
        Case("is right for colour pictures of which much is left",
             lambda g: (uniform(g, -1, 1, 3, 3, 2, 5).float(), number(g, 0.9, 0.999)), values),
        Case("is right for one number, in float64", lambda g: (pictures(g, torch.float64)[0, 0, 0, 0], a_table(g)[5]),
             values),
    ),
    "ch01.brightness_ratio": (
        Case("is right where nothing is noised (alpha_bar = 1)", lambda g: (1.0, integer(g, 2, 99), number(g, 0.3, 2)),
             expect=lambda a, d, sd: 1 / (d**0.5 * sd)),
        Case("is right for large pictures", lambda g: (a_table(g, T=40)[-1], 3 * integer(g, 64, 512) ** 2,
                                                       number(g, 0.1, 0.5))),
    ),
}
