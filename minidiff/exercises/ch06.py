"""The exercises of chapter 06: the cosine, one network asked for another target, weights, zero SNR."""

import torch

from minidiff.exercises.core import Case, Exercise
from minidiff.exercises.numbers import Numbers
from minidiff.process.convert import convert
from minidiff.process.forward import brightness_ratio, expand_like
from minidiff.process.schedules import alpha_bar_of, cosine_betas, scaled_linear_betas
from minidiff.process.targets import EPS, V, X0, Target, to_target
from minidiff.process.weights import constant, loss_weight, min_snr, snr_plus_one
from minidiff.process.zero_snr import zero_snr

T = 20  # few and large steps: wrong formulas differ a lot
TARGETS = {"eps": EPS, "x0": X0, "v": V, "mixed": Target("mixed", lambda a, s: 2 * a - s, lambda a, s: a + 3 * s)}
WEIGHTS = {"min-snr": min_snr, "1": constant, "SNR + 1": snr_plus_one, "root": torch.sqrt,
           "min-snr, gamma 2": lambda snr: min_snr(snr, gamma=2.0)}


def normal(generator, *shape, dtype=torch.float64):
    return torch.randn(*shape, generator=generator, dtype=dtype)


def uniform(generator, low, high, *shape):
    return low + (high - low) * torch.rand(*shape, generator=generator, dtype=torch.float64)


def number(generator, low, high):
    return float(uniform(generator, low, high, 1))


def whole(generator, low, high):
    return int(torch.randint(low, high, (1,), generator=generator))


def a_table(generator, steps=T):
    """A random table alpha_bar (steps + 1,), float64, with betas between 0.02 and 0.2."""
    betas = uniform(generator, 0.02, 0.2, steps)
    return torch.cat([torch.ones(1, dtype=torch.float64), torch.cumprod(1 - betas, dim=0)])


def says_what_is_impossible(fn, *given):
    try:
        fn(*given)
    except ValueError:
        return "raises ValueError"
    return "raises nothing"


def squared_cosine(T, s):
    """The curve that alpha_bar follows until the clip, by the formula for the cosine of twice the angle."""
    angle = (torch.arange(T, dtype=torch.float64) / T + s) / (1 + s) * torch.pi
    return (1 + angle.cos()) / (1 + angle[0].cos())


COSINE_BETAS = Exercise(
    id="ch06.cosine_betas", title="betas whose product is a squared cosine", reference=cosine_betas, points=3,
    minutes=15, difficulty="medium",
    cases=(
        Case("their product follows the squared cosine up to t = T - 1",
             lambda g: (whole(g, 30, 90), number(g, 0.004, 0.05)), expect=squared_cosine,
             drive=lambda fn, T, s: torch.cumprod(1 - fn(T, s), dim=0)[:T],
             hint="alpha_bar_t is f(t) / f(0), so beta_t is 1 - f(t) / f(t - 1): two neighbours, not f(t) / f(0)"),
        Case("no beta is larger than `largest`", lambda g: (whole(g, 30, 60), 0.008, number(g, 0.3, 0.8)),
             hint="clip the betas, all of them, and not alpha_bar"),
        Case("the offset and the clip have the paper's defaults, in float64", lambda g: (whole(g, 40, 90),), rtol=1e-9,
             atol=0.0,
             hint="s = 0.008 and largest = 0.999: clipped there, the last beta leaves a thousandth"),
        Case("is the table of the paper for a thousand steps, its smallest betas too", lambda g: (1000,), rtol=1e-9,
             atol=0.0, hint="only `largest` clips: the first betas are as small as 4e-5, and stay"),
        Case("a large offset moves every beta", lambda g: (whole(g, 10, 30), number(g, 0.2, 0.5), 0.999)),
        Case("gives T + 1 numbers in float64, the first of them 0", lambda g: (whole(g, 5, 30),), kind="shape",
             drive=lambda fn, T: (list(fn(T).shape), str(fn(T).dtype), float(fn(T)[0])), rtol=1e-4,
             hint="as_table puts the 0 of clean data in front"),
    ),
    hints=("Write u = t / T for t = 0..T, then f = cos((u + s) / (1 + s) pi / 2)^2: T + 1 numbers.",
           "beta_t = 1 - f[t] / f[t - 1] for t = 1..T is 1 - f[1:] / f[:-1].",
           "as_table((1 - f[1:] / f[:-1]).clamp(max=largest))"),
)


