"""Wrong and right answers of chapter 01 on the jump to step t, and on its signal-to-noise ratio."""

import math

import torch

from tests.mutants import alternative, mutant


# --- q_sample ---

def _like(values, x):
    """An entry per image, shaped (B, 1, ...): the mutants' own way of broadcasting."""
    return torch.as_tensor(values, dtype=x.dtype).reshape((-1,) + (1,) * (x.ndim - 1))


@mutant("ch01.q_sample")
def variance_instead_of_standard_deviation(x0, t, eps, alpha_bar):
    a = _like(alpha_bar[t], x0)
    return a.sqrt() * x0 + (1 - a) * eps


@mutant("ch01.q_sample")
def no_root_on_the_picture(x0, t, eps, alpha_bar):
    a = _like(alpha_bar[t], x0)
    return a * x0 + (1 - a).sqrt() * eps


@mutant("ch01.q_sample")
def roots_of_factors_that_add_to_one(x0, t, eps, alpha_bar):
    a = _like(alpha_bar[t].sqrt(), x0)
    return a * x0 + (1 - a) * eps


@mutant("ch01.q_sample")
def picture_and_noise_swapped(x0, t, eps, alpha_bar):
    a = _like(alpha_bar[t], x0)
    return (1 - a).sqrt() * x0 + a.sqrt() * eps


@mutant("ch01.q_sample")
def counts_from_zero(x0, t, eps, alpha_bar):
    a = _like(alpha_bar[t - 1], x0)
    return a.sqrt() * x0 + (1 - a).sqrt() * eps


@mutant("ch01.q_sample")
def same_time_for_all(x0, t, eps, alpha_bar):
    a = alpha_bar[torch.as_tensor(t).flatten()[0]].to(x0.dtype)
    return a.sqrt() * x0 + (1 - a).sqrt() * eps


@mutant("ch01.q_sample")
def a_time_per_column(x0, t, eps, alpha_bar):
    a = alpha_bar[t].to(x0.dtype)
    return a.sqrt() * x0 + (1 - a).sqrt() * eps


@mutant("ch01.q_sample")
def only_one_step(x0, t, eps, alpha_bar):
    before = alpha_bar[torch.as_tensor(t) - 1]
    a = _like(alpha_bar[t] / before, x0)
    return a.sqrt() * x0 + (1 - a).sqrt() * eps


@mutant("ch01.q_sample")
def draws_its_own_noise(x0, t, eps, alpha_bar):
    a = _like(alpha_bar[t], x0)
    return a.sqrt() * x0 + (1 - a).sqrt() * torch.randn_like(x0)


@mutant("ch01.q_sample")
def promotes_to_float64(x0, t, eps, alpha_bar):
    a = alpha_bar[t].reshape((-1,) + (1,) * (x0.ndim - 1))
    return a.sqrt() * x0 + (1 - a).sqrt() * eps


@mutant("ch01.q_sample")
def adds_noise_without_shrinking(x0, t, eps, alpha_bar):
    return x0 + (1 - _like(alpha_bar[t], x0)).sqrt() * eps


@mutant("ch01.q_sample")
def only_pictures(x0, t, eps, alpha_bar):
    a = torch.as_tensor(alpha_bar[t]).to(x0.dtype).view(-1, 1, 1, 1)
    return a.sqrt() * x0 + (1 - a).sqrt() * eps


@mutant("ch01.q_sample")
def cuts_the_gradient(x0, t, eps, alpha_bar):
    a = _like(alpha_bar[t], x0)
    return a.sqrt() * x0.detach() + (1 - a).sqrt() * eps


@mutant("ch01.q_sample")
def in_place(x0, t, eps, alpha_bar):
    a = _like(alpha_bar[t], x0)
    return x0.mul_(a.sqrt()).add_((1 - a).sqrt() * eps)


@mutant("ch01.q_sample")
def clamped_to_the_range_of_pictures(x0, t, eps, alpha_bar):
    a = _like(alpha_bar[t], x0)
    return (a.sqrt() * x0 + (1 - a).sqrt() * eps).clamp(-1, 1)


@alternative("ch01.q_sample")
def one_image_after_the_other(x0, t, eps, alpha_bar):
    times = torch.as_tensor(t).expand(len(x0)).tolist()
    rows = [math.sqrt(alpha_bar[s]) * x + math.sqrt(1 - alpha_bar[s]) * e for x, s, e in zip(x0, times, eps)]
    return torch.stack(rows)


@alternative("ch01.q_sample")
def unsqueezed(x0, t, eps, alpha_bar):
    a = alpha_bar[t].to(x0.dtype)
    while 0 < a.ndim < x0.ndim:
        a = a.unsqueeze(-1)
    return torch.sqrt(1 - a) * eps + torch.sqrt(a) * x0


@alternative("ch01.q_sample")
def images_last(x0, t, eps, alpha_bar):
    a = alpha_bar[t].to(x0)
    axes = tuple(reversed(range(x0.ndim)))
    return (a**0.5 * x0.permute(axes) + (1 - a) ** 0.5 * eps.permute(axes)).permute(axes)


# --- snr ---

@mutant("ch01.snr")
def ratio_of_standard_deviations(alpha_bar):
    return (alpha_bar / (1 - alpha_bar)).sqrt()


@mutant("ch01.snr")
def upside_down(alpha_bar):
    return (1 - alpha_bar) / alpha_bar


@mutant("ch01.snr")
def logarithm(alpha_bar):
    return torch.log(alpha_bar / (1 - alpha_bar))


@mutant("ch01.snr")
def decibels(alpha_bar):
    return 10 * torch.log10(alpha_bar / (1 - alpha_bar))


@mutant("ch01.snr")
def noise_power_only(alpha_bar):
    return 1 / (1 - alpha_bar)


@mutant("ch01.snr")
def noise_without_its_square(alpha_bar):
    return alpha_bar / (1 - alpha_bar).sqrt()


@mutant("ch01.snr")
def squared_twice(alpha_bar):
    return alpha_bar**2 / (1 - alpha_bar) ** 2


@mutant("ch01.snr")
def share_of_the_whole(alpha_bar):
    return alpha_bar


@mutant("ch01.snr")
def guarded_against_the_infinite(alpha_bar):
    return alpha_bar / (1 - alpha_bar + 1e-8)


@mutant("ch01.snr")
def as_float32(alpha_bar):
    return (alpha_bar / (1 - alpha_bar)).float()


@alternative("ch01.snr")
def odds(alpha_bar):
    return 1 / (1 / alpha_bar - 1)


@alternative("ch01.snr")
def squares_of_alpha_and_sigma(alpha_bar):
    alpha, sigma = alpha_bar.sqrt(), (1 - alpha_bar).sqrt()
    return (alpha / sigma) ** 2
