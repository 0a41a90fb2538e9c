"""The exercise of chapter 03 on the walk along a score, Langevin dynamics, and the numbers of its experiment."""

import functools
import types

import torch

from minidiff.evaluation.mixture import Mixture
from minidiff.exercises.ch02 import normal
from minidiff.exercises.compare import kind_of
from minidiff.exercises.core import Case, Exercise
from minidiff.exercises.numbers import Numbers
from minidiff.process.path import discrete_path
from minidiff.process.schedules import alpha_bar_of, linear_betas
from minidiff.process.score import tweedie
from minidiff.samplers.langevin import annealed_langevin, langevin


def walk_inputs(*shape, steps, step_size=0.1, dtype=torch.float64):
    def draw(generator):
        seed = int(torch.randint(2**31, (1,), generator=generator))
        return normal(generator, *shape, dtype=dtype), step_size, steps, seed
    return draw


def walked(fn, x, step_size, steps, seed):
    """All that the walk yields, in a force field that is not a straight line."""
    generator = torch.Generator().manual_seed(seed)
    return list(fn(lambda x: -x - torch.sin(3 * x).flip(-1), x, step_size, steps, generator))


def left_of(fn, x, step_size, steps, seed):
    """The next number of the generator after the walk: how many were drawn?"""
    generator = torch.Generator().manual_seed(seed)
    list(fn(lambda x: -x, x, step_size, steps, generator))
    return torch.rand(1, generator=generator)


def one_step_at_a_time(fn, x, step_size, steps, seed):
    """What kind of thing the walk is, its first state, and the generator's next number after that first step."""
    generator = torch.Generator().manual_seed(seed)
    walk = fn(lambda x: -x, x, step_size, steps, generator)
    lazy = type(walk) is types.GeneratorType
    return ["a generator", next(walk), torch.rand(1, generator=generator)] if lazy else [kind_of(walk), None, None]


LANGEVIN = Exercise(
    id="ch03.langevin", title="Langevin dynamics", reference=langevin, points=3, minutes=15, difficulty="medium",
    cases=(
        Case("takes the step h score + sqrt(2 h) z", walk_inputs(5, 2, steps=1), drive=walked,
             hint="x + h score + sqrt(2 h) z, uphill, with a new z in each step; the state after the step counts"),
        Case("yields every state of the walk", walk_inputs(3, 2, steps=4), drive=walked,
             hint="each step goes on from the last one, score and all; `yield x` after it, and do not yield the start"),
        Case("asks the score where the walk is now", walk_inputs(4, 4, steps=7, step_size=0.3), drive=walked,
             central=True),
        Case("draws steps x B x D normal numbers from the generator", walk_inputs(6, 3, steps=3), drive=left_of,
             hint="torch.randn(x.shape, generator=generator, dtype=x.dtype), once a step"),
        Case("is a generator, which takes a step when it is asked for one", walk_inputs(4, 2, steps=3),
             drive=one_step_at_a_time,
             hint="`yield x` in the loop, no list and no `return`: a function with a `yield` is a generator"),
        Case("keeps float32", walk_inputs(2, 2, steps=2, dtype=torch.float32), kind="shape",
             drive=lambda fn, *given: [(str(x.dtype), list(x.shape)) for x in walked(fn, *given)]),
    ),
    hints=("One step: x = x + step_size * score(x) + (2 * step_size) ** 0.5 * z, with fresh z.",
           "A function with `yield` in it is a generator: the caller gets every x, and keeps the ones it wants."))


@functools.cache
def chi2_of_annealing(levels, n=4000):
    """The chi^2 of the shares of n walkers on four far islands, annealed from T to 1 in so many levels."""
    path, generator = discrete_path(alpha_bar_of(linear_betas())), torch.Generator().manual_seed(0)
    means = 1.5 * torch.tensor([[1.0, 1.0], [-1.0, 0.9], [-0.9, -1.0], [0.9, -0.9]])
    far = Mixture([0.1, 0.2, 0.3, 0.4], means.tolist(), [0.3, 0.35, 0.35, 0.4])

    def score(x, t):
        return far.noised(path.alpha(t[0]), path.sigma(t[0])).score(x).to(x)

    x, times = torch.randn(n, 2, generator=generator), torch.linspace(path.T, 1, levels).round().long()
    *_, (_, x) = annealed_langevin(score, x, times, path, 10, 0.1, generator)
    one = torch.ones(n, dtype=torch.int64)
    ends, data = tweedie(x, score(x, one), one, path), far.sample(500_000, torch.Generator().manual_seed(1))
    found, right = (torch.bincount(far.share(u).argmax(dim=1), minlength=4) / len(u) for u in (ends, data))
    return float((n * (found - right) ** 2 / right).sum())


NUMBERS = (Numbers("ch03.experiment_levels", lambda: {n: chi2_of_annealing(n) for n in (10, 20)}, rtol=0.1),)
EXERCISES = (LANGEVIN,)
