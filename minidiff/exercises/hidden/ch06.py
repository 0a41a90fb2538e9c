"""Cases of chapter 06 that only the grader runs."""

import torch

from minidiff.exercises.ch06 import a_pair, a_table, asked, levels, number, uniform, weigh, whole
from minidiff.exercises.ch06_variance import hybrid_inputs, pull, value
from minidiff.exercises.core import Case

HIDDEN = {
    "ch06.cosine_betas": (
        Case("is right for hundreds of steps", lambda g: (whole(g, 200, 400), number(g, 0.001, 0.02))),
        Case("takes s and largest by name", lambda g: (whole(g, 20, 50), number(g, 0.01, 0.1), number(g, 0.4, 0.9)),
             lambda fn, T, s, largest: fn(largest=largest, T=T, s=s)),
    ),
    "ch06.convert": (
        Case("a network for a mixture says x0, for clips", a_pair(3, 2, 1, 4, 3), **asked("mixed", "x0")),
        Case("a network may be asked what it says already", a_pair(5, 5), **asked("v", "v")),
    ),
    "ch06.loss_weight": (
        Case("takes 20 levels, and min-SNR with another gamma, for x0", levels("min-snr, gamma 2", "x0", n=20), weigh),
        Case("takes SNR + 1 for v, which is a constant weight on a circle", levels("SNR + 1", "v", n=9), weigh,
             expect=lambda alpha, sigma, *names: torch.ones_like(alpha)),
        Case("takes a root on a mixture", lambda g: (uniform(g, 0.3, 0.9, 4), uniform(g, 0.3, 0.9, 4), "root", "mixed"),
             weigh),
    ),
    "ch06.zero_snr": (
        Case("is right for hundreds of steps", lambda g: (a_table(g, whole(g, 100, 200)).clamp(min=1e-9),)),
        Case("is right for 3 steps", lambda g: (a_table(g, 3),)),
    ),
    "ch06.hybrid_loss": (
        Case("takes one picture", hybrid_inputs(1, 1, 5, 4), lambda fn, *given: value(fn, *given, vlb_weight=1.0)),
        Case("pulls at noise and variance for colour pictures", hybrid_inputs(4, 3, 3, 4),
             lambda fn, *given: pull(fn, *given, vlb_weight=0.5)),
    ),
}
