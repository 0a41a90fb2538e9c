"""Where the flow of Gaussian data takes a point, in closed form: the exact map between any two times of any path."""

import torch

from minidiff.process.forward import expand_like


def gaussian_flow_map(gaussian, x, t, s, path):
    """The point at time s on the flow through x at time t: alpha_s m + (S_s / S_t) (x - alpha_t m).

    S^2 = alpha^2 v + sigma^2 is the variance of x_t; a map between any two times is what Boffi et al. 2024 (Flow map
    matching) train a network to be. gaussian: an `evaluation.gaussian.Gaussian` of mean m and variance v; x: (B, ...)
    at t; t, s: () or (B,), in either order. Every point keeps its distance from the mean, counted in standard
    deviations. Returns the shape of x, float64.
    """
    x = x.double()
    (centre_t, spread_t), (centre_s, spread_s) = (_moments(gaussian, x, u, path) for u in (t, s))
    return centre_s + spread_s / spread_t * (x - centre_t)


def _moments(gaussian, x, t, path):
    t = torch.as_tensor(t, dtype=torch.float64)
    alpha, sigma = expand_like(path.alpha(t), x), expand_like(path.sigma(t), x)
    return alpha * gaussian.mean, (alpha**2 * gaussian.variance + sigma**2).sqrt()
