"""Single-step solvers: DDIM with a better value, found by asking the denoiser again on the way."""

import torch

from minidiff.process.continuous import lambda_of, time_of
from minidiff.samplers.exponential import exponential_step, phi
from minidiff.samplers.multistep import ANSWER


def dpm1_step(answer, denoiser, x, t, s, path, form):
    """DDIM: the answer at t is taken for the whole step."""
    return exponential_step(x, answer, t, s, path, form)


def dpm2_step(answer, denoiser, x, t, s, path, form):
    """The answer in the middle of the step, in lambda, is taken for the whole step (Lu et al. 2022, algorithm 1).

    answer: (B, ...), what the denoiser said at t, a picture or a noise as `form` says; s is not clean. Asks once more.
    Returns x_s.
    """
    middle = time_of(path, (lambda_of(path, t) + lambda_of(path, s)) / 2)
    half_way = exponential_step(x, answer, t, middle, path, form)
    value = denoiser(half_way, middle)[ANSWER[form]]
    return exponential_step(x, value, t, s, path, form)


def dpm3_step(answer, denoiser, x, t, s, path, form):
    """The denoiser is asked at one third and at two thirds of the step (Lu et al. 2022, algorithm 2, r = 1/3, 2/3)."""
    lam, h = lambda_of(path, t), lambda_of(path, s) - lambda_of(path, t)
    third, two_thirds = time_of(path, lam + h / 3), time_of(path, lam + 2 * h / 3)
    z = -h if form == "x0" else h

    def curved(out, weight, part):  # phi_2 / phi_1 is the mean of a line that rises from 0 to 1
        return answer + weight * phi(2, part * z) / phi(1, part * z) * (out - answer)

    out = denoiser(exponential_step(x, answer, t, third, path, form), third)[ANSWER[form]]
    value = curved(out, 2, 2 / 3)
    out = denoiser(exponential_step(x, value, t, two_thirds, path, form), two_thirds)[ANSWER[form]]
    return exponential_step(x, curved(out, 3 / 2, 1), t, s, path, form)


@torch.no_grad()
def singlestep(denoiser, x, times, path, order=2, form="x0"):
    """DPM-Solver-1, 2, 3 (form "eps") or DPM-Solver++1S, 2S, 3S (form "x0") (Lu et al. 2022, both papers).

    denoiser: (x, t) -> (x0, eps), asked at real times between those of the grid; x: (B, ...) noise at times[0]; times:
    (N + 1,), decreasing. The step to clean data is of order 1: order (N - 1) + 1 evaluations. Yields (s, x_s, x0), x0
    the answer at t. Raises ValueError for another order or form.
    """
    if order not in (1, 2, 3) or form not in ANSWER:
        raise ValueError(f"order must be 1, 2 or 3 and form x0 or eps, got {order} and {form!r}")
    take = (dpm1_step, dpm2_step, dpm3_step)
    for t, s in zip(times[:-1], times[1:], strict=True):
        answer = denoiser(x, t)
        step = take[order - 1 if path.sigma(s) > 0 else 0]
        x = step(answer[ANSWER[form]], denoiser, x, t, s, path, form)
        yield s.item(), x, answer[0]
