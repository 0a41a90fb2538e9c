"""A net for vectors that are told a vector: the prior of unCLIP, from what a text says to what a picture shows."""

import torch
import torch.nn.functional as F
from torch import nn

from minidiff.models.embedding import Embedding
from minidiff.models.layers import zero_init


class Prior(nn.Module):
    """Residual layers on a vector, each scaled and shifted by the time and the text: net(x (B, dim), t, text=(B, dim)).

    The answer has the shape of x. width: of the layers; depth: how many; t: () or (B,), on the scale 0..1000. A text of
    zeros says "none". (Ramesh et al. 2022, unCLIP, section 2.2, use a causal transformer over text, time and picture;
    with one vector for each, an MLP sees as much.)
    """

    def __init__(self, dim, width=384, depth=3, dropout=0.0):
        super().__init__()
        self.embed = Embedding(width)
        self.embed.extra["text"] = nn.Linear(dim, width)
        self.first = nn.Linear(dim, width)
        self.layers = nn.ModuleList(Layer(width, dropout) for _ in range(depth))
        self.norm, self.last = nn.LayerNorm(width), zero_init(nn.Linear(width, dim))

    def forward(self, x, t, text):
        vector = self.embed(torch.as_tensor(t, device=x.device).expand(len(x)), text=text)
        h = self.first(x)
        for layer in self.layers:
            h = layer(h, vector)
        return self.last(self.norm(h))


class Layer(nn.Module):
    """An MLP beside an identity, scaled and shifted by a vector: forward(h, vector) -> as h, all (B, width)."""

    def __init__(self, width, dropout):
        super().__init__()
        self.norm, self.told = nn.LayerNorm(width), nn.Linear(width, 2 * width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.SiLU(), nn.Dropout(dropout),
                                 zero_init(nn.Linear(2 * width, width)))

    def forward(self, h, vector):
        scale, shift = self.told(F.silu(vector)).chunk(2, dim=1)
        return h + self.mlp(self.norm(h) * (1 + scale) + shift)
