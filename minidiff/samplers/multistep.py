"""Multistep solvers: DDIM with a better value, made from the answers of the steps before, at no evaluation more."""

from functools import partial

import torch

from minidiff.process.continuous import in_real_time, lambda_of
from minidiff.samplers.exponential import exponential_step, phi
from minidiff.samplers.lambda_grids import lambda_times
from minidiff.samplers.sampler import Sampler

ANSWER = {"x0": 0, "eps": 1}  # which of the denoiser's two answers a form carries on


def value_2m(past, lam_s):
    """The line through the last two answers, read in the middle of the step ahead (Lu et al. 2022, ++, algorithm 2).

    past: [(lambda, answer (B, ...)), ...], the newest first, at least two; lam_s: lambda at the end of the step,
    finite. Returns (B, ...): the value of DPM-Solver++2M, and in the form "eps" of DPM-Solver-2M.
    """
    (lam, out), (lam_before, before) = past[:2]
    return out + float((lam_s - lam) / (lam - lam_before) / 2) * (out - before)


def value_3m(past, lam_s, form, published):
    """The mean of the parabola through the last three answers over the step ahead, with the weights of `form`.

    As in `value_2m`, with three entries. A parabola has the second derivative 2 f[0, 1, 2], twice its second divided
    difference; the published DPM-Solver(++)3M leaves that 2 out (Lu et al. 2022, released code), and is of order 2.
    """
    (lam, out), (lam_1, out_1), (lam_2, out_2) = past[:3]
    h, h_1, h_2 = float(lam_s - lam), float(lam - lam_1), float(lam_1 - lam_2)
    first, second = (out - out_1) / h_1, (out_1 - out_2) / h_2
    bend = (first - second) / (h_1 + h_2)
    z = -h if form == "x0" else h
    to_slope, to_bend = h * phi(2, z) / phi(1, z), h**2 * phi(3, z) / phi(1, z)
    return out + to_slope * (first + h_1 * bend) + to_bend * (1 if published else 2) * bend


def better_value(past, lam_s, form="x0", published=False):
    """The value for the step ahead to lam_s, of order 1, 2 or 3: as many as there are answers in `past`."""
    if len(past) == 1:
        return past[0][1]
    return value_2m(past, lam_s) if len(past) == 2 else value_3m(past, lam_s, form, published)


@torch.no_grad()
def multistep(denoiser, x, times, path, order=2, form="x0", published=False, past=()):
    """DPM-Solver++ (form "x0") or DPM-Solver ("eps"), multistep, of order 1 to 3 (Lu et al. 2022, both papers).

    denoiser: (x, t) -> (x0, eps); x: (B, ...) noise at times[0]; times: (N + 1,), decreasing. The first steps have the
    order of the answers that are there: 1, then 2; `past` hands answers of earlier steps in, [(lambda, answer), ...],
    the newest first. The step to clean data, infinitely long in lambda, is of order 1. published: see `value_3m`.
    N evaluations; yields (s, x_s, x0). Raises ValueError for another order or form.
    """
    if order not in (1, 2, 3) or form not in ANSWER:
        raise ValueError(f"order must be 1, 2 or 3 and form x0 or eps, got {order} and {form!r}")
    for t, s in zip(times[:-1], times[1:], strict=True):
        answer = denoiser(x, t)
        past = [(lambda_of(path, t), answer[ANSWER[form]]), *past][:order]
        usable = past if path.sigma(s) > 0 else past[:1]
        value = better_value(usable, lambda_of(path, s), form, published)
        x = exponential_step(x, value, t, s, path, form)
        yield s.item(), x, answer[0]


DPMPP_2M = Sampler(multistep, grid=lambda_times, ready=in_real_time)
DPMPP_3M = Sampler(partial(multistep, order=3), grid=lambda_times, ready=in_real_time)
