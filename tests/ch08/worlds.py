"""What the tests of chapter 08 share: a mixture whose flow is known, paths, all solvers by name, and counters."""

import functools
import math
from functools import partial

import torch

from minidiff.evaluation.convergence import exact_flow, mixture_denoiser
from minidiff.evaluation.mixture import Mixture
from minidiff.process.continuous import time_of, vp_path
from minidiff.process.edm import ve_path
from minidiff.samplers.heun import heun
from minidiff.samplers.lms import lms, plms
from minidiff.samplers.multistep import multistep
from minidiff.samplers.singlestep import singlestep
from minidiff.samplers.stochastic import churn, dpmpp_2m_sde
from minidiff.samplers.unipc import unipc

MIXTURE = Mixture([0.5, 0.3, 0.2], [[1.0, 0.5], [-1.0, 0.2], [0.1, -1.0]], [0.3, 0.2, 0.25])
PATHS = {"ve": ve_path(10.0), "vp": vp_path()}
NOISY, CLEAN = 10.0, 0.02  # noise over picture at the first and the last time

SOLVERS = {
    **{f"{name}-{order}{form}": partial(solver, order=order, form=form) for order in (1, 2, 3) for form in ("x0", "eps")
       for name, solver in (("multistep", multistep), ("singlestep", singlestep))},
    "multistep-3x0 published": partial(multistep, order=3, published=True),
    "multistep-3eps published": partial(multistep, order=3, form="eps", published=True),
    **{f"unipc-{order}": partial(unipc, order=order) for order in (1, 2, 3)},
    **{f"lms-{order}": partial(lms, order=order) for order in (1, 2, 3, 4)},
    "heun": heun, "plms": plms,
}
STOCHASTIC = {"churn": churn, "2m sde": dpmpp_2m_sde}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=1, dtype=torch.float64):
    return torch.randn(*shape, generator=generator(seed), dtype=dtype)


@functools.cache
def ends(name):
    """The times of a path at which noise over picture is NOISY and CLEAN."""
    return tuple(time_of(PATHS[name], -math.log(level)) for level in (NOISY, CLEAN))


@functools.cache
def start(name, n=200):
    """n points of the noised mixture at the first time: (n, 2)."""
    path, (t, _) = PATHS[name], ends(name)
    return MIXTURE.noised(path.alpha(t), path.sigma(t)).sample(n, generator())


@functools.cache
def arrival(name):
    """Where the exact flow takes the points of `start`, to 1e-9: (n, 2)."""
    return exact_flow(MIXTURE, start(name), PATHS[name], *ends(name), steps=1000)


class Counter:
    """The exact denoiser of the mixture; counts how often it is asked, and notes when."""

    def __init__(self, path):
        self.denoise, self.times = mixture_denoiser(MIXTURE, path), []

    def __call__(self, x, t):
        self.times.append(float(t))
        return self.denoise(x, torch.as_tensor(t))
