"""Wrong and right answers to the exercises of chapter 02: discretized_loglik, elbo_terms."""

import math

import numpy as np
import torch
from scipy.stats import norm
from torch.distributions import Normal

from minidiff.process.elbo import discretized_loglik, elbo_terms, step_kl
from minidiff.process.forward import expand_like, prior_kl, q_sample
from tests.mutants import alternative, mutant


def ends(x, mean, std, levels, half=None, open_ends=True):
    half = 1 / (levels - 1) if half is None else half
    low, high = (x - half - mean) / std, (x + half - mean) / std
    if open_ends:
        low, high = torch.where(x < half - 1, -torch.inf, low), torch.where(x > 1 - half, torch.inf, high)
    return low, high


def log_between(low, high):
    right = low + high > 0
    low, high = torch.where(right, -high, low), torch.where(right, -low, high)
    log_low, log_high = torch.special.log_ndtr(low), torch.special.log_ndtr(high)
    return log_high + torch.log(-torch.expm1(log_low - log_high))


@mutant("ch02.discretized_loglik")
def density_times_width(x, mean, std, levels=256):
    return Normal(mean, std).log_prob(x) + math.log(2 / (levels - 1))


@mutant("ch02.discretized_loglik")
def outer_bins_are_closed(x, mean, std, levels=256):
    return log_between(*ends(x, mean, std, levels, open_ends=False))


@mutant("ch02.discretized_loglik")
def bins_of_width_2_over_levels(x, mean, std, levels=256):
    return log_between(*ends(x, mean, std, levels, half=1 / levels))


@mutant("ch02.discretized_loglik")
def always_256_levels(x, mean, std, levels=256):
    return log_between(*ends(x, mean, std, 256))


@mutant("ch02.discretized_loglik")
def variance_in_place_of_std(x, mean, std, levels=256):
    return log_between(*ends(x, mean, std**2, levels))


@mutant("ch02.discretized_loglik")
def probability_floor_of_published_code(x, mean, std, levels=256):
    low, high = ends(x, mean, std, levels)
    return torch.log((torch.special.ndtr(high) - torch.special.ndtr(low)).clamp(min=1e-12))


@mutant("ch02.discretized_loglik")
def no_digits_in_the_right_tail(x, mean, std, levels=256):
    low, high = ends(x, mean, std, levels)
    return torch.log((torch.special.ndtr(high) - torch.special.ndtr(low)).clamp(min=torch.finfo(x.dtype).tiny))


@mutant("ch02.discretized_loglik")
def summed_over_pixels(x, mean, std, levels=256):
    return log_between(*ends(x, mean, std, levels)).sum(dim=-1)


@alternative("ch02.discretized_loglik")
def with_erfcx(x, mean, std, levels=256):
    low, high = ends(x, mean, std, levels)
    right = low + high > 0
    low, high = torch.where(right, -high, low) / 2**0.5, torch.where(right, -low, high) / 2**0.5
    small = torch.exp(high.square() - low.square()) * torch.special.erfcx(-low)  # erfc(-low) / exp(-high^2)
    small = torch.where(low.isinf(), 0, small)
    deep = -high.square() + torch.log((torch.special.erfcx(-high) - small) / 2)
    plain = torch.log((torch.special.ndtr(high * 2**0.5) - torch.special.ndtr(low * 2**0.5)))
    return torch.where(high < -1, deep, plain).to(x.dtype)


@alternative("ch02.discretized_loglik")
def with_scipy(x, mean, std, levels=256):
    x64, mean, std = (np.asarray(u, dtype=np.float64) for u in (x, mean, std))
    half = 1 / (levels - 1)
    low = np.where(x64 < half - 1, -np.inf, (x64 - half - mean) / std)
    high = np.where(x64 > 1 - half, np.inf, (x64 + half - mean) / std)
    low, high = np.where(low + high > 0, -high, low), np.where(low + high > 0, -low, high)
    log_low, log_high = norm.logcdf(low), norm.logcdf(high)
    return torch.from_numpy(log_high + np.log1p(-np.exp(log_low - log_high))).to(x.dtype)


def elbo_with(predict, x0, alpha_bar, generator, decoder_std=None, noise=q_sample, step=step_kl, std=None, prior=None,
              index=1, reduce=torch.mean, decoder_at=1):
    """The right answer with one part replaced."""
    T = len(alpha_bar) - 1
    terms = torch.zeros(T + 1, dtype=torch.float64)
    default = std or (lambda a: (1 - a[1]).sqrt())
    for t in range(1, T + 1):
        times = torch.full((len(x0),), t)
        eps = torch.randn(x0.shape, generator=generator, dtype=x0.dtype)
        x0_hat = predict(noise(x0, times, eps, alpha_bar), times)
        if t == decoder_at:
            term = -discretized_loglik(x0, x0_hat, default(alpha_bar) if decoder_std is None else decoder_std)
        else:
            term = step(x0, x0_hat, times, alpha_bar)
        terms[t - index] = reduce(term.double())
    terms[T] = reduce((prior or prior_kl)(x0, alpha_bar[T]))
    return terms


@mutant("ch02.elbo_terms")
def sums_instead_of_means(predict, x0, alpha_bar, generator, decoder_std=None):
    return elbo_with(predict, x0, alpha_bar, generator, decoder_std, reduce=torch.sum)


