"""The U-Net of diffusion models: down, through the middle, and up again with skip connections."""

import torch
import torch.nn.functional as F
from torch import nn

from minidiff.models.embedding import Embedding
from minidiff.models.layers import Attention2d, Downsample, GroupNorm, ResBlock, Upsample, zero_init


class Stage(nn.Module):
    """A residual block and, where `attend` is not None, attention: forward(h, vector, context) -> h."""

    def __init__(self, block, attend=None):
        super().__init__()
        self.block, self.attend = block, attend

    def forward(self, h, vector, context=None):
        h = self.block(h, vector)
        return h if self.attend is None else self.attend(h, context)


def walk_down(layers, h, vector, context=None):
    """Run the layers of the way down, and keep what every stage gives: (h, skips), the skips from first to last.

    layers: Stage and Downsample; h: (B, C, H, W); vector: (B, width); context goes to the stages.
    """
    skips = []
    for layer in layers:
        if isinstance(layer, Downsample):
            h = layer(h)
        else:
            skips.append(h := layer(h, vector, context))
    return h, skips


def walk_up(layers, h, skips, vector, context=None):
    """Run the layers of the way up; every stage also sees the last skip that is left, so the first made is used last.

    layers: Stage and Upsample; h: (B, C, H, W); skips: a list, left as it is; vector: (B, width). Returns h.
    """
    skips = list(skips)
    for layer in layers:
        if isinstance(layer, Upsample):
            h = layer(h, size=skips[-1].shape[-2:])
        else:
            h = layer(torch.cat([h, skips.pop()], dim=1), vector, context)
    return h


class UNet(nn.Module):
    """A function (x_t, t) -> prediction of the shape of x_t (Ronneberger et al. 2015; Ho et al. 2020, appendix B).

    channels: width of each level, from full resolution down; blocks: residual blocks a level; attention: the levels
    that attend (0 is full resolution) beside the middle, which always does; patch: space to depth, 2 folds each 2x2
    square into channels before the first convolution and back after the last; width: length of the time vector;
    make_attention(channels): the factory of attention layers, called as layer(h, context).

    out_channels: those of the answer, where they are not the picture's.

    forward(x (B, C, H, W), t () or (B,) on the scale 0..1000, context=None, residuals=None, **cond):
    `context` goes unread to every attention layer; `residuals`, one tensor a skip and one for the middle, are added to
    them; `cond` goes to the embedding.
    """

    def __init__(self, image_channels=1, channels=(32, 64), blocks=1, attention=(), patch=1, width=128,
                 dropout=0.0, make_attention=Attention2d, out_channels=None):
        super().__init__()
        self.patch = patch
        self.embed = Embedding(width)
        self.conv_in = nn.Conv2d(image_channels * patch**2, channels[0], 3, padding=1)
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        h, skips = channels[0], []
        for level, c in enumerate(channels):
            for _ in range(blocks):
                attend = make_attention(c) if level in attention else None
                self.down.append(Stage(ResBlock(h, c, width, dropout), attend))
                skips.append(h := c)
            if level < len(channels) - 1:
                self.down.append(Downsample(h))
        self.middle = nn.ModuleList([Stage(ResBlock(h, h, width, dropout), make_attention(h)),
                                     Stage(ResBlock(h, h, width, dropout))])
        for level, c in reversed(list(enumerate(channels))):
            for _ in range(blocks):
                attend = make_attention(c) if level in attention else None
                self.up.append(Stage(ResBlock(h + skips.pop(), c, width, dropout), attend))
                h = c
            if level:
                self.up.append(Upsample(h))
        self.norm = GroupNorm(8, h)
        self.conv_out = zero_init(nn.Conv2d(h, (out_channels or image_channels) * patch**2, 3, padding=1))

    def forward(self, x, t, context=None, residuals=None, **cond):
        vector = self.embed(torch.as_tensor(t, device=x.device).expand(len(x)), **cond)
        h = self.conv_in(F.pixel_unshuffle(x, self.patch))
        h, skips = walk_down(self.down, h, vector, context)
        for layer in self.middle:
            h = layer(h, vector, context)
        if residuals is not None:
            *beside, below = residuals
            skips, h = [skip + r for skip, r in zip(skips, beside, strict=True)], h + below
        h = walk_up(self.up, h, skips, vector, context)
        return F.pixel_shuffle(self.conv_out(F.silu(self.norm(h))), self.patch)
