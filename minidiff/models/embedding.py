"""Telling a network the time: sinusoids, then a small MLP."""

import math

import torch
from torch import nn


def sin_embed(t, dim, max_period=10_000.0):
    """Sinusoids of geometrically falling frequency, cosines first (Vaswani et al. 2017, section 3.5).

    t: () or (B,), on the scale 0..1000; dim: even, else ValueError. Returns (B, dim) or (dim,) float32: cos and sin of
    t f_i with f_i = max_period^(-i / (dim / 2)). Always float32: in bfloat16 the steps 999 and 1000 are the same.
    """
    if dim % 2:
        raise ValueError(f"dim must be even, half cosines and half sines, got {dim}")
    i = torch.arange(dim // 2, dtype=torch.float32, device=t.device)
    angles = t.float()[..., None] * torch.exp(-math.log(max_period) * i / (dim // 2))
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


class Embedding(nn.Module):
    """The time, and whatever else a later chapter adds, as one vector: embed(t) + sum of embed_k(cond[k]).

    width: length of the vector. `extra` is an nn.ModuleDict that starts empty; each entry maps one keyword of
    `net(x, t, **cond)` to a (B, width) tensor, and has to be given: a condition left out would change the answer.
    """

    def __init__(self, width, frequencies=64):
        super().__init__()
        self.frequencies = frequencies
        self.mlp = nn.Sequential(nn.Linear(frequencies, width), nn.SiLU(), nn.Linear(width, width))
        self.extra = nn.ModuleDict()

    def forward(self, t, **cond):
        if cond.keys() != self.extra.keys():
            raise TypeError(f"this network takes the conditions {sorted(self.extra)}, got {sorted(cond)}")
        with torch.autocast(t.device.type, enabled=False):  # 999 and 1000 must stay two numbers
            vector = self.mlp(sin_embed(t, self.frequencies).to(self.mlp[0].weight.dtype))
        return vector + sum(self.extra[name](value) for name, value in cond.items())
