"""Single-step solvers: DDIM with a better value, found by asking the denoiser again on the way."""

from functools import partial

import torch

from minidiff.process.continuous import in_real_time, lambda_of, time_of
from minidiff.samplers.exponential import exponential_step, phi
from minidiff.samplers.lambda_grids import lambda_times
from minidiff.samplers.multistep import ANSWER
from minidiff.samplers.sampler import Sampler


def dpm1_step(known, denoiser, x, t, s, path, form):
    """DDIM: the answer `known` (B, ...) at t is taken for the whole step from x (B, ...)."""
    return exponential_step(x, known, t, s, path, form)


def dpm2_step(known, denoiser, x, t, middle, s, path, form):
    """The answer in the middle of the step is taken for the whole step (Lu et al. 2022, algorithm 1).

    known: (B, ...), what the denoiser said at t, a picture or a noise as `form` says; middle: the time half way from t
    to s in lambda; s is not clean. Asks once more. Returns x_s.
    """
    half_way = exponential_step(x, known, t, middle, path, form)
    value = denoiser(half_way, middle)[ANSWER[form]]
    return exponential_step(x, value, t, s, path, form)


def dpm3_step(known, denoiser, x, t, third, two_thirds, s, path, form):
    """The denoiser is asked at one third and at two thirds of the step (Lu et al. 2022, algorithm 2, r = 1/3, 2/3).

    known, x: (B, ...); third, two_thirds: those times, in lambda; the rest as for `dpm2_step`. Asks twice more.
    """
    h = float(lambda_of(path, s) - lambda_of(path, t))
    z = -h if form == "x0" else h

    def with_slope(out, weight, z):  # phi_2 / phi_1 is the weighted mean of a line that rises from 0 to 1
        return known + weight * phi(2, z) / phi(1, z) * (out - known)

    out = denoiser(exponential_step(x, known, t, third, path, form), third)[ANSWER[form]]
    value = with_slope(out, 2, 2 / 3 * z)
    out = denoiser(exponential_step(x, value, t, two_thirds, path, form), two_thirds)[ANSWER[form]]
    return exponential_step(x, with_slope(out, 3 / 2, z), t, s, path, form)


STEPS = {1: (dpm1_step, ()), 2: (dpm2_step, (1 / 2,)), 3: (dpm3_step, (1 / 3, 2 / 3))}  # and where they ask on the way


@torch.no_grad()
def singlestep(denoiser, x, times, path, order=2, form="x0"):
    """DPM-Solver-1, 2, 3 (form "eps") or DPM-Solver++1S, 2S, 3S (form "x0") (Lu et al. 2022, both papers).

    denoiser: (x, t) -> (x0, eps), asked at real times between those of the grid; x: (B, ...) noise at times[0]; times:
    (N + 1,), decreasing. The step to clean data is of order 1: order (N - 1) + 1 evaluations. Yields (s, x_s, x0), x0
    the answer at t. Raises ValueError for another order or form.
    """
    if order not in STEPS or form not in ANSWER:
        raise ValueError(f"order must be 1, 2 or 3 and form x0 or eps, got {order} and {form!r}")
    take, fractions = STEPS[order]
    lam = lambda_of(path, times)
    inner = [time_of(path, lam[:-1] + part * lam.diff()) for part in fractions]
    for t, *between, s in zip(times[:-1], *inner, times[1:], strict=True):
        answer = denoiser(x, t)
        if path.sigma(s) > 0:
            x = take(answer[ANSWER[form]], denoiser, x, t, *between, s, path, form)
        else:
            x = dpm1_step(answer[ANSWER[form]], denoiser, x, t, s, path, form)
        yield s.item(), x, answer[0]


DPM_2 = Sampler(partial(singlestep, order=2, form="eps"), each=2, more=-1, grid=lambda_times, ready=in_real_time)
DPM_3 = Sampler(partial(singlestep, order=3, form="eps"), each=3, more=-2, grid=lambda_times, ready=in_real_time)
