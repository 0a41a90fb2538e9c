"""Exercises of chapter 01: the schedules, and the jump to step t."""


import torch

from minidiff.exercises.core import Case, Exercise
from minidiff.process.forward import q_sample
from minidiff.process.schedules import alpha_bar_of, cosine_betas, linear_betas


def uniform(generator, low, high, *shape):
    return low + (high - low) * torch.rand(shape, generator=generator, dtype=torch.float64)


def number(generator, low, high):
    return float(uniform(generator, low, high))


def integer(generator, low, high):
    return int(torch.randint(low, high + 1, (), generator=generator))


def a_schedule(generator, T=20):
    """Betas up to 0.2, so that wrong formulas differ a lot: (T + 1,) with betas[0] = 0."""
    return torch.cat([torch.zeros(1, dtype=torch.float64), uniform(generator, 0.02, 0.2, T)])


def a_table(generator, T=20):
    return torch.cumprod(1 - a_schedule(generator, T), dim=0)


def wide(value):
    """A tensor's values in float64: its dtype is asked for by a case of its own."""
    return value.double() if isinstance(value, torch.Tensor) else value


def values(fn, *inputs):
    return wide(fn(*inputs))


IN_FLOAT32 = {"rtol": 1e-5, "atol": 1e-6}  # for values that were computed there, and then made wide


def form(fn, *inputs):
    out = fn(*inputs)
    return f"shape {tuple(out.shape)}, {str(out.dtype)[6:]}" if isinstance(out, torch.Tensor) else out


# --- linear_betas ---

def random_line(g):
    return integer(g, 5, 40), number(g, 0.001, 0.05), number(g, 0.1, 0.3)


def falling_line(g):
    return integer(g, 5, 40), number(g, 0.1, 0.3), number(g, 0.001, 0.05)


def ends(fn, T, beta_1, beta_T):
    return wide(fn(T, beta_1, beta_T)[[0, 1, -1]])


def by_name(fn, T, beta_1, beta_T):
    return wide(fn(beta_T=beta_T, T=T, beta_1=beta_1))


def no_arguments(fn):
    return wide(fn())


LINEAR_BETAS = Exercise(
    "ch01.linear_betas", "A straight line of betas", linear_betas, points=2, minutes=5, difficulty="easy",
    cases=(
        Case("has 0 at t = 0, beta_1 at t = 1 and beta_T at t = T", random_line, ends,
             expect=lambda T, beta_1, beta_T: torch.tensor([0, beta_1, beta_T], dtype=torch.float64),
             hint="the line has T points, from step 1 to step T; clean data's 0 comes in front of it"),
        Case("is a straight line in between, for any T and any two ends", random_line, by_name,
             hint="T points, one for each step, and one 0 in front of them: T + 1 entries; the arguments are called T, "
                  "beta_1 and beta_T"),
        Case("is a straight line when the betas fall, too", falling_line, values),
        Case("is the schedule of DDPM when nothing is said", lambda g: (), no_arguments),
        Case("has T + 1 entries of float64", random_line, form, kind="shape",
             hint="T + 1 entries, float64: torch.linspace takes a dtype"),
    ),
    hints=("`torch.linspace(a, b, n)` gives n points of a straight line, both ends among them.",
           "`as_table` puts the 0 of clean data in front.",
           "Ask `torch.linspace` for `dtype=torch.float64`: float32 numbers made wider later stay as coarse."))


# --- alpha_bar_of ---

def with_quiet_steps(g):
    betas = a_schedule(g)
    betas[[3, 4, 11]] = 0
    return (betas,)


def ends_in_noise(g):
    betas = a_schedule(g, T=6)
    betas[6] = 1
    return (betas,)


def entry_0_and_1(fn, betas):
    return wide(fn(betas)[:2])


ALPHA_BAR = Exercise(
    "ch01.alpha_bar_of", "The product alpha_bar", alpha_bar_of, points=2, minutes=5, difficulty="easy",
    cases=(
        Case("is 1 at t = 0 and 1 - beta_1 at t = 1", lambda g: (a_schedule(g),), entry_0_and_1,
             expect=lambda betas: 1 - betas[:2],
             hint="a running product of 1 - beta_s; betas[0] = 0, so its first factor, at t = 0, is 1"),
        Case("multiplies 1 - beta_s over all steps up to t, and t itself", lambda g: (a_schedule(g),), values,
             hint="torch.cumprod is the product of all entries so far"),
        Case("works for one step", lambda g: (a_schedule(g, T=1),), values),
        Case("stands still where beta is 0", with_quiet_steps, values),
        Case("is 0 where a step replaces everything by noise (beta = 1)", ends_in_noise, values),
        Case("keeps the digits of float64 at its small end", lambda g: (cosine_betas(),), values, rtol=1e-8, atol=0.0,
             hint="compute in float64; a table that went through float32 has lost half of its digits"),
        Case("is float64 even for betas in float32", lambda g: (a_schedule(g).float(),), form, kind="shape"),
    ),
    hints=("The factors are 1 - beta_s; betas[0] = 0 gives the factor 1 of clean data.",
           "A running product over a table is one call: look for 'cumulative' in PyTorch's documentation.",
           "Make the betas float64 before you multiply: `betas.double()`."))


