"""DDIM: one family of walks, from the ancestral one (eta = 1) to an ODE (eta = 0), and the ODE walked upwards."""

import math

import torch

from minidiff.samplers.ancestral import ancestral
from minidiff.samplers.sampler import Sampler


def ddim(denoiser, x, times, path, eta=0.0, generator=None):
    """Walk from noise to a picture by the steps of the non-Markov family (Song et al. 2021, DDIM, eq. 12).

    denoiser: (x, t) -> (x0, eps); x: (B, ...) noise at times[0]; times: (N + 1,), decreasing, steps of a table or real
    times, as `path` takes them; eta in [0, 1], or any value that keeps the new noise below sigma_s: 0 is the ODE and
    draws nothing, 1 is ancestral sampling. Yields (s, x_s, x0) after each step from t to s; the last x_s is the sample.
    """
    return ancestral(denoiser, x, times, path, generator, eta)


DDIM = Sampler(ddim)


@torch.no_grad()
def invert(denoiser, x, times, path):
    """Walk from a picture to the noise that DDIM would make it from: Euler's steps in (x / alpha, sigma / alpha), up.

    Arguments as for `ddim`, but x (B, ...) is a picture at times[0] and times increase; alpha(times[-1]) > 0. The
    denoiser is asked where the walk stands, or, where that is clean and holds no noise (sigma = 0), at the time of
    arrival. Yields (t, x_t, eps) after each step from s to t; walking back down returns to x up to an error of order
    1 / N.
    """
    for s, t in zip(times[:-1], times[1:], strict=True):
        alpha_s, sigma_s, alpha_t, sigma_t = path.alpha(s), path.sigma(s), path.alpha(t), path.sigma(t)
        _, eps = denoiser(x, s if sigma_s > 0 else t)
        x = float(alpha_t / alpha_s) * x + float(sigma_t - alpha_t / alpha_s * sigma_s) * eps
        yield t.item(), x, eps


def slerp(a, b, share):
    """The point of the arc from a to b that has gone `share` of the angle (Song et al. 2021, DDIM, appendix D.5).

    a, b: two noises of one shape; share: 0 gives a, 1 gives b. In between it has the length of noise, which a straight
    line has not. Raises ValueError for parallel a and b, between which there is no one arc.
    """
    cosine = float((a * b).sum() / (a.norm() * b.norm()))
    if abs(cosine) > 1 - 1e-6:
        raise ValueError(f"a and b must not be parallel, the cosine of their angle is {cosine:.6g}")
    angle = math.acos(cosine)
    return math.sin((1 - share) * angle) / math.sin(angle) * a + math.sin(share * angle) / math.sin(angle) * b
