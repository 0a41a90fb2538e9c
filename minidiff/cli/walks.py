"""Walks from noise to pictures, by name: any trained net, any sampler, any number of evaluations of the net."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import ModuleType

import torch

from minidiff.cli.options import model_file, recipe
from minidiff.process.continuous import interpolated_path, lambda_of, time_of
from minidiff.process.denoiser import denoiser_of
from minidiff.process.path import Path
from minidiff.process.targets import Target
from minidiff.samplers.ddim import ddim
from minidiff.samplers.flow import euler_flow, heun_flow
from minidiff.samplers.heun import heun
from minidiff.samplers.lambda_grids import karras_grid, lambda_grid
from minidiff.samplers.lms import lms, plms
from minidiff.samplers.multistep import multistep
from minidiff.samplers.singlestep import singlestep
from minidiff.samplers.step import final_sample
from minidiff.samplers.stochastic import churn, dpmpp_2m_sde
from minidiff.samplers.unipc import unipc
from minidiff.training.checkpoint import load_checkpoint
from minidiff.training.errors import CheckpointError


@dataclass(frozen=True)
class Walk:
    """A sampler (denoiser, x, times, path) -> steps, n of which take each * n + more evaluations of the net."""

    run: Callable
    each: int = 1
    more: int = 0
    draws: bool = False  # noise on the way: it takes a generator, too

    def steps(self, evaluations):
        """The number of steps that so many evaluations pay for. Raises ValueError when there is none."""
        n = (evaluations - self.more) // self.each
        if n < 1:
            raise ValueError(f"one step takes {self.each + self.more} evaluations of the net, got {evaluations}")
        return n


WALKS = {
    "ancestral": Walk(partial(ddim, eta=1.0), draws=True),
    "ddim": Walk(ddim),
    "heun": Walk(heun, 2, -1),
    "lms": Walk(lms),
    "plms": Walk(plms, 1, 1),
    "dpm_2": Walk(partial(singlestep, order=2, form="eps"), 2, -1),
    "dpm_3": Walk(partial(singlestep, order=3, form="eps"), 3, -2),
    "dpmpp_2m": Walk(partial(multistep, order=2)),
    "dpmpp_3m": Walk(partial(multistep, order=3)),
    "unipc": Walk(unipc),
    "churn": Walk(churn, 2, -1, draws=True),
    "dpmpp_2m_sde": Walk(dpmpp_2m_sde, draws=True),
    "euler_flow": Walk(euler_flow),
    "heun_flow": Walk(heun_flow, 2, -1),
}
GRIDS = ("time", "lambda", "karras")


@dataclass(frozen=True)
class Trained:
    """A trained net, the recipe that made it, and the path, target and words that belong to it."""

    recipe: ModuleType
    net: torch.nn.Module
    path: Path
    target: Target
    config: dict


def trained(checkpoint, device="cpu"):
    """The trained net in a file or a training folder, whatever recipe made it. Raises CheckpointError."""
    file = model_file(checkpoint)
    name = load_checkpoint(file)[1].get("recipe")
    try:
        module = recipe(name)
    except ValueError:
        raise CheckpointError(f"{file} is of the recipe {name!r}, which this course does not have") from None
    if not hasattr(module, "sample"):
        raise CheckpointError(f"{file} is a model of the recipe {name}, which draws no pictures")
    net, *rest = module.load(file)
    return Trained(module, net.to(device), *rest)


def walk_named(name):
    """The walk called `name`. Raises ValueError with the known names."""
    if name not in WALKS:
        raise ValueError(f"there is no sampler {name!r}; there are {', '.join(WALKS)}")
    return WALKS[name]


def grid_of(path, n, kind="time"):
    """n + 1 decreasing real times of a path: even in time, in lambda, or in Karras' root of the noise; the last is 0.

    The first is T, or, on a path that ends without any picture, the time at which sigma / alpha = 1000. Grids that
    crowd near clean data stop at sigma / alpha = 1 / 100 before they step to 0.
    """
    end = torch.tensor(float(path.T), dtype=torch.float64)
    first = end if lambda_of(path, end) > -math.log(1000) else time_of(path, -math.log(1000))
    if kind == "time":
        return torch.linspace(float(first), 0, n + 1, dtype=torch.float64)
    return {"lambda": lambda_grid, "karras": karras_grid}[kind](path, n, first, time_of(path, math.log(100)))


def draw(model, n, sampler, evaluations, seed=0, device="cpu", grid="time", batch=250, progress=None):
    """n pictures (n, 1, 28, 28) in [-1, 1] on the CPU by a named walk; with labels 0, 1, ..., 9 in turn where known.

    The same seed gives the same starting noise for every sampler. progress: a callable around the batches (tqdm), or
    None. Raises ValueError on a bad argument.
    """
    walk, (path, denoiser) = walk_named(sampler), in_real_time(model)
    times = grid_of(path, walk.steps(evaluations), grid)
    generator = torch.Generator().manual_seed(seed)
    starts = float(path.sigma(times[0])) * torch.randn(n, 1, 28, 28, generator=generator)
    more = {"generator": generator} if walk.draws else {}
    pictures = []
    for x, label in (progress or iter)(list(zip(starts.split(batch), (torch.arange(n) % 10).split(batch)))):
        cond = {"label": label.to(device)} if "label" in model.net.embed.extra else {}
        pictures.append(final_sample(walk.run(partial(denoiser, **cond), x.to(device), times, path, **more)).cpu())
    return torch.cat(pictures).clamp(-1, 1)


def in_real_time(model):
    """The path and the denoiser of a trained net at all real times: the recipe's own denoiser, where it has one."""
    path = model.path
    if isinstance(path.T, int):  # a table of steps
        path = interpolated_path(path.alpha(torch.arange(path.T + 1)) ** 2)
    own = getattr(model.recipe, "denoiser", None)
    return path, own(model.net) if own else denoiser_of(model.net, path, model.target, clip=(-1, 1))
