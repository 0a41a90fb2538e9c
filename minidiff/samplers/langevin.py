"""Langevin dynamics: a walk along the score, with noise, that ends in samples."""

import torch

from minidiff.process.noise import normal_like


def langevin(score, x, step_size, steps, generator):
    """Unadjusted Langevin dynamics, x <- x + h score(x) + sqrt(2 h) z (Song and Ermon 2019, eq. 4, with h = eps / 2).

    score: function (B, D) -> (B, D), the gradient of a log density; x: (B, D); step_size: h > 0; steps: how many.
    Yields x after each step. Its stationary law is the density of the score up to an error of order h.
    """
    for _ in range(steps):
        z = normal_like(x, generator)
        x = x + step_size * score(x) + (2 * step_size) ** 0.5 * z
        yield x


def annealed_langevin(score, x, times, path, steps, rate, generator):
    """Langevin dynamics from much noise to little: `steps` steps at each of `times` (Song and Ermon 2019, algorithm 1).

    score: function (x (B, D), t (B,) int) -> (B, D), the score of x_t; x: (B, D), a draw at the first time; times:
    decreasing, all with sigma > 0; path gives sigma(t). The step size at t is rate sigma(t)^2.
    Yields (t, x) after the steps at each time.
    """
    for t in times.tolist():
        at_t = torch.full((len(x),), t)
        for x in langevin(lambda x: score(x, at_t), x, rate * float(path.sigma(t)) ** 2, steps, generator):
            pass
        yield t, x
