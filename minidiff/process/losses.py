"""The loss of denoising: draw a time and a noise, ask the network for the target."""

import torch

from minidiff.process.noise import normal_like
from minidiff.process.targets import to_target


def draw_times(n, T, generator):
    """n steps, uniform on 1..T with both ends: (n,) int64 on the CPU."""
    return torch.randint(1, T + 1, (n,), generator=generator)


def dsm_loss(score, x0, t, eps, path):
    """Denoising score matching, weighted by the variance of the noise (Vincent 2011; Song and Ermon 2019, eq. 6).

    score: function (x_t (B, ...), t (B,)) -> (B, ...); x0, eps: (B, ...); t: (B,) times of `path` with sigma > 0.
    Returns the mean over batch and dimensions of sigma_t^2 (score(x_t, t) - grad log q(x_t | x0))^2, a scalar.
    """
    _, sigma = path.at(t, x0)
    return (sigma * score(path.mix(x0, eps, t), t) + eps).square().mean()


def denoising_loss(net, x0, path, target, generator):
    """The mean squared error of the network on the target at random steps: L_simple (Ho et al. 2020, eq. 14).

    net: (x_t (B, ...), t (B,)) -> (B, ...); x0: (B, ...) in [-1, 1]; path: discrete; target: what the net predicts.
    Times and noise are drawn from `generator`. Returns (scalar float32 loss, {"t": (B,), "each": (B,)}).
    """
    t = draw_times(len(x0), path.T, generator)
    eps = normal_like(x0, generator)
    out = net(path.mix(x0, eps, t), path.net_time(t).to(x0.device))
    each = (out.float() - to_target(target, x0, eps, path.alpha(t), path.sigma(t))).square().flatten(1).mean(dim=1)
    return each.mean(), {"t": t, "each": each.detach()}
