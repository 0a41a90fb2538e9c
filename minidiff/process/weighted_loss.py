"""The loss of denoising at real times: any path, any target, any weight, and three ways to draw the times."""

import torch

from minidiff.process.noise import normal_like
from minidiff.process.targets import to_target
from minidiff.process.weights import loss_weight
from minidiff.process.zero_snr import check_target


def uniform_times(n, generator):
    """n independent times, uniform on (0, 1]: (n,) float64."""
    return 1 - torch.rand(n, generator=generator, dtype=torch.float64)


def stratified_times(n, generator):
    """n times, one uniform in each of n equal slices of (0, 1]: (n,) float64 (Kingma et al. 2021, appendix I.1).

    Each one is uniform, and together they cover the whole range in every batch: the loss fluctuates less.
    """
    return (torch.arange(n) + uniform_times(n, generator)) / n


def logit_normal_times(n, generator, mean=0.0, std=1.0):
    """n times in (0, 1), float64, whose logit is N(mean, std^2): most in the middle (Esser et al. 2024, eq. 19).

    A mean above 0 prefers noise, t near 1.
    """
    return torch.sigmoid(mean + std * torch.randn(n, generator=generator, dtype=torch.float64))


def weighted_loss(net, x0, path, target, generator, times=stratified_times, weight=None):
    """The mean of weight(SNR) |x0 error|^2 over times and noise, from the error of whatever the network predicts.

    net: (x_t (B, ...), t (B,) on the scale 0..1000) -> (B, ...); x0: (B, ...); path: for real times; times(n,
    generator) -> (n,) in (0, 1], in units of path.T; weight: function of the SNR, as in `process.weights`, or None for
    the plain squared error of the target. Times and noise are drawn from `generator`. Returns (scalar
    float32 loss, {"t": (B,), "each": (B,) errors without weight}). Raises ValueError where target, path and weight do
    not fit.
    """
    check_target(target, path)
    t = path.T * times(len(x0), generator)
    eps = normal_like(x0, generator)
    alpha, sigma = path.alpha(t), path.sigma(t)
    out = net(path.mix(x0, eps, t), path.net_time(t).to(x0.device))
    each = (out.float() - to_target(target, x0, eps, alpha, sigma)).square().flatten(1).mean(dim=1)
    weights = 1.0 if weight is None else loss_weight(weight, target, alpha, sigma).to(each)
    return (weights * each).mean(), {"t": t, "each": each.detach()}
