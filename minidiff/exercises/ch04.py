"""The exercises of chapter 04: the time embedding, the blocks of the U-Net, its way up, and the ancestral walk."""

import types
import zlib

import torch
from torch import nn

from minidiff.exercises.compare import kind_of
from minidiff.exercises.core import Case, Exercise
from minidiff.models.embedding import sin_embed
from minidiff.models.layers import Attention2d, ResBlock
from minidiff.models.unet import UNet, walk_up
from minidiff.process.path import discrete_path
from minidiff.process.schedules import alpha_bar_of, as_table
from minidiff.samplers.ancestral import ancestral


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
        Case("gives every image the sinusoids of its own step", lambda g: (torch.randint(0, 5, (8,), generator=g), 32),
             hint="one row per entry of t, one column per frequency: t[:, None] * f[None, :]"),
        Case("keeps rows and columns apart when B = dim / 2", lambda g: (uniform(g, 6, 0, 5), 12),
             hint="the shapes (B,) and (dim / 2,) multiply without complaint when they are equal"),
        Case("falls from frequency 1 by the factor max_period^(-2 / dim)", lambda g: (uniform(g, 5, 0, 5), 8, 30.0),
             hint="the frequencies are max_period^(-i / (dim / 2)) for i = 0, ..., dim / 2 - 1"),
        Case("takes a single time and gives one row without a batch", lambda g: (uniform(g, 1, 0, 5)[0], 10),
             hint="t[..., None] works for a batch and for a single number"),
        Case("computes in float32, whatever comes in", lambda g: (torch.tensor([999.0, 1000.0]),),
             lambda fn, t: [str(fn(t.to(dtype), 4).dtype) for dtype in (torch.float64, torch.int64, torch.bfloat16)],
             kind="shape", hint="convert t with .float() before anything else"),
        Case("tells 999 from 1000, whatever is computed around it", lambda g: (torch.tensor([999.0, 1000.0]), 8),
             lambda fn, t, dim: fn(t, dim).double(), rtol=0.0, atol=1e-3,
             expect=lambda t, dim: (lambda angles: torch.cat([angles.cos(), angles.sin()], dim=1))(
                 t.double()[:, None] * 10_000 ** (-torch.arange(dim // 2).double() / (dim // 2))),
             hint="bfloat16 has 8 bits: there 999 is 1000. Angles are float32, from the first multiplication on"),
    ),
    hints=("cos(t f) and sin(t f) with one frequency f for each pair of columns; the cosines come first",
           "torch.arange(dim // 2) counts the frequencies: max_period to the power -i / (dim // 2) is exp(-log(..)..)",
           "torch.cat([angles.cos(), angles.sin()], dim=-1) with angles of shape (..., dim / 2)"))


def run_block(fn, x, vector, channels, **options):
    """A filled block in evaluation mode, on x (B, C, H, W)."""
    return filled(fn(x.shape[1], channels, vector.shape[1], **options)).eval()(x, vector)


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
        Case("adds its two convolutions, scaled and shifted by the time, to x",
             lambda g: (randn(g, 3, 8, 5, 4), randn(g, 3, 6), 8), run_block,
             hint="norm1, silu, conv1; norm2, scale and shift, silu, conv2; and x itself at the end"),
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
        Case("mixes the positions of each image, head by head", lambda g: (randn(g, 2, 8, 3, 5),), run_attention,
             hint="one token per position: (B, C, H, W) -> (B, H W, C) is flatten(2).transpose(1, 2)"),
        Case("divides by the square root of the width of one head",
             lambda g: (randn(g, 2, 8, 4, 4),), run_sharp, hint="d is C / heads, not C"),
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


class Adds(nn.Module):
    """In the place of attention: adds the mean of the context, so that a test sees whether it arrives."""

    def __init__(self, channels):
        super().__init__()

    def forward(self, h, context):
        return h if context is None else h + context.mean()


def climb(fn, h, skips, vector, channels, blocks=2, context=None):
    """The way up of a filled U-Net on h (B, C, H, W) and the list of skips."""
    net = UNet(channels=channels, blocks=blocks, attention=(0,), width=vector.shape[1], make_attention=Adds)
    return fn(filled(net).up, h, skips, vector, context)


def skips_of(generator, B, channels, sizes, blocks=2):
    return [randn(generator, B, c, size, size) for c, size in zip(channels, sizes) for _ in range(blocks)]


WALK_UP = Exercise(
    id="ch04.walk_up", title="The way up", reference=walk_up, points=4, minutes=15, difficulty="medium",
    cases=(
        Case("joins every stage with the skip that mirrors it",
             lambda g: (randn(g, 2, 8, 4, 4), skips_of(g, 2, (8, 8), (8, 4)), randn(g, 2, 6), (8, 8)), climb,
             hint="within one level too, the skip that was made last is used first"),
        Case("has nothing to choose with one block a level",
             lambda g: (randn(g, 3, 8, 3, 3), skips_of(g, 3, (8, 8), (6, 3), 1), randn(g, 3, 5), (8, 8), 1), climb,
             hint="first h, then the skip: torch.cat([h, skip], dim=1)"),
        Case("comes back to odd sizes: 2 -> 4 -> 7",
             lambda g: (randn(g, 2, 8, 2, 2), skips_of(g, 2, (8, 8, 8), (7, 4, 2)), randn(g, 2, 4), (8, 8, 8)), climb,
             hint="an Upsample is told the size of the skip that comes next"),
        Case("joins levels of different width",
             lambda g: (randn(g, 2, 16, 3, 3), skips_of(g, 2, (8, 16), (6, 3)), randn(g, 2, 7), (8, 16)), climb),
        Case("hands the context to every stage",
             lambda g: (randn(g, 2, 8, 2, 2), skips_of(g, 2, (8, 8), (4, 2)), randn(g, 2, 6), (8, 8), 2,
                        randn(g, 2, 3, 5)), climb, hint="layer(h, vector, context)", central=True),
    ),
    hints=("give the skips numbers: on the way down 1 2 | 3 4; which one belongs to the first stage on the way up?",
           "a list of which you always take the last: skips.pop()"))


def gaussian_denoiser(path, mean, variance, asked):
    """The denoiser (x, t) -> (E[x0 | x_t], E[eps | x_t]) of x0 ~ N(mean, variance); notes every t in `asked`."""
    def denoise(x, t):
        asked.append(int(t))
        alpha, sigma = float(path.alpha(t)), float(path.sigma(t))
        x0 = mean + alpha * variance / (alpha**2 * variance + sigma**2) * (x - alpha * mean)
        return x0, (x - alpha * x0) / sigma
    return denoise


def walk(fn, beta, x, times, mean, variance, seed):
    """The whole walk: what it yields, and which times it asked for."""
    path, generator, asked = discrete_path(alpha_bar_of(as_table(beta))), torch.Generator().manual_seed(seed), []
    steps = list(fn(gaussian_denoiser(path, mean, variance, asked), x, times, path, generator))
    return {"s": [int(s) for s, _, _ in steps], "x_s": [x for _, x, _ in steps], "x0": [x0 for _, _, x0 in steps],
            "asked": asked}


def draws_of_walk(fn, beta, x, times, mean, variance, seed):
    """How often the walk drew noise of the shape of x, in words; told by the state that it leaves the generator in."""
    generator, tape = (torch.Generator().manual_seed(seed) for _ in range(2))
    path, steps = discrete_path(alpha_bar_of(as_table(beta))), len(times) - 1
    list(fn(gaussian_denoiser(path, mean, variance, []), x, times, path, generator))
    for draws in range(2 * steps + 1):
        if torch.equal(tape.get_state(), generator.get_state()):
            return f"{draws} draws in {steps} steps"
        torch.randn(x.shape, generator=tape, dtype=x.dtype)
    return f"other draws than one z a step, {steps} steps"


def one_step_at_a_time(fn, beta, x, times, mean, variance, seed):
    """What kind of thing the walk is, x after its first step, and the times that it has asked for until then."""
    path, generator, asked = discrete_path(alpha_bar_of(as_table(beta))), torch.Generator().manual_seed(seed), []
    walk = fn(gaussian_denoiser(path, mean, variance, asked), x, times, path, generator)
    return ["a generator", next(walk)[1], asked] if type(walk) is types.GeneratorType else [kind_of(walk), None, None]


def form_of_walk(fn, beta, x, times, mean, variance, seed):
    """What a walk yields, in shapes; the denoiser has a weight that asks for gradients."""
    path, weight = discrete_path(alpha_bar_of(as_table(beta))), torch.full((), mean, requires_grad=True)
    steps = fn(gaussian_denoiser(path, weight, variance, []), x, times, path, torch.Generator())
    return [(len(item), list(item[1].shape), item[1].requires_grad) for item in steps]


def start(generator, times, B=6):
    """beta for 20 steps up to 0.4, starting noise, times, mean, variance and the seed of the walk."""
    beta = uniform(generator, 20, 0.2, 0.4)
    mean, variance = uniform(generator, 2, 0.3, 0.9).tolist()
    seed = int(torch.randint(1, 10**6, (1,), generator=generator))
    return beta, randn(generator, B, 1, 4, B), torch.tensor(times), mean, variance, seed


ANCESTRAL = Exercise(
    id="ch04.ancestral", title="The ancestral walk", reference=ancestral, points=4, minutes=20, difficulty="medium",
    cases=(
        Case("draws noise in every step but the last", lambda g: start(g, [20, 16, 11, 4, 0]), draws_of_walk,
             hint="call `step` with eta=1.0 and the generator: its step to s = 0 draws nothing, as the variance is 0",
             central=True),
        Case("walks through every step to the picture", lambda g: start(g, list(range(20, -1, -1))), walk,
             hint="ask the denoiser at (x, t), then take one step from t to s, and go on from there", central=True),
        Case("walks over pairs (t, s) that are far apart", lambda g: start(g, [20, 13, 6, 5, 0]), walk,
             hint="zip(times[:-1], times[1:]) gives the pairs; s is not t - 1"),
        Case("can start in the middle", lambda g: start(g, [11, 7, 0], B=4), walk),
        Case("jumps to the denoiser's picture in one step, without noise",
             lambda g: start(g, [20, 0], B=1), walk, hint="the posterior variance at s = 0 is 0"),
        Case("is a generator, which takes a step when it is asked for one",
             lambda g: start(g, [20, 12, 5, 0], B=3), one_step_at_a_time,
             hint="`yield` in the loop, no list and no `return`: a function with a `yield` is a generator"),
        Case("keeps no gradients, and yields s, x_s and x0", lambda g: start(g, [20, 9, 0], B=2),
             form_of_walk, kind="shape", hint="the decorator @torch.no_grad() stands above the function"),
    ),
    hints=("the loop has three lines: the denoiser's answer, one step, one yield",
           "ddim_step(x0, eps, t, s, path, eta=1.0, generator=generator) draws x_s from the posterior (4.10)",
           "yield int(s), x, x0 after each step; x is then the new x_s"))


EXERCISES = (SIN_EMBED, RES_BLOCK, ATTENTION, WALK_UP, ANCESTRAL)
