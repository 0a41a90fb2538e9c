"""Stable Diffusion 1's U-Net, which reads a text at three of its four resolutions."""

import torch
import torch.nn.functional as F
from torch import nn

from minidiff.models.embedding import Embedding
from minidiff.models.layers import Downsample, GroupNorm, Upsample
from minidiff.models.sd_blocks import GROUPS, AddedTimeBlock
from minidiff.models.text_encoder import join_heads, split_heads
from minidiff.models.unet import Stage, walk_up


class Attention(nn.Module):
    """What h asks and `context` answers (Vaswani et al. 2017, eq. 1); the projections of questions and answers have
    no bias.

    forward(h (B, N, channels), context (B, L, width)) -> (B, N, channels).
    """

    def __init__(self, channels, width, heads):
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(channels, channels, bias=False)
        self.k, self.v = nn.Linear(width, channels, bias=False), nn.Linear(width, channels, bias=False)
        self.o = nn.Linear(channels, channels)

    def forward(self, h, context):
        q, k, v = (split_heads(x, self.heads) for x in (self.q(h), self.k(context), self.v(context)))
        return self.o(join_heads(F.scaled_dot_product_attention(q, k, v)))


class GEGLU(nn.Linear):
    """Two linear maps, of which one, through GELU, gates the other (Shazeer 2020, eq. 6): (..., width) -> (..., out).
    """

    def __init__(self, width, out):
        super().__init__(width, 2 * out)

    def forward(self, h):
        value, gate = super().forward(h).chunk(2, dim=-1)
        return value * F.gelu(gate)


class SpatialTransformer(nn.Module):
    """Places look at each other, then at the text, then at themselves (Rombach et al. 2022, appendix E.2.1).

    channels: of the picture, a multiple of 32 and of heads, else ValueError; width: of a token.
    forward(x (B, channels, H, W), context (B, L, width)) -> as x.
    """

    def __init__(self, channels, width, heads=8):
        super().__init__()
        if channels % heads:
            raise ValueError(f"channels must be a multiple of heads, got {channels} and {heads}")
        self.norm = GroupNorm(GROUPS, channels, eps=1e-6)
        self.conv_in, self.conv_out = nn.Conv2d(channels, channels, 1), nn.Conv2d(channels, channels, 1)
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(channels) for _ in range(3))
        self.places, self.text = Attention(channels, channels, heads), Attention(channels, width, heads)
        self.mlp = nn.Sequential(GEGLU(channels, 4 * channels), nn.Linear(4 * channels, channels))

    def forward(self, x, context):
        h = self.conv_in(self.norm(x)).flatten(2).transpose(1, 2)
        h = h + self.places(place := self.norm1(h), place)
        h = h + self.text(self.norm2(h), context)
        h = h + self.mlp(self.norm3(h))
        return x + self.conv_out(h.transpose(1, 2).reshape(x.shape))


class SDUNet(nn.Module):
    """The U-Net of Stable Diffusion 1, 860 million weights by default (Rombach et al. 2022, released configuration).

    channels: width of each level, multiples of 32; attention: the levels that read the text, beside the middle; width:
    of a token; heads: in every attention. Unlike chapter 04's, it keeps the first convolution and what is halved as
    skips too, and has one stage a level more on the way up.

    forward(x (B, 4, H, W), t () or (B,), context (B, L, width), residuals=None) -> as x. t counts as the weights do:
    published ones from 0, see `CountsFrom0`. residuals: one tensor a skip, and one for the middle, added to them.
    """

    def __init__(self, channels=(320, 640, 1280, 1280), blocks=2, attention=(0, 1, 2), width=768, heads=8, latent=4):
        super().__init__()
        time = 4 * channels[0]
        self.embed = Embedding(time, frequencies=channels[0])

        def stage(before, c, level):
            reads = SpatialTransformer(c, width, heads) if level in attention else None
            return Stage(AddedTimeBlock(before, c, time), reads)

        self.down, self.up = nn.ModuleList([nn.Conv2d(latent, channels[0], 3, padding=1)]), nn.ModuleList()
        h, skips = channels[0], [channels[0]]
        for level, c in enumerate(channels):
            for _ in range(blocks):
                self.down.append(stage(h, c, level))
                skips.append(h := c)
            if level < len(channels) - 1:
                self.down.append(Downsample(h))
                skips.append(h)
        self.middle = nn.ModuleList([Stage(AddedTimeBlock(h, h, time), SpatialTransformer(h, width, heads)),
                                     Stage(AddedTimeBlock(h, h, time))])
        for level, c in reversed(list(enumerate(channels))):
            for _ in range(blocks + 1):
                self.up.append(stage(h + skips.pop(), c, level))
                h = c
            if level:
                self.up.append(Upsample(h))
        self.norm, self.conv_out = GroupNorm(GROUPS, h), nn.Conv2d(h, latent, 3, padding=1)

    def forward(self, x, t, context, residuals=None):
        vector = self.embed(torch.as_tensor(t, device=x.device).expand(len(x)))
        h, skips = x, []
        for layer in self.down:
            h = layer(h, vector, context) if isinstance(layer, Stage) else layer(h)
            skips.append(h)
        for layer in self.middle:
            h = layer(h, vector, context)
        if residuals is not None:
            *beside, below = residuals
            skips, h = [skip + r for skip, r in zip(skips, beside, strict=True)], h + below
        h = walk_up(self.up, h, skips, vector, context)
        return self.conv_out(F.silu(self.norm(h)))


class CountsFrom0(nn.Module):
    """A published net, whose steps count 0..T - 1, for callers that count 1..T: forward(x (B, ...), t, **cond) -> as x.

    This is the only "minus one" of the course; whatever loads published weights wraps the net in it.
    """

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x, t, **cond):
        return self.net(x, t - 1, **cond)
