"""UniPC: a multistep solver that takes each step again, once the answer at its end is known."""

import math

import numpy as np
import torch

from minidiff.process.continuous import in_real_time, lambda_of
from minidiff.samplers.exponential import exponential_step, phi
from minidiff.samplers.lambda_grids import lambda_times
from minidiff.samplers.multistep import better_value
from minidiff.samplers.sampler import Sampler


def corrected_value(past, new):
    """The mean over a step, with the weight of the form "x0", of a polynomial through past answers and that at its end.

    past: [(lambda, answer), ...], the newest, at the start of the step, first; new: (lambda, answer) at its end. With
    one past answer it is the mean of the two (Zhao et al. 2023, UniC-1 with B_2); with more, the weights w_j solve
    sum_j w_j r_j^m = m! phi_{m+1}(-h) / phi_1(-h) for m = 0, 1, ..., where r_j = (lambda_j - lambda_start) / h.
    """
    if len(past) == 1:
        return (past[0][1] + new[1]) / 2
    points = [new, *past]
    h = float(new[0] - past[0][0])
    r = np.array([float(lam - past[0][0]) / h for lam, _ in points])
    moments = [math.factorial(m) * phi(m + 1, -h) / phi(1, -h) for m in range(len(points))]
    weights = np.linalg.solve(np.vander(r, increasing=True).T, moments)
    return sum(float(w) * answer for w, (_, answer) in zip(weights, points))


@torch.no_grad()
def unipc(denoiser, x, times, path, order=3, ramp_down=True):
    """UniPC of order 1 to 3 in the form "x0" with B_2(h) = e^h - 1 (Zhao et al. 2023, algorithms 1 and 2).

    denoiser: (x, t) -> (x0, eps); x: (B, ...) noise at times[0], alpha > 0; times: (N + 1,), decreasing. The predictor
    is that of `multistep`; the answer at its end corrects the step and serves the next one, so N evaluations do.
    ramp_down: the last steps have order 3, 2, 1, as published. The step to clean data is of order 1 and not corrected.
    Yields (s, x_s, x0), x_s as predicted. Raises ValueError for another order, or alpha = 0.
    """
    if order not in (1, 2, 3):
        raise ValueError(f"order must be 1, 2 or 3, got {order}")
    if path.alpha(times[0]) == 0:
        raise ValueError(f"unipc cannot start where alpha = 0, at t = {float(times[0]):.4g}: lambda is infinite there")
    past, used, left = [], [], len(times) - 1
    for t, s in zip(times[:-1], times[1:], strict=True):
        x0, _ = denoiser(x, t)
        new = (lambda_of(path, t), x0)
        if past:
            x = exponential_step(x_before, corrected_value(used, new), t_before, t, path)
        past = [new, *past][:order]
        used = past[:left] if ramp_down else past
        used = used if path.sigma(s) > 0 else past[:1]
        x_before, t_before, left = x, t, left - 1
        x = exponential_step(x, better_value(used, lambda_of(path, s)), t, s, path)
        yield s.item(), x, x0


UNIPC = Sampler(unipc, grid=lambda_times, ready=in_real_time)
