"""Linear multistep solvers in (x / alpha, sigma / alpha): DDIM with a mean of the noises of the last steps."""

import numpy as np
import torch

from minidiff.process.continuous import in_real_time
from minidiff.samplers.exponential import exponential_step
from minidiff.samplers.lambda_grids import karras_times
from minidiff.samplers.sampler import Sampler

NODES, MASSES = np.polynomial.legendre.leggauss(2)  # exact for polynomials up to degree 3
ADAMS_BASHFORTH = ((1,), (3 / 2, -1 / 2), (23 / 12, -16 / 12, 5 / 12), (55 / 24, -59 / 24, 37 / 24, -9 / 24))


def adams_weights(levels, end):
    """The weights w_j with which sum_j w_j f(levels[j]) is the mean of f from levels[0] to `end`, f a polynomial.

    levels: 1 to 4 different floats, the newest first; exact for the polynomial through all of them, by two Gauss nodes.
    Returns a list of floats that sum to 1; for levels with equal gaps the weights of Adams and Bashforth (1883).
    """
    if len(levels) == 1:
        return [1.0]
    points = levels[0] + (end - levels[0]) * (NODES + 1) / 2
    others = [[u for u in levels if u != level] for level in levels]
    lines = [np.prod([(points - u) / (level - u) for u in rest], axis=0) for level, rest in zip(levels, others)]
    return [float((line * MASSES).sum() / 2) for line in lines]


def mean_of(weights, noises):
    """The sum of weights (floats) times noises (B, ...), two lists of one length: (B, ...)."""
    return sum(w * eps for w, eps in zip(weights, noises, strict=True))


@torch.no_grad()
def lms(denoiser, x, times, path, order=4):
    """Adams-Bashforth of order 1 to 4 on any grid, in sigma / alpha (Karras et al. 2022, k-diffusion's `sample_lms`).

    denoiser: (x, t) -> (x0, eps); x: (B, ...) noise at times[0], alpha > 0; times: (N + 1,), decreasing. The first
    steps have the order of the noises that are there. N evaluations; yields (s, x_s, x0). Raises ValueError for another
    order.
    """
    if order not in (1, 2, 3, 4):
        raise ValueError(f"order must be 1, 2, 3 or 4, got {order}")
    levels, noises = [], []
    for t, s in zip(times[:-1], times[1:], strict=True):
        x0, eps = denoiser(x, t)
        levels, noises = [float(path.sigma(t) / path.alpha(t)), *levels][:order], [eps, *noises][:order]
        weights = adams_weights(levels, float(path.sigma(s) / path.alpha(s)))
        x = exponential_step(x, mean_of(weights, noises), t, s, path, "eps")
        yield s.item(), x, x0


@torch.no_grad()
def plms(denoiser, x, times, path):
    """PNDM without its Runge-Kutta start: DDIM with the weights of equal gaps, whatever the gaps (Liu et al. 2022).

    denoiser: (x, t) -> (x0, eps); x: (B, ...) noise at times[0], alpha > 0; times: (N + 1,), decreasing. The first step
    is Heun's, if it does not end in clean data; the next ones have order 2, 3, and then 4. N + 1 evaluations, 1 for
    N = 1; yields (s, x_s, x0).
    """
    noises = []
    for t, s in zip(times[:-1], times[1:], strict=True):
        x0, eps = denoiser(x, t)
        noises = [eps, *noises][:4]
        value = mean_of(ADAMS_BASHFORTH[len(noises) - 1], noises)
        if len(noises) == 1 and path.sigma(s) > 0:
            value = (eps + denoiser(exponential_step(x, eps, t, s, path, "eps"), s)[1]) / 2
        x = exponential_step(x, value, t, s, path, "eps")
        yield s.item(), x, x0


LMS = Sampler(lms, grid=karras_times, ready=in_real_time)
PLMS = Sampler(plms, more=1, grid=karras_times, ready=in_real_time)
