"""What the tests of chapter 07 share: a mixture whose flow is known, paths, and the places where DDIM should arrive."""

import functools
import math

import torch

from minidiff.evaluation.convergence import exact_flow
from minidiff.evaluation.mixture import Mixture
from minidiff.process.continuous import cosine_path, time_of, vp_path
from minidiff.process.path import Path

MIXTURE = Mixture([0.5, 0.3, 0.2], [[1.0, 0.5], [-1.0, 0.2], [0.1, -1.0]], [0.3, 0.2, 0.25])
VE = Path(lambda t: torch.ones_like(torch.as_tensor(t)), lambda t: torch.as_tensor(t), 10.0)
PATHS = {"ve": VE, "vp": vp_path(), "cosine": cosine_path()}
STEPS = 400  # of RK4, for an error of 2e-8
FROM, TO = -math.log(10), -math.log(0.02)  # in lambda: noise over picture falls from 10 to 0.02


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=1):
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


def times_of(name, n, start=FROM, end=TO):
    """n steps of equal width in lambda, in the time of a path: (n + 1,) float64, decreasing."""
    lam = torch.linspace(start, end, n + 1, dtype=torch.float64)
    return (-lam).exp() if name == "ve" else time_of(PATHS[name], lam)


@functools.cache
def start(name, n=400):
    """n points of the noised mixture at the first time of a path's grids: (n, 2)."""
    path, (t, _) = PATHS[name], times_of(name, 1)
    return MIXTURE.noised(path.alpha(t), path.sigma(t)).sample(n, generator())


@functools.cache
def arrival(name):
    """Where the exact flow takes the points of `start`: (n, 2)."""
    return exact_flow(MIXTURE, start(name), PATHS[name], *times_of(name, 1), steps=STEPS)


def gaussian_denoiser(path, mean, variance):
    """The exact denoiser of x0 ~ N(mean, variance), every number on its own: (x, t) -> (x0, eps)."""
    def denoise(x, t):
        alpha, sigma = path.alpha(t), path.sigma(t)
        x0 = mean + alpha * variance / (alpha**2 * variance + sigma**2) * (x - alpha * mean)
        return x0, (x - alpha * x0) / sigma
    return denoise
