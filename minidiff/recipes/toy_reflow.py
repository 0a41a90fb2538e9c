"""toy-reflow: a small network learns the flow of four islands once more, from the pairs that a flow itself makes."""

from dataclasses import replace

import torch

from minidiff.evaluation.convergence import mixture_denoiser
from minidiff.evaluation.mixture import Mixture
from minidiff.models.mlp import MLP
from minidiff.process.denoiser import denoiser_of
from minidiff.process.flow import FLOW, cfm_loss, flow_path
from minidiff.recipes.recipe import Draw, Recipe
from minidiff.samplers.flow import EULER_FLOW, heun_flow
from minidiff.samplers.reflow import reflow_pairs

ISLANDS = Mixture([0.1, 0.2, 0.3, 0.4], [[1.0, 1.0], [-1.0, 0.9], [-0.9, -1.0], [0.9, -0.9]], [0.15, 0.2, 0.2, 0.25])
SMALL = {"net": {}, "batch": 1024, "fit": {"lr": 8e-3}}


def pairs_of(teacher, config):
    """{"x0": (N, 2), "eps": (N, 2)}: where a flow begins and ends, by 64 steps of Heun's method."""
    generator, times = torch.Generator().manual_seed(config["seed"]), torch.linspace(1, 0, 65, dtype=torch.float64)
    x0, eps = reflow_pairs(teacher, (config["pairs"], 2), times, flow_path(), generator, heun_flow, config["pairs"])
    return {"x0": x0.float(), "eps": eps.float()}, {"data": "islands"}


def pairs_loss(net, batch, generator):
    """The flow-matching loss of pairs of a point and the noise that belongs to it, at uniform times."""
    path = flow_path()
    t = torch.rand(len(batch["x0"]), generator=generator, dtype=torch.float64)
    return cfm_loss(lambda x, t: net(x, path.net_time(t).to(x.device)), batch["x0"], t, batch["eps"], path), {}


def draw(config):
    """By one step of Euler's method: after reflow the flow is nearly straight."""
    return Draw(flow_path(), lambda net, path: denoiser_of(net, path, FLOW), (2,), EULER_FLOW, steps=1, clip=False)


def taught_by(teacher):
    """The recipe whose pairs the flow of `teacher` makes, a denoiser on the straight path."""
    return replace(RECIPE, data=lambda config: pairs_of(teacher, config), config=RECIPE.config | {"teacher": "given"})


RECIPE = Recipe(
    name="toy-reflow", data=lambda config: pairs_of(mixture_denoiser(ISLANDS, flow_path()), config),
    net=lambda config: MLP(), loss=lambda config: pairs_loss, draw=draw, presets={"cpu": SMALL, "cuda": SMALL},
    config={"pairs": 20_000, "teacher": "exact"})