@mutant("ch02.elbo_terms")
def variance_as_noise_level(predict, x0, alpha_bar, generator, decoder_std=None):
    def noise(x0, t, eps, alpha_bar):
        a = expand_like(alpha_bar[t], x0)
        return a.sqrt() * x0 + (1 - a) * eps
    return elbo_with(predict, x0, alpha_bar, generator, decoder_std, noise=noise)


@mutant("ch02.elbo_terms")
def shows_x0_without_noise(predict, x0, alpha_bar, generator, decoder_std=None):
    return elbo_with(predict, x0, alpha_bar, generator, decoder_std, noise=lambda x0, t, eps, alpha_bar: x0)


@mutant("ch02.elbo_terms")
def plain_squared_errors(predict, x0, alpha_bar, generator, decoder_std=None):
    return elbo_with(predict, x0, alpha_bar, generator, decoder_std,
                     step=lambda x0, x0_hat, t, alpha_bar: (x0 - x0_hat) ** 2)


@mutant("ch02.elbo_terms")
def ignores_the_decoder_std(predict, x0, alpha_bar, generator, decoder_std=None):
    return elbo_with(predict, x0, alpha_bar, generator)


@mutant("ch02.elbo_terms")
def decoder_with_variance_as_std(predict, x0, alpha_bar, generator, decoder_std=None):
    return elbo_with(predict, x0, alpha_bar, generator, decoder_std, std=lambda a: 1 - a[1])


@mutant("ch02.elbo_terms")
def no_prior_term(predict, x0, alpha_bar, generator, decoder_std=None):
    return elbo_with(predict, x0, alpha_bar, generator, decoder_std, prior=lambda x0, a: torch.zeros_like(x0))


@mutant("ch02.elbo_terms")
def noise_of_the_step_before(predict, x0, alpha_bar, generator, decoder_std=None):
    def noise(x0, t, eps, alpha_bar):
        return q_sample(x0, (t - 1).clamp(min=1), eps, alpha_bar)
    return elbo_with(predict, x0, alpha_bar, generator, decoder_std, noise=noise)


@mutant("ch02.elbo_terms")
def noise_from_the_global_state(predict, x0, alpha_bar, generator, decoder_std=None):
    return elbo_with(predict, x0, alpha_bar, None, decoder_std)


@alternative("ch02.elbo_terms")
def backwards_with_the_weight_of_the_noise(predict, x0, alpha_bar, generator, decoder_std=None):
    T, terms = len(alpha_bar) - 1, [prior_kl(x0, alpha_bar[-1]).mean().double()]
    for t in range(T, 0, -1):
        x_t = q_sample(x0, t, torch.randn(x0.shape, generator=generator, dtype=x0.dtype), alpha_bar)
        x0_hat = predict(x_t, torch.full((len(x0),), t))
        ratio = alpha_bar[t] / (1 - alpha_bar[t])
        if t == 1:
            std = (1 - alpha_bar[1]).sqrt() if decoder_std is None else decoder_std
            terms.append(-discretized_loglik(x0, x0_hat, std).double().mean())
        else:
            before = alpha_bar[t - 1] / (1 - alpha_bar[t - 1])
            terms.append((before - ratio) / 2 * (x0.double() - x0_hat.double()).square().mean())
    return torch.stack(terms[::-1])


@alternative("ch02.elbo_terms")
def all_noises_drawn_first(predict, x0, alpha_bar, generator, decoder_std=None):
    T = len(alpha_bar) - 1
    eps = torch.randn(T, *x0.shape, generator=generator, dtype=x0.dtype)
    std = float(1 - alpha_bar[1]) ** 0.5 if decoder_std is None else decoder_std
    terms = []
    for k in range(T):
        t = torch.full((len(x0),), k + 1)
        x0_hat = predict(q_sample(x0, t, eps[k], alpha_bar), t)
        each = step_kl(x0, x0_hat, t, alpha_bar) if k else -discretized_loglik(x0, x0_hat, std)
        terms.append(each.mean(dtype=torch.float64))
    return torch.stack([*terms, prior_kl(x0, alpha_bar[T]).mean()])


# --- noise used again, and pictures made tame ------------------------------------------------------------------------

@mutant("ch02.elbo_terms")
def one_noise_for_all_steps(predict, x0, alpha_bar, generator, decoder_std=None):
    eps = torch.randn(x0.shape, generator=generator, dtype=x0.dtype)
    terms = []
    for t in range(1, len(alpha_bar)):
        times = torch.full((len(x0),), t)
        x0_hat = predict(q_sample(x0, times, eps, alpha_bar), times)
        std = (1 - alpha_bar[1]).sqrt() if decoder_std is None else decoder_std
        term = step_kl(x0, x0_hat, times, alpha_bar) if t > 1 else -discretized_loglik(x0, x0_hat, std)
        terms.append(term.double().mean())
    return torch.stack([*terms, prior_kl(x0, alpha_bar[-1]).mean()])


@mutant("ch02.elbo_terms")
def pictures_clamped_to_grey_values(predict, x0, alpha_bar, generator, decoder_std=None):
    return elbo_terms(lambda x, t: predict(x, t).clamp(-1, 1), x0, alpha_bar, generator, decoder_std)
