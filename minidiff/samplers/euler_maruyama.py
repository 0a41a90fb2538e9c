"""Euler and Maruyama's method for the reverse SDE: the plainest way to walk back in continuous time."""

import torch

from minidiff.process.sde import drift_and_diffusion, reverse_sde_drift


@torch.no_grad()
def euler_maruyama(denoiser, x, times, path, generator):
    """x_s = x - (t - s) drift + sqrt((t - s) g^2) z along a grid (Song et al. 2021, SDE, section 4.1).

    denoiser: (x, t) -> (x0, eps); x: (B, ...) noise at times[0]; times: real and decreasing, in the time of `path`,
    alpha(times[0]) > 0. Yields (s, x_s, x0) after each step. A step to clean data (sigma = 0) draws nothing and goes to
    the denoiser's x0, as the drift of its last stretch would only approach it.
    """
    for t, s in zip(times[:-1], times[1:], strict=True):
        x0, eps = denoiser(x, t)
        if path.sigma(s) == 0:
            x = x0
        else:
            _, g2 = drift_and_diffusion(path, t)
            z = torch.randn(x.shape, generator=generator, dtype=x.dtype).to(x.device)
            x = x - float(t - s) * reverse_sde_drift(eps, x, t, path) + float(((t - s) * g2).sqrt()) * z
        yield s.item(), x, x0
