"""Wrong and right answers to Heun's method, chapter 08."""

import torch

from minidiff.samplers.exponential import exponential_step
from minidiff.samplers.step import ddim_step
from tests.mutants import alternative, mutant


def walk(denoiser, x, times, path, value=lambda a, b: (a + b) / 2, first=None, ask_at_the_end=False):
    """Heun's method with its parts open to change."""
    with torch.no_grad():
        for t, s in zip(times[:-1], times[1:]):
            x0, eps = denoiser(x, t)
            x_s = exponential_step(x, eps, t, s, path, "eps")
            if path.sigma(s) > 0 or ask_at_the_end:
                _, eps_s = denoiser(x_s, s)
                x_s = exponential_step(x_s if first else x, value(eps, eps_s), t, s, path, "eps")
            x = x_s
            yield s.item(), x, x0


@mutant("ch08.heun")
def euler(denoiser, x, times, path):
    yield from walk(denoiser, x, times, path, value=lambda a, b: a)


@mutant("ch08.heun")
def noise_of_the_end_alone(denoiser, x, times, path):
    yield from walk(denoiser, x, times, path, value=lambda a, b: b)


@mutant("ch08.heun")
def sum_of_both(denoiser, x, times, path):
    yield from walk(denoiser, x, times, path, value=lambda a, b: a + b)


@mutant("ch08.heun")
def second_step_from_where_the_first_ended(denoiser, x, times, path):
    yield from walk(denoiser, x, times, path, first=True)


@mutant("ch08.heun")
def asks_at_clean_data(denoiser, x, times, path):
    yield from walk(denoiser, x, times, path, ask_at_the_end=True)


@mutant("ch08.heun")
def yields_the_time_of_the_start(denoiser, x, times, path):
    for t, (_, x, x0) in zip(times, walk(denoiser, x, times, path)):
        yield t.item(), x, x0


@mutant("ch08.heun")
@torch.no_grad()
def mean_of_the_pictures(denoiser, x, times, path):
    for t, s in zip(times[:-1], times[1:]):
        x0, eps = denoiser(x, t)
        x_s = exponential_step(x, x0, t, s, path)
        if path.sigma(s) > 0:
            x_s = exponential_step(x, (x0 + denoiser(x_s, s)[0]) / 2, t, s, path)
        x = x_s
        yield s.item(), x, x0


@mutant("ch08.heun")
@torch.no_grad()
def in_x_instead_of_x_over_alpha(denoiser, x, times, path):
    for t, s in zip(times[:-1], times[1:]):
        x0, eps = denoiser(x, t)
        x_s = x + (path.sigma(s) - path.sigma(t)) * eps
        if path.sigma(s) > 0:
            x_s = x + (path.sigma(s) - path.sigma(t)) * (eps + denoiser(x_s, s)[1]) / 2
        x = x_s
        yield s.item(), x, x0


@mutant("ch08.heun")
@torch.no_grad()
def asks_again_at_t(denoiser, x, times, path):
    for t, s in zip(times[:-1], times[1:]):
        x0, eps = denoiser(x, t)
        x_s = exponential_step(x, eps, t, s, path, "eps")
        if path.sigma(s) > 0:
            x_s = exponential_step(x, (eps + denoiser(x_s, t)[1]) / 2, t, s, path, "eps")
        x = x_s
        yield s.item(), x, x0


@alternative("ch08.heun")
@torch.no_grad()
def as_in_the_paper(denoiser, x, times, path):
    y, level = x / path.alpha(times[0]), path.sigma(times) / path.alpha(times)
    for i in range(len(times) - 1):
        x0, _ = denoiser(path.alpha(times[i]) * y, times[i])
        d = (y - x0) / level[i]
        y_s = y + (level[i + 1] - level[i]) * d
        if level[i + 1] != 0:
            d_s = (y_s - denoiser(path.alpha(times[i + 1]) * y_s, times[i + 1])[0]) / level[i + 1]
            y_s = y + (level[i + 1] - level[i]) * (d / 2 + d_s / 2)
        y = y_s
        yield float(times[i + 1]), path.alpha(times[i + 1]) * y, x0


@alternative("ch08.heun")
@torch.no_grad()
def with_the_general_step(denoiser, x, times, path):
    for t, s in zip(times[:-1], times[1:]):
        x0, eps = denoiser(x, t)
        if s > 0:
            _, end = denoiser(ddim_step(x0, eps, t, s, path, eta=0.0), s)
            mean = (eps + end) / 2
            x = ddim_step((x - path.sigma(t) * mean) / path.alpha(t), mean, t, s, path, eta=0.0)
        else:
            x = ddim_step(x0, eps, t, s, path, eta=0.0)
        yield s.item(), x, x0
