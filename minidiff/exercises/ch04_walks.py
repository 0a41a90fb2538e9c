"""The exercises of chapter 04 on walks, up the U-Net and down to digits, and the numbers of its experiment."""

import functools
import types

import torch
from torch import nn

from minidiff.exercises.ch04 import filled, randn, uniform
from minidiff.exercises.compare import kind_of
from minidiff.exercises.core import Case, Exercise
from minidiff.exercises.numbers import Numbers
from minidiff.models.unet import UNet, walk_up
from minidiff.process.path import discrete_path
from minidiff.process.schedules import alpha_bar_of, as_table
from minidiff.samplers.ancestral import ancestral


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


@functools.cache
def spread_of_digits(steps, n=100):
    """The spread of the pixels of n digits that mnist-ddpm draws in so many steps."""
    from minidiff.recipes.recipe import load, sample
    from minidiff.recipes.run import CHECKPOINTS
    return float(sample(*load(CHECKPOINTS / "mnist-ddpm.safetensors"), n, steps=steps).std())


NUMBERS = (Numbers("ch04.experiment_1", lambda: {steps: spread_of_digits(steps) for steps in (5, 20)}, rtol=0.01),)
EXERCISES = (WALK_UP, ANCESTRAL)
