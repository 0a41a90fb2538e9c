"""Wrong and right answers of chapter 07 on the ODE: its slope, and the way up."""

import torch

from minidiff.process.forward import expand_like
from minidiff.process.sde import drift_and_diffusion
from tests.mutants import alternative, mutant
from tests.mutants.ch07 import levels


# --- pf_ode_rhs -----------------------------------------------------------------------------------------------------

def ode(eps, x, t, path, share=0.5, power=1, drift=1.0, sign=1.0):
    f, g2 = drift_and_diffusion(path, t)
    return drift * expand_like(f, x) * x + sign * share * expand_like(g2 / path.sigma(t) ** power, x) * eps


@mutant("ch07.pf_ode_rhs")
def drift_of_the_reverse_sde(eps, x, t, path):
    return ode(eps, x, t, path, share=1.0)


@mutant("ch07.pf_ode_rhs")
def score_with_the_wrong_sign(eps, x, t, path):
    return ode(eps, x, t, path, sign=-1.0)


@mutant("ch07.pf_ode_rhs")
def noise_taken_for_the_score(eps, x, t, path):
    return ode(eps, x, t, path, power=0)


@mutant("ch07.pf_ode_rhs")
def divided_by_the_variance(eps, x, t, path):
    return ode(eps, x, t, path, power=2)


@mutant("ch07.pf_ode_rhs")
def without_the_drift(eps, x, t, path):
    return ode(eps, x, t, path, drift=0.0)


@mutant("ch07.pf_ode_rhs")
def time_turned_round(eps, x, t, path):
    return -ode(eps, x, t, path)


@mutant("ch07.pf_ode_rhs")
def g_for_its_square(eps, x, t, path):
    f, g2 = drift_and_diffusion(path, t)
    return expand_like(f, x) * x + expand_like(g2.sqrt() / (2 * path.sigma(t)), x) * eps


@mutant("ch07.pf_ode_rhs")
def times_along_the_width(eps, x, t, path):
    f, g2 = drift_and_diffusion(path, t)
    return f.to(x) * x + (g2 / (2 * path.sigma(t))).to(x) * eps


@alternative("ch07.pf_ode_rhs")
def by_the_rates_of_the_path(eps, x, t, path):
    t = torch.as_tensor(t, dtype=torch.float64).clone().requires_grad_()
    with torch.enable_grad():
        sigma_rate, = torch.autograd.grad(path.sigma(t).sum(), t)
    f, _ = drift_and_diffusion(path, t)
    x0_part = expand_like(f, x) * (x - expand_like(path.sigma(t).detach(), x) * eps)
    return x0_part + expand_like(sigma_rate, x) * eps


@alternative("ch07.pf_ode_rhs")
def by_the_score(eps, x, t, path):
    f, g2 = drift_and_diffusion(path, t)
    score = -eps / expand_like(path.sigma(t), x)
    return expand_like(f, x) * x - 0.5 * expand_like(g2, x) * score


# --- invert ---------------------------------------------------------------------------------------------------------

def climb(denoiser, x, times, path, where=None, gain=None, noise=None):
    """The way up with its parts open to change: where it asks, and what it makes of x and eps."""
    with torch.no_grad():
        for s, t in zip(times[:-1], times[1:]):
            alpha_t, sigma_t, alpha_s, sigma_s = map(float, levels(path, t, s))
            asked = (s if sigma_s > 0 else t) if where is None else where(s, t)
            _, eps = denoiser(x, asked)
            a = alpha_t / alpha_s if gain is None else gain(alpha_s, sigma_s, alpha_t, sigma_t)
            b = (sigma_t - alpha_t / alpha_s * sigma_s if noise is None
                 else noise(alpha_s, sigma_s, alpha_t, sigma_t))
            x = a * x + b * eps
            yield int(t), x, eps


@mutant("ch07.invert")
def asks_at_the_time_of_arrival(denoiser, x, times, path):
    yield from climb(denoiser, x, times, path, where=lambda s, t: t)


@mutant("ch07.invert")
def asks_for_the_noise_of_clean_data(denoiser, x, times, path):
    yield from climb(denoiser, x, times, path, where=lambda s, t: s)


@mutant("ch07.invert")
def forgets_the_noise_that_is_there(denoiser, x, times, path):
    yield from climb(denoiser, x, times, path, noise=lambda alpha_s, sigma_s, alpha_t, sigma_t: sigma_t)


@mutant("ch07.invert")
def forgets_to_shrink(denoiser, x, times, path):
    yield from climb(denoiser, x, times, path, gain=lambda *levels: 1.0)


@mutant("ch07.invert")
def grows_by_the_difference_of_noise(denoiser, x, times, path):
    yield from climb(denoiser, x, times, path, noise=lambda alpha_s, sigma_s, alpha_t, sigma_t: sigma_t - sigma_s)


@mutant("ch07.invert")
def adds_noise_like_the_forward_process(denoiser, x, times, path):
    def noise(alpha_s, sigma_s, alpha_t, sigma_t):
        return (sigma_t**2 - (alpha_t / alpha_s) ** 2 * sigma_s**2) ** 0.5
    yield from climb(denoiser, x, times, path, noise=noise)


@mutant("ch07.invert")
def walks_down(denoiser, x, times, path):
    yield from climb(denoiser, x, times.flip(0), path)


@mutant("ch07.invert")
def yields_where_it_came_from(denoiser, x, times, path):
    for s, (_, x, eps) in zip(times, climb(denoiser, x, times, path)):
        yield int(s), x, eps


@mutant("ch07.invert")
def does_not_go_on_from_x_t(denoiser, x, times, path):
    for s, t in zip(times[:-1], times[1:]):
        yield from climb(denoiser, x, torch.stack([s, t]), path)


@alternative("ch07.invert")
@torch.no_grad()
def in_the_straight_coordinates(denoiser, x, times, path):
    for s, t in zip(times[:-1], times[1:]):
        alpha_t, sigma_t, alpha_s, sigma_s = levels(path, t, s)
        eps = denoiser(x, t if sigma_s == 0 else s)[1]
        x = float(alpha_t) * (x / float(alpha_s) + float(sigma_t / alpha_t - sigma_s / alpha_s) * eps)
        yield int(t), x, eps


@alternative("ch07.invert")
@torch.no_grad()
def by_the_picture_at_x(denoiser, x, times, path):
    left = list(times)
    while len(left) > 1:
        s, t = left.pop(0), left[0]
        alpha_t, sigma_t, alpha_s, sigma_s = map(float, levels(path, t, s))
        eps = denoiser(x, s if s > 0 else t)[1]
        x0 = (x - sigma_s * eps) / alpha_s
        x = alpha_t * x0 + sigma_t * eps
        yield t.item(), x, eps
