"""The blocks that Stable Diffusion's two nets share: a residual block that the time is added to, and normalisation."""

import torch.nn.functional as F
from torch import nn

from minidiff.models.layers import Attention2d, GroupNorm

GROUPS = 32  # of every normalisation in Stable Diffusion


class AddedTimeBlock(nn.Module):
    """Two 3x3 convolutions beside an identity; the time is added between them (Rombach et al. 2022, released code).

    in_channels -> channels at the same resolution; width: length of the time vector, or None for a block that is told
    no time; eps: of the normalisations. Chapter 04's block scales and shifts instead.
    forward(h (B, in_channels, H, W), vector (B, width) or None) -> (B, channels, H, W).
    """

    def __init__(self, in_channels, channels, width=None, eps=1e-5):
        super().__init__()
        self.norm1, self.norm2 = GroupNorm(GROUPS, in_channels, eps), GroupNorm(GROUPS, channels, eps)
        self.conv1 = nn.Conv2d(in_channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.time = nn.Linear(width, channels) if width else None
        self.skip = nn.Conv2d(in_channels, channels, 1) if in_channels != channels else nn.Identity()

    def forward(self, h, vector=None):
        out = self.conv1(F.silu(self.norm1(h)))
        if self.time is not None:
            out = out + self.time(F.silu(vector))[:, :, None, None]
        return self.skip(h) + self.conv2(F.silu(self.norm2(out)))


def attention_of_one_head(channels, eps=1e-6):
    """Chapter 04's attention with one head and Stable Diffusion's normalisation: (B, channels, H, W) -> the same."""
    layer = Attention2d(channels, heads=1, groups=GROUPS)
    layer.norm.eps = eps
    return layer
