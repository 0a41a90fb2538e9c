"""CLIP in small: a tower for pictures and one for texts, which meet in one space of unit vectors."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from minidiff.models.layers import GroupNorm, zero_init
from minidiff.models.text_encoder import pool_last, pool_mean

FIRST, MOST = 1 / 0.07, 100.0  # the scale of the cosines at the start, and at most (Radford et al. 2021, section 2.5)


class Block(nn.Module):
    """Two 3x3 convolutions beside an identity: (B, C, H, W) -> (B, C, H, W); the identity where it starts."""

    def __init__(self, channels):
        super().__init__()
        self.norm1, self.norm2 = GroupNorm(8, channels), GroupNorm(8, channels)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = zero_init(nn.Conv2d(channels, channels, 3, padding=1))

    def forward(self, x):
        return x + self.conv2(F.silu(self.norm2(self.conv1(F.silu(self.norm1(x))))))


class PictureEncoder(nn.Module):
    """A small convolutional net: pictures (B, image_channels, size, size) -> (B, dim).

    channels: widths of the levels, the first at half the resolution (each 2x2 square is folded into channels), each
    further one at half of the one before; what is left is read place by place, so that left and right stay apart.
    """

    def __init__(self, dim, channels=(48, 96, 192), image_channels=3, size=32, dropout=0.0):
        super().__init__()
        side, layers, before = size // 2, [], image_channels * 4
        for level, c in enumerate(channels):
            layers += [nn.Conv2d(before, c, 3, stride=1 + (level > 0), padding=1), Block(c)]
            before, side = c, -(-side // (1 + (level > 0)))
        self.layers, self.norm = nn.Sequential(*layers), GroupNorm(8, before)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(before * side * side, dim)

    def forward(self, x):
        h = self.norm(self.layers(F.pixel_unshuffle(x, 2)))
        return self.head(self.dropout(F.silu(h).flatten(1)))


class Clip(nn.Module):
    """Two towers and one learned scale (Radford et al. 2021).

    encoder(tokens (B, L), mask (B, L)) -> (B, L, encoder.width), whose vectors are pooled: their mean, or where the
    encoder is causal the last one, the only one that has seen all; picture: keyword arguments of `PictureEncoder`; pad:
    the token that fills up short texts. forward(pictures, tokens) -> (pictures (B, dim), texts (B, dim), scale).
    """

    def __init__(self, encoder, dim=64, pad=0, **picture):
        super().__init__()
        self.pad, self.encoder = pad, encoder
        self.picture, self.text = PictureEncoder(dim, **picture), nn.Linear(encoder.width, dim, bias=False)
        self.log_scale = nn.Parameter(torch.tensor(math.log(FIRST)))

    @property
    def scale(self):
        """exp(log_scale), at most 100. The gradient passes the bound, so that a scale beyond it can come back."""
        beyond = (self.log_scale - math.log(MOST)).clamp(min=0).detach()
        return (self.log_scale - beyond).exp()

    def encode_pictures(self, x):
        """Pictures (B, C, H, W) -> unit vectors (B, dim)."""
        return F.normalize(self.picture(x), dim=-1)

    def encode_texts(self, tokens):
        """Texts (B, L) int64 -> unit vectors (B, dim)."""
        mask = tokens != self.pad
        pool = pool_last if self.encoder.causal else pool_mean
        return F.normalize(self.text(pool(self.encoder(tokens, mask), mask)), dim=-1)

    def forward(self, pictures, tokens):
        return self.encode_pictures(pictures), self.encode_texts(tokens), self.scale
