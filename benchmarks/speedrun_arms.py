"""The arms of speedrun.py: what each one changes, its loss, and its training step by step."""

import copy

import torch
from torch import nn

from minidiff.data.batches import Batches
from minidiff.data.load import load
from minidiff.models.labels import drop_labels
from minidiff.process.edm import f_target
from minidiff.process.flow import FLOW, flow_path
from minidiff.process.forward import expand_like
from minidiff.process.targets import X0, to_target
from minidiff.recipes.mnist_flow import labelled_unet
from minidiff.training.fit import learning_rate, step_generator
from minidiff.training.muon import Muon, muon_split

PATH = flow_path()
TARGETS = {"flow": FLOW, "x0": X0, "F": f_target(0.62)}  # 0.62: the standard deviation of MNIST's pixels
BASE = {"net": {"channels": [24, 48, 96], "blocks": 1, "patch": 2, "width": 96}, "batch": 64, "muon": None,
        "lr": 3e-3, "flat": 0.5, "ema": 0.999, "target": "flow", "weight": "1", "mean": 0.0, "std": 1.0,
        "stratified": False}
MUON = {"muon": 0.02}
ARMS = {
    "base": {},
    "muon": MUON,
    "muon, x0": MUON | {"target": "x0", "stratified": True},
    "muon, F, error of x0": MUON | {"target": "F", "weight": "x0", "stratified": True},
}


def draw_times(n, arm, generator):
    """n logit-normal times, (n,) float32, one in each n-th part of the law where the arm is stratified."""
    u = torch.rand(n, generator=generator, dtype=torch.float64)
    u = ((torch.arange(n) + u) / n if arm["stratified"] else u).clamp(1e-9, 1 - 1e-9)
    return torch.sigmoid(arm["mean"] + arm["std"] * torch.special.ndtri(u)).float()


def loss_of(net, x0, labels, arm, generator):
    """The mean squared error of the arm's target on the straight path, a scalar; one label in ten is dropped.

    The weight "x0" makes it the error of the x0 that the answer stands for: (sigma / d)^2, d the determinant.
    """
    labels = drop_labels(labels, 0.1, 10, generator)
    t, eps = draw_times(len(x0), arm, generator), torch.randn(x0.shape, generator=generator)
    alpha, sigma, target = 1 - t, t, TARGETS[arm["target"]]
    x_t = expand_like(alpha, x0) * x0 + expand_like(sigma, x0) * eps
    out = net(x_t, PATH.net_time(t), label=labels)
    each = (out - to_target(target, x0, eps, alpha, sigma)).square().flatten(1).mean(dim=1)
    if arm["weight"] == "x0":
        each = each * (sigma / (alpha * target.B(alpha, sigma) - sigma * target.A(alpha, sigma))) ** 2
    return each.mean()


class Trainee:
    """A net of an arm in training: its average, its optimisers, and the losses of its steps so far."""

    def __init__(self, arm, seed=0):
        torch.manual_seed(seed)
        self.arm, self.seed, self.losses = arm, seed, []
        net = labelled_unet({"net": arm["net"], "classes": 10, "shape": [1, 28, 28]})
        self.net = net.to(memory_format=torch.channels_last).train()
        self.ema = copy.deepcopy(self.net).eval().requires_grad_(False)
        matrices, rest = muon_split(self.net) if arm["muon"] else ([], list(self.net.parameters()))
        self.optimizers = [torch.optim.AdamW(rest, arm["lr"], weight_decay=0.0, fused=True)]
        if matrices:
            self.optimizers.append(Muon(matrices, arm["muon"]))
        self.peaks = [optimizer.param_groups[0]["lr"] for optimizer in self.optimizers]
        self.images, self.labels = load("mnist", "train")
        self.batches = Batches(torch.arange(len(self.images)), arm["batch"], seed)

    def step(self, progress=0.0):
        """One training step, with the learning rate of this fraction of the run."""
        i, chosen = len(self.losses), self.batches.at(len(self.losses))
        for optimizer, peak in zip(self.optimizers, self.peaks, strict=True):
            optimizer.param_groups[0]["lr"] = learning_rate(progress, i, peak, flat=self.arm["flat"])
        self.net.zero_grad(set_to_none=True)
        loss = loss_of(self.net, self.images[chosen], self.labels[chosen], self.arm, step_generator(self.seed, i))
        loss.backward()
        nn.utils.clip_grad_norm_(self.net.parameters(), 1.0, foreach=True)
        for optimizer in self.optimizers:
            optimizer.step()
        with torch.no_grad():
            decay = min(self.arm["ema"], (1 + i) / (10 + i))
            torch._foreach_lerp_(list(self.ema.parameters()), list(self.net.parameters()), 1 - decay)
        self.losses.append(loss.item())

    def state(self):
        """All that a run goes on from."""
        return {"losses": self.losses, "net": self.net.state_dict(), "ema": self.ema.state_dict(),
                "optimizers": [optimizer.state_dict() for optimizer in self.optimizers]}

    def go_on_from(self, state):
        """Continue the run whose `state` this was."""
        self.losses = state["losses"]
        self.net.load_state_dict(state["net"])
        self.ema.load_state_dict(state["ema"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
