"""A step back whose variance is learned too, and the hybrid loss that trains it."""

import torch

from minidiff.process.elbo import discretized_loglik, kl_gauss
from minidiff.process.forward import expand_like
from minidiff.process.posterior import posterior, posterior_variance
from minidiff.process.targets import predict_x0


def learned_variance(mix, t, path):
    """exp(mix log beta_t + (1 - mix) log beta~_t), between the two fixed choices (Nichol and Dhariwal 2021, eq. 15).

    mix: (B, ...), the network's second answer: 0 gives the posterior's variance, 1 gives beta_t, and it may lie
    outside; t: (B,) int in 1..T; path: one of steps. beta~_1 is 0 and has no log: at t = 1 that of t = 2 stands in, as
    in their code. Returns the shape and dtype of mix.
    """
    high = torch.log(1 - path.alpha_bar[t] / path.alpha_bar[t - 1])
    low = torch.log(posterior_variance(t.clamp(min=2), path.alpha_bar))
    return torch.exp(mix * expand_like(high, mix) + (1 - mix) * expand_like(low, mix))


def vlb_term(x0, x_t, x0_hat, variance, t, path):
    """The term of the bound that belongs to step t, for any variance of the step back, in nats (Ho et al. 2020, eq. 5).

    x0, x_t, x0_hat, variance: (B, ...); t: (B,) int in 1..T; path: one of steps. The KL of q(x_{t-1} | x_t, x0) to
    N(mu(x_t, x0_hat), variance) for t >= 2, and the decoder's -log p(x0 | x_1) in 256 bins for t = 1. Returns (B, ...).
    """
    mean, _ = posterior(x_t, x0, t, path.alpha_bar)
    mean_hat, _ = posterior(x_t, x0_hat, t, path.alpha_bar)
    first = expand_like(t, x0) == 1
    # each side gets harmless numbers where the other one is used: an infinite gradient times 0 would be nan
    kl = kl_gauss(mean, expand_like(posterior_variance(t.clamp(min=2), path.alpha_bar), x0), mean_hat, variance)
    loglik = discretized_loglik(x0, torch.where(first, mean_hat, x0), torch.where(first, variance, 1.0).sqrt())
    return torch.where(first, -loglik, kl)


def vlb_estimate(x0, x_t, eps_hat, mix, t, path):
    """T times the term of a step drawn uniformly: an unbiased estimate of the sum of all terms but the prior's.

    x0, x_t, eps_hat, mix: (B, ...), eps_hat and mix the network's two answers; t: (B,) int in 1..T; path: one of
    steps. Returns (B,) in nats per dimension.
    """
    x0_hat = predict_x0(x_t, t, eps_hat, path.alpha_bar)
    terms = vlb_term(x0, x_t, x0_hat, learned_variance(mix, t, path), t, path)
    return path.T * terms.flatten(1).mean(dim=1)


def hybrid_loss(net, x0, t, eps, path, vlb_weight=1e-3):
    """L_simple + vlb_weight L_vlb: the noise learns from the first, the variance from the second (their eq. 16).

    net: (x_t (B, C, ...), t (B,)) -> (B, 2 C, ...), the noise and then the mix; x0, eps: (B, C, ...); t: (B,) int in
    1..T; path: one of steps. In the second term the predicted noise is detached. Returns a scalar.
    """
    x_t = path.mix(x0, eps, t)
    eps_hat, mix = net(x_t, t).chunk(2, dim=1)
    simple = (eps_hat - eps).square().mean()
    vlb = vlb_estimate(x0, x_t, eps_hat.detach(), mix, t, path).mean()
    return simple + vlb_weight * vlb
