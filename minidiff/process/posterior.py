"""The step back that Bayes' rule gives when the picture is known: q(x_s | x_t, x0)."""

import torch

from minidiff.process.forward import expand_like


def posterior_variance(t, alpha_bar, s=None):
    """Variance of q(x_s | x_t, x0), for s = t - 1 or any earlier s (Ho et al. 2020, eq. 7).

    t, s: int, () or (B,), with 0 <= s < t <= T; alpha_bar: (T + 1,). Returns float64 of the shape of t; exactly 0 at
    s = 0, because alpha_bar[0] = 1. Raises ValueError for an s that is not earlier than t, or negative.
    """
    s = t - 1 if s is None else s
    if not torch.as_tensor((s >= 0) & (s < t)).all():
        raise ValueError(f"a step back goes from t to an earlier s >= 0, got t = {t}, s = {s}")
    a_t, a_s = alpha_bar[t], alpha_bar[s]
    return (1 - a_s) / (1 - a_t) * (1 - a_t / a_s)


def posterior(x_t, x0, t, alpha_bar, s=None):
    """Mean and variance of q(x_s | x_t, x0), for s = t - 1 or any earlier s (Ho et al. 2020, eqs. 6 and 7).

    x_t, x0: (B, ...); t, s: int, () or (B,), with 0 <= s < t <= T; alpha_bar: (T + 1,).
    Returns the mean with the shape of x_t, and the variance as float64 with the shape of t. Raises ValueError for an s
    that is not earlier than t, or negative.
    """
    variance = posterior_variance(t, alpha_bar, s)
    a_t, a_s = alpha_bar[t], alpha_bar[t - 1 if s is None else s]
    weight_x0 = a_s.sqrt() * (1 - a_t / a_s) / (1 - a_t)
    weight_x_t = (a_t / a_s).sqrt() * (1 - a_s) / (1 - a_t)
    return expand_like(weight_x0, x0) * x0 + expand_like(weight_x_t, x_t) * x_t, variance
