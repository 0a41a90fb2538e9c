"""toy-reflow: a small network learns the flow of four islands once more, from the pairs that a flow itself makes."""

import torch

from minidiff.data.batches import Batches
from minidiff.evaluation.convergence import mixture_denoiser
from minidiff.evaluation.mixture import Mixture
from minidiff.models.mlp import MLP
from minidiff.process.denoiser import denoiser_of
from minidiff.process.flow import FLOW, cfm_loss, flow_path
from minidiff.recipes.run import Run
from minidiff.samplers.flow import heun_flow
from minidiff.samplers.reflow import reflow_pairs
from minidiff.training.checkpoint import load_checkpoint, load_weights
from minidiff.training.errors import CheckpointError

PRESETS = {"cpu": {"batch": 1024, "pairs": 20_000, "fit": {"lr": 8e-3}}}
PRESETS["cuda"] = PRESETS["cpu"]
ISLANDS = Mixture([0.1, 0.2, 0.3, 0.4], [[1.0, 1.0], [-1.0, 0.9], [-0.9, -1.0], [0.9, -0.9]], [0.15, 0.2, 0.2, 0.25])


def build(preset="cpu", data="islands", seed=0, rank=0, world=1, teacher=None):
    """The run `toy-reflow`, whose rows (x0, eps) are where a flow begins and ends: batches of (B, 4).

    teacher: the denoiser on the straight path whose flow makes the pairs, by 64 steps of Heun's method; default: the
    exact one of ISLANDS. `data` is a name that all recipes take; here the points are always those of ISLANDS.
    """
    chosen, path = PRESETS[preset], flow_path()
    generator, times = torch.Generator().manual_seed(seed), torch.linspace(1, 0, 65, dtype=torch.float64)
    pairs = reflow_pairs(teacher or mixture_denoiser(ISLANDS, path), (chosen["pairs"], 2), times, path, generator,
                         walk=heun_flow, batch=chosen["pairs"])
    torch.manual_seed(seed)
    config = {"recipe": "toy-reflow", "preset": preset, "data": "islands", "seed": seed, "batch": chosen["batch"],
             "pairs": chosen["pairs"], "target": "flow", "teacher": "given" if teacher else "exact"}
    batches = Batches(torch.cat(pairs, dim=1).float(), chosen["batch"], seed, rank, world)
    return Run(MLP(), pairs_loss, batches.at, chosen["fit"] | {"seed": seed}, config)


def pairs_loss(net, rows, generator):
    """The flow-matching loss of rows (B, 4), a point and the noise that belongs to it, at uniform times."""
    path = flow_path()
    t = torch.rand(len(rows), generator=generator, dtype=torch.float64)
    return cfm_loss(lambda x, t: net(x, path.net_time(t).to(x.device)), rows[:, :2], t, rows[:, 2:], path), {}


def denoiser(net):
    """The denoiser of a trained net on the straight path: what samplers walk with, and the next teacher."""
    return denoiser_of(net, flow_path(), FLOW)


def load(checkpoint):
    """Read a trained net: (net, path, target, config). Raises CheckpointError when the file is not of this recipe."""
    tensors, config = load_checkpoint(checkpoint)
    if config.get("recipe") != "toy-reflow":
        raise CheckpointError(f"{checkpoint} is not a model of the recipe toy-reflow")
    net = load_weights(MLP(), tensors, checkpoint)
    return net.eval().requires_grad_(False), flow_path(), FLOW, config
