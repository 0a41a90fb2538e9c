"""Exercises of chapter 01 on how much of a picture is left, and the numbers of its experiment."""

import warnings

import torch
from torch.distributions import Normal, kl_divergence

from minidiff.exercises.ch01 import IN_FLOAT32, a_table, form, integer, number, uniform, values
from minidiff.exercises.core import Case, Exercise
from minidiff.exercises.numbers import Numbers
from minidiff.process.forward import brightness_ratio, prior_kl, snr
from minidiff.process.schedules import alpha_bar_of, linear_betas

SNR = Exercise(
    "ch01.snr", "The signal-to-noise ratio", snr, points=1, minutes=5, difficulty="easy",
    cases=(
        Case("is the power of the picture over the power of the noise", lambda g: (a_table(g)[1:],), values,
             expect=lambda a: a / (1 - a), hint="power is the SQUARE of a factor"),
        Case("is 1 where picture and noise have the same power",
             lambda g: (torch.full((3,), 0.5, dtype=torch.float64),), values),
        Case("is infinite for clean data, and 0 for pure noise",
             lambda g: (torch.tensor([1.0, 0.25, 0.0], dtype=torch.float64),), values,
             expect=lambda a: torch.tensor([float("inf"), 1 / 3, 0.0], dtype=torch.float64),
             hint="1 / 0 is inf in PyTorch, and here that is the right answer: nothing to guard against"),
        Case("is right for a single number out of the table", lambda g: (a_table(g)[13],), values),
        Case("keeps the shape and the dtype of the table", lambda g: (a_table(g),), form, kind="shape"),
    ),
    hints=("In x_t = sqrt(alpha_bar) x0 + sqrt(1 - alpha_bar) eps, which factor is the signal's, which the noise's?",
           "A ratio of two variances, not of two standard deviations."))


# --- prior_kl ---

def pictures(g, dtype=torch.float32):
    return uniform(g, -1, 1, 2, 1, 4, 4).to(dtype)


def kl_of_torch(x0, alpha_bar_T):
    a = torch.as_tensor(alpha_bar_T, dtype=torch.float64)
    return kl_divergence(Normal(a.sqrt() * x0.double(), (1 - a).sqrt()), Normal(0 * a, 1 + 0 * a))


PRIOR_KL = Exercise(
    "ch01.prior_kl", "What is left at T, in nats", prior_kl, points=2, minutes=10, difficulty="medium",
    cases=(
        Case("is the divergence of q(x_T | x0) from N(0, 1), per pixel",
             lambda g: (pictures(g), a_table(g, T=8)[-1]), values, expect=kl_of_torch,
             hint="equation (1.9), with the natural logarithm"),
        Case("takes a plain number for alpha_bar_T, too",
             lambda g: (pictures(g), number(g, 0.2, 0.6)), values, expect=kl_of_torch,
             hint="alpha_bar_T may be a plain number: `torch.as_tensor(alpha_bar_T, dtype=torch.float64)` makes a "
                  "tensor of it, and torch.log1p takes tensors only"),
        Case("is more than 0 for a grey pixel (x0 = 0): the variance is not 1 either",
             lambda g: (torch.zeros(1, 1, 2, 2), number(g, 0.3, 0.8)), values, expect=kl_of_torch),
        Case("is right when almost nothing is left",
             lambda g: (pictures(g, torch.float64), torch.tensor(2.4e-9, dtype=torch.float64)), values, **IN_FLOAT32,
             hint="float64, please: in float32, 1 - 2.4e-9 is just 1"),
        Case("keeps its digits for a grey pixel of which almost nothing is left",
             lambda g: (torch.zeros(1, 1, 2, 2).double(), torch.tensor(number(g, 1e-7, 2e-7), dtype=torch.float64)),
             values,
             expect=lambda x0, a: (a**2 / 4 + a**3 / 6).expand(x0.shape), rtol=1e-4, atol=0.0,
             hint="1 - a rounds to 16 digits, and its logarithm is as small as a: torch.log1p(-a) does not round"),
        Case("has the shape of x0, in float64", lambda g: (pictures(g), number(g, 0.2, 0.6)), form, kind="shape"),
    ),
    hints=("Equation (1.9) is elementwise in x0: no sum, no mean.",
           "Make float64 of both arguments first, `torch.as_tensor(alpha_bar_T, dtype=torch.float64)` and "
           "`x0.double()`: the interesting numbers are as small as 1e-9.",
           "`torch.log1p(-a)` is log(1 - a) without loss of digits at small a."))


# --- brightness_ratio ---

BRIGHTNESS = Exercise(
    "ch01.brightness_ratio", "How much brightness is lost", brightness_ratio, points=2, minutes=10, difficulty="medium",
    cases=(
        Case("is the true spread over the one that x_T should have had",
             lambda g: (a_table(g, T=8)[-1], integer(g, 20, 900), number(g, 0.2, 0.9)),
             expect=lambda a, d, sd: float(1 / (a * d * sd**2 + 1 - a) ** 0.5),
             hint="1 / sqrt(v): a spread is a standard deviation, v is a variance"),
        Case("takes a plain number for alpha_bar_T, too",
             lambda g: (number(g, 0.05, 0.9), integer(g, 20, 900), number(g, 0.2, 0.9)),
             hint="torch.sqrt takes tensors only; `** 0.5` takes tensors and numbers"),
        Case("is 1 when nothing is left of the picture at T", lambda g: (0.0, integer(g, 20, 900), number(g, 0.2, 0.9)),
             expect=lambda a, d, sd: 1.0),
        Case("is 1 when the brightness itself has variance 1",
             lambda g: (number(g, 0.05, 0.9), 16, 0.25), expect=lambda a, d, sd: 1.0,
             hint="the coordinate of brightness is sqrt(d) times the shade: its variance is d sd^2"),
        Case("is above 1 for pictures that hardly differ in brightness",
             lambda g: (number(g, 0.3, 0.9), 9, number(g, 0.01, 0.1))),
    ),
    hints=("Equation (1.12) needs v, and (1.11) says what v is.",
           "S^2 = d sd^2 is the variance of the coordinate of brightness in real pictures.",
           "`float(alpha_bar_T)` makes a plain number of an entry of the table."))


def factor_for(T):
    """The factor on both ends of DDPM's betas with which T steps end at the alpha_bar_T of its 1,000."""
    from scipy.optimize import brentq

    def end(T, factor):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # few steps do not end in noise: that is the experiment
            return float(alpha_bar_of(linear_betas(T, factor * 1e-4, factor * 0.02))[-1].log())
    return brentq(lambda factor: end(T, factor) - end(1000, 1), 1, 50 - 1e-9)


NUMBERS = (Numbers("ch01.few_steps", lambda: {T: factor_for(T) for T in (200, 50, 20, 10)}, rtol=0.01),)
EXERCISES = (SNR, PRIOR_KL, BRIGHTNESS)
