"""Cases of chapter 03 that only the grader runs."""

import torch

from minidiff.exercises.ch02 import a_table, normal, times
from minidiff.exercises.ch03 import (dsm_inputs, ema_inputs, mixture_inputs, on_path, slope_of_log_density,
                                     tweedie_inputs, updated, with_a_net)
from minidiff.exercises.ch03_walk import walk_inputs, walked
from minidiff.exercises.core import Case
from minidiff.process.forward import q_sample
from minidiff.process.path import discrete_path


def means_per_point(generator):
    """One set of means per point, and one set of stds for all."""
    x, weights, means, stds = mixture_inputs(6, 2, 3)(generator)
    return x, weights, means + 0.5 * normal(generator, 6, 2, 3), stds


def noised_points(generator):
    return normal(generator, 6, 1, 6, 6), normal(generator, 6, 1, 6, 6), times(generator, 6), a_table(generator)


def from_its_own_score(fn, x0, eps, t, alpha_bar):
    """x_t and the score of q(x_t | x0), handed to the learner's function."""
    sigma = (1 - alpha_bar[t]).sqrt().reshape(-1, 1, 1, 1)
    return fn(q_sample(x0, t, eps, alpha_bar), -eps / sigma, t, discrete_path(alpha_bar))


def without_a_score(fn, x0, t, eps, alpha_bar):
    """The loss of the score that is 0 everywhere."""
    return fn(lambda x, u: torch.zeros_like(x), x0, t, eps, discrete_path(alpha_bar))


HIDDEN = {
    "ch03.gmm_score": (
        Case("is the gradient of log p on a line, for many parts", mixture_inputs(9, 8, 1),
             expect=slope_of_log_density),
        Case("takes one set of means per point, with the same stds for all", means_per_point),
    ),
    "ch03.tweedie": (
        Case("gives x0 back for the score of q(x_t | x0)", noised_points, from_its_own_score,
             expect=lambda x0, eps, t, alpha_bar: x0),
        Case("works for clips (B, F, C, H, W)", tweedie_inputs(3, 4, 2, 3, 5), on_path),
    ),
    "ch03.dsm_loss": (
        Case("is the mean square of the noise when the score is 0", dsm_inputs(5, 3), without_a_score,
             expect=lambda x0, t, eps, alpha_bar: (eps**2).mean()),
        Case("works for colour pictures, as many as they are wide", dsm_inputs(4, 3, 5, 4), with_a_net),
        Case("works for a single point", lambda g: (normal(g, 1, 2), times(g, 1), normal(g, 1, 2), a_table(g)),
             with_a_net),
    ),
    "ch03.ema_update": (
        Case("has warmed up when (1 + n) / (10 + n) reaches the decay", ema_inputs(12, 0.55), updated),
        Case("is a copy when the decay is 0", ema_inputs(7, 0.0), updated),
    ),
    "ch03.langevin": (
        Case("walks many short steps", walk_inputs(1, 5, steps=25, step_size=0.01), walked),
        Case("yields nothing when it takes no step", walk_inputs(2, 3, steps=0), walked),
    ),
}
