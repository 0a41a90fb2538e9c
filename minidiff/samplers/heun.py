"""Heun's method in (x / alpha, sigma / alpha), the sampler of EDM: try a step, ask at its end, take the mean."""

import torch

from minidiff.process.continuous import in_real_time
from minidiff.samplers.exponential import exponential_step
from minidiff.samplers.lambda_grids import karras_times
from minidiff.samplers.sampler import Sampler


@torch.no_grad()
def heun(denoiser, x, times, path):
    """Walk from noise to a picture with the mean noise of both ends of each step (Karras et al. 2022, algorithm 1).

    denoiser: (x, t) -> (x0, eps); x: (B, ...) noise at times[0], alpha > 0; times: (N + 1,), decreasing. The step to
    clean data is Euler's, for there is no noise to ask for at its end: 2N - 1 evaluations. Yields (s, x_s, x0), x0 the
    answer at t.
    """
    for t, s in zip(times[:-1], times[1:], strict=True):
        x0, eps = denoiser(x, t)
        x_s = exponential_step(x, eps, t, s, path, "eps")
        if path.sigma(s) > 0:
            _, eps_s = denoiser(x_s, s)
            x_s = exponential_step(x, (eps + eps_s) / 2, t, s, path, "eps")
        x = x_s
        yield s.item(), x, x0


HEUN = Sampler(heun, each=2, more=-1, grid=karras_times, ready=in_real_time)