# --- q_sample ---

def a_batch(g, *shape, dtype=torch.float32, T=20):
    """A batch in which every image has its own step, with the first and the last among them."""
    x0, eps = (torch.randn(shape, generator=g, dtype=dtype) for _ in range(2))
    t = torch.randperm(T - 1, generator=g)[:shape[0]] + 1
    t[-1] = T
    return x0, t, eps, a_table(g, T)


def one_image(g, *shape):
    """A batch of one image at a step in the middle: right without any thought about shapes."""
    x0, eps = (torch.randn(1, *shape, generator=g) for _ in range(2))
    return x0, torch.tensor([integer(g, 5, 15)]), eps, a_table(g)


def clean_and_noise(g):
    x0, _, eps, _ = a_batch(g, 2, 1, 4, 4)
    return x0, torch.tensor([0, 6]), eps, torch.cumprod(1 - ends_in_noise(g)[0], dim=0)


def one_time_for_all(g):
    x0, _, eps, alpha_bar = a_batch(g, 3, 1, 4, 4)
    return x0, integer(g, 2, 18), eps, alpha_bar


def slopes(fn, x0, t, eps, alpha_bar):
    x0, eps = x0.requires_grad_(), eps.requires_grad_()
    return torch.autograd.grad(fn(x0, t, eps, alpha_bar).sum(), [x0, eps], materialize_grads=True)


def expected_slopes(x0, t, eps, alpha_bar):
    a = alpha_bar[t][:, None, None, None].expand_as(x0)
    return a.sqrt().to(x0), (1 - a).sqrt().to(x0)


Q_SAMPLE = Exercise(
    "ch01.q_sample", "The jump to step t", q_sample, points=3, minutes=10, difficulty="medium",
    cases=(
        Case("works for a single image", lambda g: one_image(g, 3, 5, 4), values, **IN_FLOAT32,
             hint="the picture has the factor sqrt(alpha_bar), the noise the factor sqrt(1 - alpha_bar)"),
        Case("uses each image's own step", lambda g: a_batch(g, 8, 1, 8, 8), values, **IN_FLOAT32,
             hint="t holds one step PER IMAGE: alpha_bar[t] must get the shape (B, 1, 1, 1) before it multiplies"),
        Case("gives x0 back at t = 0, and eps where alpha_bar is 0", clean_and_noise, values,
             expect=lambda x0, t, eps, alpha_bar: torch.stack([x0[0], eps[1]]).double(),
             hint="both factors come from alpha_bar[t] itself: not from t - 1 or t + 1, and with nothing added"),
        Case("works for points in the plane, (B, 2)", lambda g: a_batch(g, 2, 2), values, **IN_FLOAT32,
             hint="count the dimensions of x0 instead of writing (B, 1, 1, 1): `expand_like` does"),
        Case("takes one int t for all images", one_time_for_all, values, **IN_FLOAT32),
        Case("lets gradients through to x0 and eps", lambda g: a_batch(g, 3, 1, 4, 4), slopes, expect=expected_slopes),
        Case("keeps the shape and the dtype of float32 pictures", lambda g: a_batch(g, 4, 1, 6, 6), form, kind="shape",
             hint="tables are float64: give their entries the dtype of x0 before they multiply"),
        Case("works in float64, with float64's precision",
             lambda g: a_batch(g, 4, 2, 3, 3, dtype=torch.float64), rtol=1e-12, atol=1e-12),
    ),
    hints=("It is equation (1.4), with eps for the noise: two products and a sum.",
           "alpha_bar[t] is (B,), x0 is (B, 1, 28, 28). Which axis of x0 does PyTorch match (B,) with?",
           "`expand_like(values, x)` turns (B,) into (B, 1, 1, 1), in the dtype of x."))


# --- snr ---


EXERCISES = (LINEAR_BETAS, ALPHA_BAR, Q_SAMPLE)
