"""The blocks of a U-Net: normalisation, residual block, attention, and the two ways to change the resolution."""

import torch
import torch.nn.functional as F
from torch import nn


def zero_init(layer):
    """Set a layer's weights and bias to zero and return it: the branch that it ends starts as nothing."""
    for p in layer.parameters():
        nn.init.zeros_(p)
    return layer


class GroupNorm(nn.GroupNorm):
    """Group normalisation that computes in the precision of its weights, under autocast too (Wu and He 2018, eq. 7)."""

    def forward(self, x):
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x.to(self.weight.dtype)).to(x.dtype)


class ResBlock(nn.Module):
    """Two 3x3 convolutions beside an identity; the time scales and shifts what is between them.

    in_channels -> channels at the same resolution; width: length of the time vector. The last convolution starts at
    zero, so a new block is the identity (or its 1x1 convolution, where the channels change).
    forward(x (B, in_channels, H, W), vector (B, width)) -> (B, channels, H, W).
    (Ho et al. 2020, appendix B; scale and shift: Nichol and Dhariwal 2021.)
    """

    def __init__(self, in_channels, channels, width, dropout=0.0, groups=8):
        super().__init__()
        self.norm1 = GroupNorm(groups, in_channels)
        self.conv1 = nn.Conv2d(in_channels, channels, 3, padding=1)
        self.time = nn.Linear(width, 2 * channels)
        self.norm2 = GroupNorm(groups, channels)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = zero_init(nn.Conv2d(channels, channels, 3, padding=1))
        self.skip = nn.Conv2d(in_channels, channels, 1) if in_channels != channels else nn.Identity()

    def forward(self, x, vector):
        h = self.conv1(F.silu(self.norm1(x)))
        scale, shift = self.time(F.silu(vector))[:, :, None, None].chunk(2, dim=1)
        h = self.norm2(h) * (1 + scale) + shift
        return self.skip(x) + self.conv2(self.dropout(F.silu(h)))


class Attention2d(nn.Module):
    """Self-attention between the positions of an image (Vaswani et al. 2017, eq. 1; in diffusion: Ho et al. 2020).

    forward(x (B, C, H, W), context) -> (B, C, H, W); `context` is passed by the U-Net to every attention layer, and
    this one does not read it. The output projection starts at zero, so a new layer is the identity.
    """

    def __init__(self, channels, heads=4, groups=8):
        super().__init__()
        if channels % heads:
            raise ValueError(f"channels must be a multiple of heads, got {channels} and {heads}")
        self.heads = heads
        self.norm = GroupNorm(groups, channels)
        self.q, self.k, self.v = (nn.Linear(channels, channels) for _ in range(3))
        self.o = zero_init(nn.Linear(channels, channels))

    def forward(self, x, context=None):
        B, C, H, W = x.shape
        tokens = self.norm(x).flatten(2).transpose(1, 2)  # (B, H W, C)
        q, k, v = (f(tokens).view(B, H * W, self.heads, -1).transpose(1, 2) for f in (self.q, self.k, self.v))
        mixed = F.scaled_dot_product_attention(q, k, v)
        mixed = mixed.transpose(1, 2).reshape(B, H * W, C)
        return x + self.o(mixed).transpose(1, 2).reshape(B, C, H, W)


class Downsample(nn.Module):
    """Halve the resolution with a 3x3 convolution of stride 2: (B, C, H, W) -> (B, C, ceil(H/2), ceil(W/2))."""

    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, x):
        return self.conv(x)


class Upsample(nn.Module):
    """Double the resolution: repeat each pixel, then a 3x3 convolution. forward(x, size) crops to an odd size."""

    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x, size):
        return self.conv(F.interpolate(x, size=size, mode="nearest"))
