"""Ancestral sampling: walk from noise to a picture through the posteriors of chapter 2."""

import torch

from minidiff.samplers.sampler import Sampler
from minidiff.samplers.step import ddim_step


@torch.no_grad()
def ancestral(denoiser, x, times, path, generator=None, eta=1.0):
    """Draw x_s from q(x_s | x_t, x0) with the denoiser's x0, along a grid (Ho et al. 2020, algorithm 2).

    denoiser: (x, t) -> (x0, eps); x: (B, ...) noise at times[0]; times: decreasing, its last entry 0; eta scales the
    fresh noise, see `ddim_step`. Yields (s, x_s, x0) after each step from t to s, so that a notebook can draw the way;
    the last x_s is the sample, and is the last x0. No noise enters the step to s = 0, whose posterior variance is 0.
    """
    for t, s in zip(times[:-1], times[1:], strict=True):
        x0, eps = denoiser(x, t)
        x = ddim_step(x0, eps, t, s, path, eta, generator)
        yield s.item(), x, x0


ANCESTRAL = Sampler(ancestral, draws=True)
