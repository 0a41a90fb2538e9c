"""Paths, a mixture and its exact flow on the straight path: what the tests of chapter 09 share."""

import functools

import torch

from minidiff.evaluation.convergence import order_of_convergence
from minidiff.evaluation.mixture import Mixture
from minidiff.process.continuous import cosine_path, interpolated_path, vp_path
from minidiff.process.flow import flow_path, velocity_of
from minidiff.process.path import Path
from minidiff.process.schedules import alpha_bar_of, linear_betas
from minidiff.samplers.flow import rk4_flow
from minidiff.samplers.step import final_sample

STRAIGHT = flow_path()
VE = Path(lambda t: torch.ones_like(torch.as_tensor(t, dtype=torch.float64)),
          lambda t: torch.as_tensor(t, dtype=torch.float64), 10.0)
PATHS = {"flow": STRAIGHT, "cosine": cosine_path(), "vp": vp_path(),
         "table": interpolated_path(alpha_bar_of(linear_betas())), "ve": VE}
MIXTURE = Mixture([0.3, 0.5, 0.2], [[1.0, 0.5], [-0.8, 0.3], [0.2, -1.0]], [0.25, 0.35, 0.3])


def gen(seed=0):
    return torch.Generator().manual_seed(seed)


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=gen(seed), dtype=torch.float64)


def inner_times(path, n, seed=0):
    """n times of the path, away from its ends."""
    return path.T * (0.05 + 0.9 * torch.rand(n, generator=gen(seed), dtype=torch.float64))


def grid(n, start=1.0):
    return torch.linspace(start, 0, n + 1, dtype=torch.float64)


def exact(path, mixture=MIXTURE):
    """The exact denoiser of the mixture, which is finite at both ends of a path: eps is -sigma times the score."""
    def denoise(x, t):
        alpha, sigma = path.alpha(t), path.sigma(t)
        return mixture.denoise(x, alpha, sigma), -sigma[..., None] * mixture.noised(alpha, sigma).score(x)
    return denoise


def velocity(x, t, path=STRAIGHT):
    """The exact mean velocity of the mixture."""
    t = torch.as_tensor(t, dtype=torch.float64)
    return velocity_of(*exact(path)(x, t), t, path)


@functools.cache
def arrival():
    """100 noises, and where the flow of the mixture on the straight path takes them."""
    x = randn(100, 2, seed=1)
    return x, final_sample(rk4_flow(exact(STRAIGHT), x, grid(2000), STRAIGHT))


def measured_order(walk, steps):
    """The order of a sampler on the straight path, from the median error over the 100 starts."""
    x, end = arrival()
    ends = [final_sample(walk(exact(STRAIGHT), x, grid(n), STRAIGHT)) for n in steps]
    errors = [float((x - end).norm(dim=1).median()) for x in ends]
    return order_of_convergence(steps, errors)
