"""Euler and Maruyama's method for the reverse SDE: the plainest way to walk back in continuous time."""

import torch

from minidiff.process.noise import normal_like
from minidiff.process.sde import drift_and_diffusion, reverse_drift


@torch.no_grad()
def euler_maruyama(denoiser, x, times, path, eta=1.0, generator=None):
    """x_s = x - (t - s) drift + eta sqrt((t - s) g^2) z along a grid (Song et al. 2021, SDE, section 4.1, for eta = 1).

    denoiser: (x, t) -> (x0, eps); x: (B, ...) noise at times[0]; times: real and decreasing, in the time of `path`,
    alpha(times[0]) > 0; eta: 1 for the reverse SDE, 0 for the ODE, which draws nothing. Yields (s, x_s, x0) after each
    step. A step to clean data (sigma = 0) goes to the denoiser's x0 without noise.
    """
    for t, s in zip(times[:-1], times[1:], strict=True):
        x0, eps = denoiser(x, t)
        if path.sigma(s) == 0:
            x = x0
        else:
            x = x - float(t - s) * reverse_drift(eps, x, t, path, eta)
            if eta > 0:
                _, g2 = drift_and_diffusion(path, t)
                z = normal_like(x, generator)
                x = x + eta * float(((t - s) * g2).sqrt()) * z
        yield s.item(), x, x0