def a_pair(*shape, dtype=torch.float64):
    """Picture, noise, and levels of alpha and sigma, one an image: not on a circle, so that no identity hides."""
    return lambda g: (normal(g, *shape, dtype=dtype), normal(g, *shape, dtype=dtype),
                      uniform(g, 0.2, 0.95, shape[0]), uniform(g, 0.3, 1.2, shape[0]))


def asked(source, target):
    """Give the true answer for `source`; the right result is the true answer for `target`."""
    def drive(fn, x0, eps, alpha, sigma):
        x_t = expand_like(alpha, x0) * x0 + expand_like(sigma, x0) * eps
        out = to_target(TARGETS[source], x0, eps, alpha, sigma)
        return fn(out, x_t, alpha, sigma, TARGETS[source], TARGETS[target])

    return {"drive": drive, "expect": lambda x0, eps, alpha, sigma: to_target(TARGETS[target], x0, eps, alpha, sigma)}


CONVERT = Exercise(
    id="ch06.convert", title="one network, another question", reference=convert, points=2, minutes=10,
    difficulty="easy",
    cases=(
        Case("a network for eps says v", a_pair(6, 1, 6, 6), **asked("eps", "v"),
             hint="from_target gives the pair (x0, eps) that an answer stands for, to_target goes on from there"),
        Case("a network for v says x0", a_pair(5, 7), **asked("v", "x0")),
        Case("a network for x0 says eps", a_pair(1, 3, 4, 4), **asked("x0", "eps")),
        Case("any two targets will do", a_pair(4, 1, 4, 4), **asked("mixed", "v")),
        Case("keeps shape and float32", a_pair(3, 2, 5, dtype=torch.float32), **asked("v", "eps"), kind="shape",
             rtol=1e-4),
    ),
    hints=("Two steps: which x0 and eps does the answer stand for? And what is the other target for that pair?",
           "x0, eps = from_target(source, out, x_t, alpha, sigma)"),
)


def weigh(fn, alpha, sigma, weight, target):
    return fn(WEIGHTS[weight], TARGETS[target], alpha, sigma)


def levels(weight, target, n=6):
    """n points of a circle with SNRs on both sides of 5, in any order."""
    def draw(g):
        angle = uniform(g, 0.05, 1.5, n)
        angle[:2] = uniform(g, 0.1, 0.3, 2)
        return angle.cos(), angle.sin(), weight, target
    return draw


def at_noise(weight, target):
    return lambda g: (torch.tensor([0.0, 1e-4, number(g, 0.2, 0.7)]).double(), torch.tensor([1.0, 1.0, 0.6]).double(),
                      weight, target)


