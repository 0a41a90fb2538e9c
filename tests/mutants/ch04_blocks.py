"""Wrong and right answers to the two exercises of chapter 04 that are blocks of a network."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from minidiff.models.layers import Attention2d, GroupNorm, ResBlock, zero_init
from tests.mutants import alternative, mutant


@mutant("ch04.ResBlock")
class NotZero(ResBlock):
    def __init__(self, in_channels, channels, width, dropout=0.0, groups=8):
        super().__init__(in_channels, channels, width, dropout, groups)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)


@mutant("ch04.ResBlock")
class NoSkip(ResBlock):
    def forward(self, x, vector):
        scale, shift = self.time(F.silu(vector))[:, :, None, None].chunk(2, dim=1)
        h = self.norm2(self.conv1(F.silu(self.norm1(x)))) * (1 + scale) + shift
        return self.conv2(self.dropout(F.silu(h)))


class Steps(ResBlock):
    """The block with every step open to change."""

    def timed(self, h, scale, shift):
        return h * (1 + scale) + shift

    def parts(self, vector):
        return self.time(F.silu(vector))[:, :, None, None].chunk(2, dim=1)

    def first(self, x):
        return self.conv1(F.silu(self.norm1(x)))

    def last(self, h):
        return self.conv2(self.dropout(F.silu(h)))

    def forward(self, x, vector):
        return self.skip(x) + self.last(self.timed(self.norm2(self.first(x)), *self.parts(vector)))


@mutant("ch04.ResBlock")
class ScaleWithoutOne(Steps):
    def timed(self, h, scale, shift):
        return h * scale + shift


@mutant("ch04.ResBlock")
class ShiftBeforeScale(Steps):
    def parts(self, vector):
        return reversed(super().parts(vector))


@mutant("ch04.ResBlock")
class VectorWithoutSilu(Steps):
    def parts(self, vector):
        return self.time(vector)[:, :, None, None].chunk(2, dim=1)


@mutant("ch04.ResBlock")
class SiluBeforeNorm(Steps):
    def first(self, x):
        return self.conv1(self.norm1(F.silu(x)))


@mutant("ch04.ResBlock")
class DropoutBeforeSilu(Steps):
    def last(self, h):
        return self.conv2(F.silu(self.dropout(h)))


@mutant("ch04.ResBlock")
class NoDropout(Steps):
    def last(self, h):
        return self.conv2(F.silu(h))


@mutant("ch04.ResBlock")
class TimeBeforeNorm(Steps):
    def forward(self, x, vector):
        h = self.norm2(self.timed(self.first(x), *self.parts(vector)))
        return self.skip(x) + self.last(h)


@mutant("ch04.ResBlock")
class NormalisedSkip(Steps):
    def forward(self, x, vector):
        return super().forward(x, vector) - self.skip(x) + self.skip(self.norm1(x))


@alternative("ch04.ResBlock")
class InSmallSteps(Steps):
    def last(self, h):
        return self.conv2(F.dropout(h * torch.sigmoid(h), self.dropout.p, self.training))


@alternative("ch04.ResBlock")
class ByAddcmul(ResBlock):
    def forward(self, x, vector):
        scale, shift = torch.split(self.time(nn.SiLU()(vector)), self.conv1.out_channels, dim=1)
        h = self.norm2(self.conv1(nn.SiLU()(self.norm1(x))))
        h = torch.addcmul(h + shift[..., None, None], h, scale[..., None, None])
        return torch.add(self.conv2(self.dropout(F.silu(h))), self.skip(x))


class Attend(Attention2d):
    """The layer with every step open to change."""

    def scale(self, d):
        return 1 / math.sqrt(d)

    def tokens(self, x):
        return self.norm(x).flatten(2).mT

    def split(self, tokens):
        B, N, C = tokens.shape
        return tokens.view(B, N, self.heads, C // self.heads).transpose(1, 2)

    def weigh(self, scores):
        return scores.softmax(dim=-1)

    def forward(self, x, context=None):
        B, C, H, W = x.shape
        tokens = self.tokens(x)
        q, k, v = (self.split(f(tokens)) for f in (self.q, self.k, self.v))
        mixed = self.weigh(q @ k.mT * self.scale(q.shape[-1])) @ v
        return x + self.o(mixed.transpose(1, 2).reshape(B, H * W, C)).mT.reshape(B, C, H, W)


@mutant("ch04.Attention2d")
class NoScale(Attend):
    def scale(self, d):
        return 1.0


@mutant("ch04.Attention2d")
class ScaleOfAllChannels(Attend):
    def scale(self, d):
        return 1 / math.sqrt(d * self.heads)


@mutant("ch04.Attention2d")
class DividesByTheWidth(Attend):
    def scale(self, d):
        return 1 / d


@mutant("ch04.Attention2d")
class SoftmaxOverQueries(Attend):
    def weigh(self, scores):
        return scores.softmax(dim=-2)


@mutant("ch04.Attention2d")
class ReshapeInsteadOfTranspose(Attend):
    def tokens(self, x):
        B, C, H, W = x.shape
        return self.norm(x).reshape(B, H * W, C)


@mutant("ch04.Attention2d")
class HeadsInsideOut(Attend):
    def split(self, tokens):
        B, N, C = tokens.shape
        return tokens.view(B, N, C // self.heads, self.heads).permute(0, 3, 1, 2)


@mutant("ch04.Attention2d")
class WithoutNorm(Attend):
    def tokens(self, x):
        return x.flatten(2).mT


@mutant("ch04.Attention2d")
class WithoutResidual(Attend):
    def forward(self, x, context=None):
        return super().forward(x, context) - x


@mutant("ch04.Attention2d")
class OutputNotZero(Attend):
    def __init__(self, channels, heads=4, groups=8):
        super().__init__(channels, heads, groups)
        self.o = nn.Linear(channels, channels)


@alternative("ch04.Attention2d")
class BySoftmax(Attend):
    pass


@alternative("ch04.Attention2d")
class ByEinsum(Attention2d):
    def __init__(self, channels, heads=4, groups=8):
        super().__init__(channels, heads, groups)
        self.norm, self.o = GroupNorm(groups, channels), zero_init(nn.Linear(channels, channels))

    def forward(self, x, context=None):
        B, C, H, W = x.shape
        tokens = self.norm(x).permute(0, 2, 3, 1).reshape(B, H * W, C)
        q, k, v = (f(tokens).unflatten(-1, (self.heads, -1)) for f in (self.q, self.k, self.v))
        weights = torch.einsum("bqhd,bkhd->bhqk", q, k).div((C // self.heads) ** 0.5).softmax(dim=-1)
        mixed = torch.einsum("bhqk,bkhd->bqhd", weights, v).flatten(-2)
        return x + self.o(mixed).unflatten(1, (H, W)).permute(0, 3, 1, 2)


@mutant("ch04.ResBlock")
class WideningSkipStartsAtZero(ResBlock):
    def __init__(self, in_channels, channels, width, dropout=0.0, groups=8):
        super().__init__(in_channels, channels, width, dropout, groups)
        if in_channels != channels:
            zero_init(self.skip)
