"""A small network for points: a multilayer perceptron that is also told the time."""

import math

import torch
from torch import nn


class MLP(nn.Module):
    """A function of a point and a time: net(x (B, D), t (B,) on the scale 0..1000) -> (B, D).

    The time enters as `waves` cosines and sines of sqrt(t / 1000): half a period over the whole range, one period, two,
    and so on. The root spreads the early times, where the most happens. Raises ValueError on points of another width,
    TypeError on a condition given by keyword: this network knows none.
    """

    def __init__(self, dim=2, width=64, waves=2):
        super().__init__()
        self.dim = dim
        self.register_buffer("frequencies", math.pi * 2.0 ** torch.arange(waves))
        self.layers = nn.Sequential(
            nn.Linear(dim + 2 * waves, width), nn.SiLU(),
            nn.Linear(width, width), nn.SiLU(),
            nn.Linear(width, width), nn.SiLU(),
            nn.Linear(width, dim))

    def forward(self, x, t, **cond):
        if cond:
            raise TypeError(f"this network takes no condition, got {sorted(cond)}")
        if x.ndim != 2 or x.shape[1] != self.dim:
            raise ValueError(f"x must be points of shape (B, {self.dim}), got {tuple(x.shape)}")
        angles = (t.float() / 1000).sqrt().expand(len(x))[:, None] * self.frequencies
        return self.layers(torch.cat([x, angles.cos(), angles.sin()], dim=1))