LOSS_WEIGHT = Exercise(
    id="ch06.loss_weight", title="Min-SNR, or any weight, on any target", reference=loss_weight, points=4, minutes=20,
    difficulty="medium",
    cases=(
        Case("weighs errors of x0 by min(SNR, 5), whether the net says eps,", levels("min-snr", "eps"), weigh,
             hint="an error of the answer is one of x0 times d / sigma: so the weight is weight(SNR) (sigma / d)^2"),
        Case("v,", levels("min-snr", "v"), weigh,
             hint="d = alpha B - sigma A, and A and B are functions of alpha and sigma"),
        Case("or a mixture on a path that keeps no variance", lambda g: (
            uniform(g, 0.2, 0.9, 5), uniform(g, 0.3, 2, 5), "min-snr, gamma 2", "mixed"), weigh, central=True),
        Case("takes other weights: the function gets the SNR, (alpha / sigma)^2", lambda g: (
            torch.cat([levels("root", "x0")(g)[0], torch.tensor([1e-3]).double()]), torch.ones(7).double(), "root",
            "x0"), weigh,
             hint="call weight with the SNR, whatever it is; SNR is the SQUARE of alpha / sigma"),
        Case("is finite for min(SNR, 5) on eps at SNR = 0", at_noise("min-snr", "eps"), weigh,
             hint="0 / 0 is nan, but the limit is there: keep alpha and sigma above 1e-12"),
        Case("is finite for x0 at sigma = 0", lambda g: (*levels("1", "x0")(g)[1::-1], "1", "x0"),
             lambda fn, alpha, sigma, weight, target: weigh(fn, torch.cat([alpha, 0 * alpha[:1] + 1]),
                                                            torch.cat([sigma, 0 * sigma[:1]]), weight, target)),
        Case("raises ValueError where the limit is infinite", at_noise("SNR + 1", "eps"),
             lambda fn, *given: says_what_is_impossible(weigh, fn, *given), expect=lambda *given: "raises ValueError",
             hint="what is above 1 / LEAST is as good as infinite"),
        Case("gives float64, () for one level", lambda g: (torch.tensor(0.6), torch.tensor(0.8), "min-snr", "v"),
             weigh, kind="shape", rtol=1e-4),
    ),
    hints=("Keep alpha and sigma above LEAST first: alpha.double().clamp(min=LEAST). Then no special case is left.",
           "d = alpha * target.B(alpha, sigma) - sigma * target.A(alpha, sigma)",
           "weights = weight((alpha / sigma) ** 2) * (sigma / d) ** 2, and raise if (weights > 1 / LEAST).any()"),
)

ZERO_SNR = Exercise(
    id="ch06.zero_snr", title="a table that ends in pure noise", reference=zero_snr, points=3, minutes=15,
    difficulty="medium",
    cases=(
        Case("shifts and scales sqrt(alpha_bar)", lambda g: (a_table(g),),
             hint="root[1:] minus its last entry, times root[1] / (root[1] - root[-1]); then the square"),
        Case("ends at 0, and keeps steps 0 and 1", lambda g: (a_table(g, whole(g, 3, 30)),),
             lambda fn, table: fn(table)[[0, 1, -1]], expect=lambda table: torch.cat([table[:2], 0 * table[:1]]),
             hint="entry 0 is clean data and stays 1; the scale is chosen so that entry 1 comes back"),
        Case("leaves a table that ends in noise as it is", lambda g: (zero_snr(a_table(g)),),
             expect=lambda table: table),
        Case("works for 2 steps", lambda g: (a_table(g, 2),)),
        Case("raises ValueError for a single step", lambda g: (a_table(g, 1),), says_what_is_impossible,
             expect=lambda *given: "raises ValueError", hint="with one step, first and last are the same: 0 / 0"),
        Case("gives float64", lambda g: (a_table(g).float(),), kind="shape", rtol=1e-4),
    ),
    hints=("Take the roots first: root = alpha_bar.double().sqrt(). Entry 0 takes no part in shift and scale.",
           "A line through two points: the first of root[1:] stays, the last goes to 0.",
           "checked(torch.cat([root[:1], moved]) ** 2) makes sure that what you return is a table."),
)


def brightness_from(t, pixels):
    """The spread of brightness that a sampler keeps which starts at t of the repaired table."""
    return brightness_ratio(zero_snr(alpha_bar_of(scaled_linear_betas()))[t], pixels, 0.5)


NUMBERS = (Numbers("ch06.experiment_start", rtol=0.02, expected=lambda: {
    (t, d): brightness_from(t, d) for d in (784, 512 * 512 * 3) for t in (1000, 991, 951, 901)}),)
EXERCISES = (COSINE_BETAS, CONVERT, LOSS_WEIGHT, ZERO_SNR)
