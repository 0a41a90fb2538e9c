"""The evidence lower bound of a diffusion model, term by term, in nats per dimension."""

import math

import torch

from minidiff.process.forward import expand_like, prior_kl, q_sample, snr
from minidiff.process.noise import normal_like
from minidiff.process.posterior import posterior_variance


def kl_gauss(mean_1, var_1, mean_2, var_2):
    """KL(N(mean_1, var_1) || N(mean_2, var_2)) elementwise, in nats.

    Tensors of any shapes that broadcast; variances > 0.
    """
    return 0.5 * (torch.log(var_2 / var_1) + (var_1 + (mean_1 - mean_2) ** 2) / var_2 - 1)


def step_kl(x0, x0_hat, t, alpha_bar):
    """The term L_{t-1} = KL(q(x_{t-1} | x_t, x0) || q(x_{t-1} | x_t, x0_hat)), t >= 2 (Kingma et al. 2021, sec. 4.1).

    Both have the posterior's variance, so that the KL is (SNR(t-1) - SNR(t)) / 2 times the squared error: x_t cancels.
    x0, x0_hat: (B, ...); t: int, () or (B,), in 2..T; alpha_bar: (T + 1,). Returns (B, ...) in nats. Raises ValueError
    for t = 1, whose term is the decoder's.
    """
    if not torch.as_tensor(t >= 2).all():
        raise ValueError(f"the step KL is defined for t >= 2, got t = {t}: the term of t = 1 is the decoder's")
    weight = (snr(alpha_bar[t - 1]) - snr(alpha_bar[t])) / 2
    return expand_like(weight, x0) * (x0 - x0_hat) ** 2


def eps_weight(t, alpha_bar):
    """The factor w_t in L_{t-1} = w_t |eps - eps_hat|^2 for the posterior variance (Ho et al. 2020, eq. 12).

    t: int, () or (B,), in 2..T; alpha_bar: (T + 1,). Returns float64: beta_t^2 / (2 var_t alpha_t (1 - alpha_bar_t)).
    """
    alpha = alpha_bar[t] / alpha_bar[t - 1]
    return (1 - alpha) ** 2 / (2 * posterior_variance(t, alpha_bar) * alpha * (1 - alpha_bar[t]))


def discretized_loglik(x, mean, std, levels=256):
    """log p of a picture of `levels` grey values under N(mean, std^2) cut into bins (Ho et al. 2020, eq. 13).

    x: values on the grid -1, ..., 1 of `levels` points; mean, std: broadcast to x. The outer bins reach to infinity,
    so the bins of a pixel sum to 1. Returns log-probabilities of the shape of x, in nats, exact far in both tails.
    """
    half = 1 / (levels - 1)
    low = torch.where(x < half - 1, -torch.inf, (x - half - mean) / std)
    high = torch.where(x > 1 - half, torch.inf, (x + half - mean) / std)
    # the bell is symmetric: a bin right of the mean is moved to the left, where its two ends have small, exact cdfs
    right = low + high > 0
    low, high = torch.where(right, -high, low), torch.where(right, -low, high)
    log_low, log_high = torch.special.log_ndtr(low), torch.special.log_ndtr(high)
    return log_high + torch.log(-torch.expm1(log_low - log_high))


def elbo_terms(predict, x0, alpha_bar, generator, decoder_std=None):
    """One draw of every term of the negative ELBO, in nats per dimension (Ho et al. 2020, eq. 5).

    predict: function (x_t (B, ...), t (B,) int64) -> x0_hat; x0: (B, ...). Noise is drawn from `generator`, a fresh one
    per step. Returns (T + 1,) float64: entry 0 is the decoder's L_0, entries 1..T-1 the step KLs L_1..L_{T-1}, entry T
    the prior's L_T; their sum is the bound. The decoder is N(x0_hat, decoder_std^2) in bins; its default std is
    sqrt(beta_1), the spread of x_1 around x0.
    """
    T = len(alpha_bar) - 1
    terms = torch.empty(T + 1, dtype=torch.float64)
    for t in range(1, T + 1):
        times = torch.full((len(x0),), t)
        eps = normal_like(x0, generator)
        x0_hat = predict(q_sample(x0, times, eps, alpha_bar), times)
        if t == 1:
            std = (1 - alpha_bar[1]).sqrt() if decoder_std is None else decoder_std
            term = -discretized_loglik(x0, x0_hat, std)
        else:
            term = step_kl(x0, x0_hat, times, alpha_bar)
        terms[t - 1] = term.double().mean()
    terms[T] = prior_kl(x0, alpha_bar[T]).mean()
    return terms


def bits_per_dim(nats):
    """Nats per dimension as bits per dimension."""
    return nats / math.log(2)
