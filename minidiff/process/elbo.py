"""The evidence lower bound of a diffusion model, term by term, in nats per dimension."""

import math

import torch

from minidiff.process.forward import per_image, prior_kl
from minidiff.process.posterior import posterior, posterior_variance


def kl_gauss(mean_1, var_1, mean_2, var_2):
    """KL(N(mean_1, var_1) || N(mean_2, var_2)) elementwise, in nats.

    Tensors of any shapes that broadcast; variances > 0.
    """
    return 0.5 * (torch.log(var_2 / var_1) + (var_1 + (mean_1 - mean_2) ** 2) / var_2 - 1)


def step_kl(x0, x0_hat, x_t, t, alpha_bar):
    """The term L_{t-1} = KL(q(x_{t-1} | x_t, x0) || p(x_{t-1} | x_t)) for t >= 2 (Ho et al. 2020, eqs. 5 and 8).

    p has the posterior's variance and the mean that the prediction x0_hat gives. x0, x0_hat, x_t: (B, ...);
    t: (B,) int in 2..T; alpha_bar: (T + 1,). Returns (B, ...) in nats.
    """
    mean, variance = posterior(x_t, x0, t, alpha_bar)
    mean_hat, _ = posterior(x_t, x0_hat, t, alpha_bar)
    variance = per_image(variance, x_t)
    return kl_gauss(mean, variance, mean_hat, variance)


def eps_weight(t, alpha_bar):
    """The factor w_t in L_{t-1} = w_t |eps - eps_hat|^2 for the posterior variance (Ho et al. 2020, eq. 12).

    t: int, () or (B,), in 2..T; alpha_bar: (T + 1,). Returns float64: beta_t^2 / (2 var_t alpha_t (1 - alpha_bar_t)).
    """
    alpha = alpha_bar[t] / alpha_bar[t - 1]
    return (1 - alpha) ** 2 / (2 * posterior_variance(t, alpha_bar) * alpha * (1 - alpha_bar[t]))


def discretized_loglik(x, mean, std, levels=256):
    """log p of a picture of `levels` grey values under N(mean, std^2) cut into bins (Ho et al. 2020, eq. 13).

    x: values on the grid -1, ..., 1 of `levels` points; mean, std: broadcast to x. The outer bins reach to infinity,
    so the bins of a pixel sum to 1. Returns log-probabilities of the shape of x, in nats, finite everywhere.
    """
    half = 1 / (levels - 1)
    normal = torch.distributions.Normal(0.0, 1.0, validate_args=False)
    upper, lower = (x + half - mean) / std, (x - half - mean) / std
    # measured from the nearer tail, so that two numbers close to 1 are never subtracted
    upper, lower = torch.where(lower > 0, -lower, upper), torch.where(lower > 0, -upper, lower)
    flipped = (x - half - mean) / std > 0
    is_low, is_high = x < -1 + half, x > 1 - half
    below = torch.where(torch.where(flipped, is_high, is_low), torch.zeros_like(lower), normal.cdf(lower))
    above = torch.where(torch.where(flipped, is_low, is_high), torch.ones_like(upper), normal.cdf(upper))
    return torch.log((above - below).clamp(min=torch.finfo(x.dtype).tiny))


def elbo_terms(predict, x0, alpha_bar, generator, decoder_std=None):
    """One draw of every term of the negative ELBO, in nats per dimension (Ho et al. 2020, eq. 5).

    predict: function (x_t, t (B,)) -> x0_hat; x0: (B, ...). Returns (T + 1,) float64: entry 0 is L_0, entries 1..T-1
    the KLs L_1..L_{T-1}, entry T the prior's L_T; their sum is the bound. L_0 is the discretised decoder at std
    `decoder_std` (default: sqrt(beta_1), the spread of x_0 given x_1 that eq. 7 cannot give, since it is 0 at t = 1).
    """
    T = len(alpha_bar) - 1
    terms = torch.empty(T + 1, dtype=torch.float64)
    for t in range(1, T + 1):
        terms[t - 1] = elbo_term(predict, x0, t, alpha_bar, generator, decoder_std).double().mean()
    terms[T] = prior_kl(x0, alpha_bar[T]).mean()
    return terms


def elbo_term(predict, x0, t, alpha_bar, generator, decoder_std=None):
    """One draw of the term of step t, elementwise in nats: L_{t-1} for t in 1..T. Arguments as in `elbo_terms`."""
    eps = torch.randn(x0.shape, generator=generator, dtype=x0.dtype)
    times = torch.full((len(x0),), t)
    x_t = per_image(alpha_bar[times].sqrt(), x0) * x0 + per_image((1 - alpha_bar[times]).sqrt(), x0) * eps
    x0_hat = predict(x_t, times)
    if t > 1:
        return step_kl(x0, x0_hat, x_t, times, alpha_bar)
    std = decoder_std if decoder_std is not None else (1 - alpha_bar[1]).sqrt().to(x0)
    return -discretized_loglik(x0, x0_hat, std)


def bits_per_dim(nats):
    """Nats per dimension as bits per dimension."""
    return nats / math.log(2)
