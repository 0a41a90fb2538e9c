"""The exercises of chapter 04: the time embedding, and the blocks of the U-Net."""

import zlib

import torch

from minidiff.exercises.core import Case, Exercise
from minidiff.models.embedding import sin_embed
from minidiff.models.layers import Attention2d, ResBlock


def randn(generator, *shape, dtype=torch.float64):
    return torch.randn(*shape, generator=generator, dtype=dtype)


def uniform(generator, n, low, high):
    return low + (high - low) * torch.rand(n, generator=generator, dtype=torch.float64)


def filled(net):
    """A module in float64 whose weights are random, functions of their names alone; two nets of one form are equal."""
    net = net.double()
    with torch.no_grad():
        for name, weight in net.named_parameters():
            generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
            weight.copy_(0.4 * torch.randn(weight.shape, generator=generator, dtype=torch.float64))
    return net


def weights(net):
    """The names and shapes of a module's weights: {name: [sizes]}."""
    return {name: list(weight.shape) for name, weight in sorted(net.named_parameters())}


# only small t in the next cases: float32 knows the cosine of an angle of 1000 to four digits
SIN_EMBED = Exercise(
    id="ch04.sin_embed", title="The time as sinusoids", reference=sin_embed, points=3, minutes=10, difficulty="easy",
    cases=(
        Case("has the cosines in the first half: 1s, and then 0s, at t = 0", lambda g: (torch.zeros(1), 8),
             hint="torch.cat([cosines, sines], dim=-1): neither the sines first, nor in turns"),
        Case("falls from frequency 1 by the factor max_period^(-2 / dim)",
             lambda g: (torch.randint(1, 6, (1,), generator=g), 8, 16.0),
             hint="max_period^(-i / (dim / 2)) for i = 0, ..., dim / 2 - 1 never arrives at 1 / max_period; t is on "
                  "the scale 0..1000, without 2 pi"),
        Case("tells 999 from 1000, whatever is computed around it", lambda g: (torch.tensor([999.0, 1000.0]), 8),
             lambda fn, t, dim: fn(t, dim).double(), rtol=0.0, atol=1e-3,
             expect=lambda t, dim: (lambda angles: torch.cat([angles.cos(), angles.sin()], dim=1))(
                 t.double()[:, None] * 10_000 ** (-torch.arange(dim // 2).double() / (dim // 2))),
             hint="bfloat16 has 8 bits: there 999 is 1000. Angles are float32, from the first multiplication on"),
        Case("gives every image the sinusoids of its own step", lambda g: (torch.randint(0, 5, (8,), generator=g), 32),
             hint="one row per entry of t, one column per frequency: t[:, None] * f[None, :]"),
        Case("keeps rows and columns apart when B = dim / 2", lambda g: (uniform(g, 6, 0, 5), 12),
             hint="the shapes (B,) and (dim / 2,) multiply without complaint when they are equal"),
        Case("takes another max_period", lambda g: (uniform(g, 5, 0, 5), 8, 30.0)),
        Case("takes a single time and gives one row without a batch", lambda g: (uniform(g, 1, 0, 5)[0], 10),
             hint="t[..., None] works for a batch and for a single number"),
        Case("computes in float32, whatever comes in", lambda g: (torch.tensor([999.0, 1000.0]),),
             lambda fn, t: [str(fn(t.to(dtype), 4).dtype) for dtype in (torch.float64, torch.int64, torch.bfloat16)],
             kind="shape", hint="convert t with .float() before anything else"),
    ),
    hints=("cos(t f) and sin(t f) with one frequency f for each pair of columns; the cosines come first",
           "torch.arange(dim // 2) counts the frequencies: max_period to the power -i / (dim // 2) is exp(-log(..)..)",
           "torch.cat([angles.cos(), angles.sin()], dim=-1) with angles of shape (..., dim / 2)"))


def run_block(fn, x, vector, channels, **options):
    """A filled block in evaluation mode, on x (B, C, H, W)."""
    return filled(fn(x.shape[1], channels, vector.shape[1], **options)).eval()(x, vector)


def run_without_time(fn, x, vector, channels):
    """The same, with a time of which neither scale nor shift is left."""
    block = filled(fn(x.shape[1], channels, vector.shape[1])).eval()
    with torch.no_grad():
        for weight in block.time.parameters():
            weight.zero_()
    return block(x, vector)


def run_dropout(fn, x, vector):
    """A filled block that drops half of its features, under a fixed seed."""
    block = filled(fn(x.shape[1], x.shape[1], vector.shape[1], dropout=0.5)).train()
    torch.manual_seed(0)
    return block(x, vector)


def run_new(fn, x, vector):
    """A block just built, in float32."""
    return fn(x.shape[1], x.shape[1], vector.shape[1])(x, vector)


RES_BLOCK = Exercise(
    id="ch04.ResBlock", title="The residual block", reference=ResBlock, points=5, minutes=20, difficulty="medium",
    cases=(
        Case("adds two convolutions to x where the time neither scales nor shifts",
             lambda g: (randn(g, 3, 8, 5, 4), randn(g, 3, 6), 8), run_without_time,
             hint="norm1, silu, conv1; norm2, silu, conv2; and x itself. The scale is 1 + what the time says"),
        Case("scales and shifts by the time between norm2 and silu",
             lambda g: (randn(g, 3, 8, 5, 4), randn(g, 3, 6), 8), run_block,
             hint="the first half of self.time(F.silu(vector)) is the scale, the second half the shift, of norm2(h)"),
        Case("changes the number of channels on both ways",
             lambda g: (randn(g, 4, 8, 4, 4), randn(g, 4, 10), 16), run_block,
             hint="where the channels change, x passes through self.skip before it is added"),
        Case("takes its number of groups from the argument", lambda g: (randn(g, 2, 6, 4, 4), randn(g, 2, 5), 4),
             lambda fn, x, vector, channels: run_block(fn, x, vector, channels, groups=2)),
        Case("is the identity when it is new",
             lambda g: (randn(g, 2, 8, 6, 6, dtype=torch.float32), randn(g, 2, 4, dtype=torch.float32)), run_new,
             expect=lambda x, vector: x, hint="the last convolution starts at zero; zero_init(layer) returns it"),
        Case("drops features between the last silu and the last convolution",
             lambda g: (randn(g, 2, 8, 6, 6), randn(g, 2, 4)), run_dropout, hint="self.conv2(self.dropout(...))"),
        Case("passes the picture on where the channels change, when it is new",
             lambda g: (randn(g, 2, 8, 4, 4, dtype=torch.float32), randn(g, 2, 6, dtype=torch.float32)),
             lambda fn, x, vector: bool((fn(8, 16, 6)(x, vector).abs().amax(dim=(0, 2, 3)) > 0).all()),
             expect=lambda x, vector: True, hint="only conv2 starts at zero; a skip of zeros lets nothing through"),
        Case("has the weights that the constructor names",
             lambda g: (8, 16, 12), lambda fn, *sizes: weights(fn(*sizes)), kind="shape",
             hint="conv2 is a 3x3 convolution with padding 1; skip is a 1x1 convolution only if the channels change"),
    ),
    hints=("draw the two ways first: x -> skip, and x -> norm1 -> silu -> conv1 -> norm2 -> time -> silu -> conv2",
           "self.time(F.silu(vector)) is (B, 2 channels): make it (B, 2 channels, 1, 1), cut it with .chunk(2, dim=1)",
           "h = self.norm2(h) * (1 + scale) + shift"))


def run_attention(fn, x, **options):
    return filled(fn(x.shape[1], **options))(x)


def run_even(fn, x):
    """Queries of zero: each position takes the mean of all, and no scale matters."""
    layer = filled(fn(x.shape[1], heads=2))
    with torch.no_grad():
        for weight in layer.q.parameters():
            weight.zero_()
    return layer(x)


def run_sharp(fn, x):
    """Queries and keys so large that each position looks at few others: then the scale 1 / sqrt(d) matters."""
    layer = filled(fn(x.shape[1], heads=2))
    with torch.no_grad():
        for part in (layer.q, layer.k):
            part.weight.mul_(2)
    return layer(x)


ATTENTION = Exercise(
    id="ch04.Attention2d", title="Attention between positions", reference=Attention2d, points=5, minutes=20,
    difficulty="medium",
    cases=(
        Case("takes the mean of all positions where every score is 0", lambda g: (randn(g, 2, 8, 3, 5),), run_even,
             hint="one token per position: self.norm(x) as (B, H W, C) is flatten(2).transpose(1, 2); then split the "
                  "heads by .view(B, H W, heads, C / heads), and add x at the end"),
        Case("divides by the square root of the width of one head", lambda g: (randn(g, 2, 8, 4, 4),), run_sharp,
             hint="softmax over the keys of q . k / sqrt(d), where d is C / heads, not C"),
        Case("mixes the positions of each image, head by head", lambda g: (randn(g, 2, 8, 3, 5),), run_attention),
        Case("works with one head, and with one head per channel", lambda g: (randn(g, 3, 8, 2, 4),),
             lambda fn, x: [run_attention(fn, x, heads=heads) for heads in (1, 8)],
             hint="the view is (B, H W, heads, C / heads), in this order"),
        Case("does not read the context", lambda g: (randn(g, 2, 16, 3, 3), randn(g, 2, 7, 5)),
             lambda fn, x, context: filled(fn(x.shape[1], groups=4))(x, context)),
        Case("is the identity when it is new",
             lambda g: (randn(g, 2, 8, 4, 3, dtype=torch.float32),), lambda fn, x: fn(x.shape[1])(x),
             expect=lambda x: x, hint="x itself is added, and the projection self.o starts at zero"),
        Case("has the weights that the constructor names",
             lambda g: (16,), lambda fn, channels: weights(fn(channels)), kind="shape",
             hint="o is a linear layer from channels to channels"),
    ),
    hints=("tokens = self.norm(x) as (B, H W, C); then q, k and v of each token",
           "F.scaled_dot_product_attention takes (B, heads, tokens, width): .view(B, H * W, heads, -1).transpose(1, 2)",
           "the way back: transpose(1, 2), reshape to (B, H W, C), self.o, transpose, reshape to (B, C, H, W); add x"))


EXERCISES = (SIN_EMBED, RES_BLOCK, ATTENTION)
