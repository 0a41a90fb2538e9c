"""The exercises of chapter 08 on EDM: the four coefficients of its net, and its grid."""

from minidiff.exercises.ch08 import uniform
from minidiff.exercises.core import Case, Exercise
from minidiff.process.edm import edm_precond
from minidiff.samplers.lambda_grids import karras_sigmas


def one_level(generator):
    return uniform(generator, 1, 0.1, 3)[0], 0.5


def number(i):
    """A drive that gives the i-th of the four numbers alone."""
    return lambda fn, sigma, sigma_data: tuple(fn(sigma, sigma_data))[i]


EDM_PRECOND = Exercise(
    id="ch08.edm_precond", title="EDM's four coefficients", reference=edm_precond, points=3, minutes=10,
    difficulty="easy",
    cases=(
        Case("c_noise, the last of the four, is a quarter of log sigma", one_level, number(3),
             hint="the natural logarithm of sigma itself, not of sigma^2, divided by 4"),
        Case("c_in, the third, gives the input the variance 1", one_level, number(2),
             hint="x has the variance sigma^2 + sigma_data^2: c_in is 1 over the ROOT of that, and comes third"),
        Case("c_skip, the first, is the share of the picture in x", one_level, number(0),
             hint="sigma_data^2 / (sigma^2 + sigma_data^2): near 1 where there is hardly any noise"),
        Case("c_out, the second, gives the target the variance 1", one_level, number(1),
             hint="c_out^2 is the variance of x0 - c_skip x, which is sigma^2 sigma_data^2 / (sigma^2 + sigma_data^2)"),
        Case("gives every image of a batch its own four", lambda g: (uniform(g, 5, 0.01, 2), 0.5),
             hint="sigma may be (B,): take the functions of torch, not those of math"),
        Case("holds for data of any size", lambda g: (uniform(g, 4, 0.5, 20), *uniform(g, 1, 2, 4).tolist()),
             hint="sigma_data stands in all of them but c_noise", central=True),
        Case("keeps the picture where there is hardly any noise, and forgets it where there is much",
             lambda g: (uniform(g, 3, 1, 2), 0.5),
             lambda fn, sigma, sigma_data: [fn(size * sigma, sigma_data) for size in (1e-3, 1e3)]),
    ),
    hints=("sigma^2 + sigma_data^2 is in three of the four",
           "c_skip = sigma_data^2 / total, c_out = sigma sigma_data / sqrt(total), c_in = 1 / sqrt(total)"))


KARRAS_SIGMAS = Exercise(
    id="ch08.karras_sigmas", title="A grid even in a root", reference=karras_sigmas, points=3, minutes=10,
    difficulty="easy",
    cases=(
        Case("crowds the levels near the clean end", lambda g: (8, *uniform(g, 1, 0.001, 0.1).tolist(), 80.0),
             hint="even steps in sigma^(1/7), then the 7th power"),
        Case("takes the root from the argument",
             lambda g: (6, 0.01, *uniform(g, 1, 5, 50).tolist(), *uniform(g, 1, 2, 5).tolist()),
             hint="rho is an argument, 7 only if nothing is said"),
        Case("is even in sigma for rho = 1", lambda g: (9, 0.5, *uniform(g, 1, 5, 50).tolist(), 1.0)),
        Case("has one level and then 0 for n = 1", lambda g: (1, 0.002, *uniform(g, 1, 5, 50).tolist()),
             hint="i / (n - 1) divides by 0 there; torch.linspace(0, 1, n) does not"),
        Case("gives n + 1 float64 numbers that end in 0", lambda g: (5, 0.002, *uniform(g, 1, 5, 50).tolist()),
             lambda fn, *inputs: (lambda s: (list(s.shape), str(s.dtype), float(s[-1])))(fn(*inputs)), kind="shape"),
    ),
    hints=("u runs from 0 to 1 in n points; the rho-th root runs from that of `high` to that of `low`",
           "(high ** (1 / rho) + u * (low ** (1 / rho) - high ** (1 / rho))) ** rho, and then a 0"))


EXERCISES = (EDM_PRECOND, KARRAS_SIGMAS)
