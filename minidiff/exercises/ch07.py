"""The exercises of chapter 07: the step of the whole family, spacings, the ODE, and its inversion."""

import torch

from minidiff.exercises.core import Case, Exercise
from minidiff.process.path import Path, discrete_path
from minidiff.process.schedules import alpha_bar_of, as_table
from minidiff.process.sde import pf_ode_rhs
from minidiff.samplers.ddim import invert
from minidiff.samplers.step import ddim_step
from minidiff.samplers.subsets import SPACINGS, timestep_subset


def randn(generator, *shape, dtype=torch.float64):
    return torch.randn(*shape, generator=generator, dtype=dtype)


def uniform(generator, n, low, high):
    return low + (high - low) * torch.rand(n, generator=generator, dtype=torch.float64)


def whole(generator, low, high):
    return int(torch.randint(low, high + 1, (1,), generator=generator))


def table(beta):
    """The path of the steps beta_1..beta_T, (T,)."""
    return discrete_path(alpha_bar_of(as_table(beta)))


def betas(generator, T=20):
    return uniform(generator, T, 0.2, 0.4)


def one_step(fn, beta, x0, eps, t, s, eta, seed):
    options = {"generator": torch.Generator().manual_seed(seed)} | ({} if eta is None else {"eta": eta})
    return fn(x0, eps, torch.tensor(t), torch.tensor(s), table(beta), **options)


def on_sigma(fn, x0, eps, t, s, eta, seed):
    """A step where alpha = 1 and sigma = t: a path that does not keep the variance."""
    return fn(x0, eps, torch.tensor(t), torch.tensor(s), curved(1.0, 0.0), eta, torch.Generator().manual_seed(seed))


def draws_of_step(fn, beta, x0, eps, t, s, eta, seed):
    """What a step drew, in words; told by the state in which it leaves the generator."""
    generator, tape = (torch.Generator().manual_seed(seed) for _ in range(2))
    fn(x0, eps, torch.tensor(t), torch.tensor(s), table(beta), eta, generator)
    if torch.equal(generator.get_state(), tape.get_state()):
        return "no draw"
    torch.randn(x0.shape, generator=tape, dtype=x0.dtype)
    return "one draw" if torch.equal(generator.get_state(), tape.get_state()) else "other draws"


def step_inputs(generator, t, s, eta, B=4):
    x0, eps = randn(generator, 2, B, 1, 3, B)
    return betas(generator), x0, eps, t, s, eta, whole(generator, 1, 9999)


STEP = Exercise(
    id="ch07.ddim_step", title="One step of the whole family", reference=ddim_step, points=4, minutes=15,
    difficulty="medium",
    cases=(
        Case("is DDIM for eta = 0: all noise is kept", lambda g: step_inputs(g, 14, 9, 0.0), one_step,
             hint="for eta = 0, q is 0 and x_s = alpha_s x0 + sigma_s eps", central=True),
        Case("is ancestral for eta = 1, over pairs that are far apart", lambda g: step_inputs(g, 17, 3, 1.0), one_step,
             hint="q^2 = (sigma_s / sigma_t)^2 (sigma_t^2 - (alpha_t / alpha_s)^2 sigma_s^2) for eta = 1"),
        Case("mixes kept and new noise for eta between", lambda g: step_inputs(g, 12, 7, 0.3 + 0.01 * whole(g, 0, 40)),
             one_step, hint="eta multiplies q, so q^2 has eta^2; the kept noise is sqrt(sigma_s^2 - q^2)",
             central=True),
        Case("works on a path with alpha = 1 too",
             lambda g: (*randn(g, 2, 2, 1, 3, 2), 1.9, 0.8, 0.8, whole(g, 1, 9999)), on_sigma,
             hint="use sigma of the path where sigma stands, not 1 - alpha^2", central=True),
        Case("draws nothing when eta = 0", lambda g: step_inputs(g, 8, 5, 0.0, B=3), draws_of_step,
             hint="a draw that is multiplied by 0 still moves the generator on"),
        Case("draws nothing in the step to clean data", lambda g: step_inputs(g, 6, 0, 1.0, B=1), draws_of_step,
             hint="sigma_s = 0 makes q = 0: draw only where q > 0"),
        Case("is ancestral if nobody says eta", lambda g: step_inputs(g, 9, 4, None, B=2), one_step),
    ),
    hints=("find q first: the spread of the new noise, a number",
           "new noise has variance q^2 and all noise together sigma_s^2, so the kept noise has sigma_s^2 - q^2",
           "torch.randn(x0.shape, generator=generator, dtype=x0.dtype), and only if q > 0"))


def grid(fn, *arguments):
    return fn(*arguments).tolist()


def refused(fn, *arguments):
    try:
        return f"gives {fn(*arguments)}"
    except ValueError:
        return "raises ValueError"


SUBSET = Exercise(
    id="ch07.timestep_subset", title="Which steps are visited", reference=timestep_subset, points=3, minutes=15,
    difficulty="easy",
    cases=(
        Case("trailing: starts at T and ends at 0", lambda g: (whole(g, 90, 400), whole(g, 3, 80), "trailing"), grid,
             hint="`spaced(T, n)` of chapter 04 is this grid"),
        Case("is trailing if nobody says otherwise", lambda g: (whole(g, 90, 400), whole(g, 3, 80)), grid),
        Case("leading: 1, 1 + T // n, 1 + 2 (T // n), ..., from the top, and 0",
             lambda g: (whole(g, 90, 400), whole(g, 3, 80), "leading"), grid,
             hint="n multiples of T // n, from 0 on; plus 1; turned round; and 0 at the end"),
        Case("linspace: from T to 1 in n points, and 0",
             lambda g: (whole(g, 90, 400), whole(g, 3, 80), "linspace"), grid,
             hint="1 + torch.linspace(T - 1, 0, n, dtype=torch.float64).round()"),
        Case("one step, and as many as there are, on every grid", lambda g: (whole(g, 5, 40),),
             lambda fn, T: [[grid(fn, T, n, kind) for n in (1, T)] for kind in SPACINGS],
             hint="the clean end, 0, is not one of the n steps"),
        Case("refuses n = 0 and n > T with a ValueError", lambda g: (whole(g, 5, 40),),
             lambda fn, T: [refused(fn, T, n, kind) for n in (0, T + 1) for kind in SPACINGS],
             hint="`spaced` raises it for you, if you call it first"),
        Case("gives whole numbers as a tensor", lambda g: (whole(g, 90, 400), whole(g, 3, 80)),
             lambda fn, T, n: [str(fn(T, n, kind).dtype) for kind in SPACINGS], kind="shape",
             hint="a sampler looks its times up in a table: int64"),
    ),
    hints=("all three end with 0, and have n + 1 entries",
           "torch.arange(n - 1, -1, -1) counts down from n - 1 to 0",
           "torch.cat([steps, torch.zeros(1, dtype=torch.int64)])"))


def curved(power, rate):
    """A path that keeps no variance: alpha = exp(-rate t), sigma = t^power."""
    def real(t):
        return torch.as_tensor(t, dtype=torch.float64)
    return Path(lambda t: torch.exp(-rate * real(t)), lambda t: real(t) ** power, 2.0)


def slope_of_ode(fn, eps, x, t, power, rate):
    return fn(eps, x, t, curved(power, rate))


def true_slope(eps, x, t, power, rate):
    """alpha' x0 + sigma' eps, in closed form."""
    t = t.reshape(-1, *[1] * (x.ndim - 1))
    alpha, sigma = torch.exp(-rate * t), t**power
    x0 = (x - sigma * eps) / alpha
    return -rate * alpha * x0 + power * t ** (power - 1) * eps


def ode_inputs(generator, B=4):
    return (*randn(generator, 2, B, 1, 2, B), uniform(generator, B, 0.3, 1.7),
            float(uniform(generator, 1, 0.6, 1.8)), float(uniform(generator, 1, 0.3, 1.2)))


PF_ODE = Exercise(
    id="ch07.pf_ode_rhs", title="The probability-flow ODE", reference=pf_ode_rhs, points=4, minutes=15,
    difficulty="medium",
    cases=(
        Case("moves picture and noise as the path does", ode_inputs, slope_of_ode, expect=true_slope,
             hint="f x + g^2 eps / (2 sigma), with f and g^2 from drift_and_diffusion(path, t)", central=True),
        Case("is right at one time for all", lambda g: (*randn(g, 2, 3, 5), uniform(g, 1, 0.3, 1.7)[0], 1.3, 0.7),
             slope_of_ode, expect=true_slope),
        Case("keeps every picture's own time when B is the width", lambda g: ode_inputs(g, B=6), slope_of_ode,
             expect=true_slope, hint="expand_like(values, x) gives (B,) the shape that multiplies x"),
        Case("works for one picture", lambda g: ode_inputs(g, B=1), slope_of_ode, expect=true_slope),
        Case("keeps float32", lambda g: tuple(u.float() for u in ode_inputs(g, B=2)[:3]) + (1.5, 0.4),
             lambda fn, *inputs: str(slope_of_ode(fn, *inputs).dtype), kind="shape",
             hint="expand_like gives the dtype of x as well"),
    ),
    hints=("the score is -eps / sigma; half of g^2 times it is taken from the drift",
           "f, g2 = drift_and_diffusion(path, t): two tensors of the shape of t"))


def upwards(fn, beta, x, times, mean, variance):
    """The whole way up with the exact denoiser of N(mean, variance): what it yields, and where it asked."""
    path, asked = table(beta), []
    def denoise(x, t):
        asked.append(int(t))
        alpha, sigma = float(path.alpha(t)), float(path.sigma(t))
        if sigma == 0:
            return x, float("nan") * x  # clean data: nobody knows the noise of nothing
        x0 = mean + alpha * variance / (alpha**2 * variance + sigma**2) * (x - alpha * mean)
        return x0, (x - alpha * x0) / sigma
    steps = list(fn(denoise, x, times, path))
    return {"t": [int(t) for t, _, _ in steps], "x_t": [x for _, x, _ in steps], "asked": asked}


def form_of_way_up(fn, beta, x, times, mean, variance):
    """What the way up yields, in shapes; the denoiser has a weight that asks for gradients."""
    weight = torch.ones((), dtype=x.dtype, requires_grad=True)
    steps = fn(lambda x, t: (weight * x, weight * x), x, times, table(beta))
    return [(len(item), list(item[1].shape), item[1].requires_grad) for item in steps]


def invert_inputs(generator, times, B=4):
    mean, variance = uniform(generator, 2, 0.3, 0.9).tolist()
    return betas(generator), randn(generator, B, 1, 3, B), torch.tensor(times), mean, variance


INVERT = Exercise(
    id="ch07.invert", title="From a picture to its noise", reference=invert, points=4, minutes=20, difficulty="medium",
    cases=(
        Case("climbs from a noisy picture", lambda g: invert_inputs(g, [3, 7, 12, 20]), upwards,
             hint="x_t = (alpha_t / alpha_s) x_s + (sigma_t - alpha_t sigma_s / alpha_s) eps, eps asked at (x_s, s)"),
        Case("climbs from clean data, where the first question is asked at the next time",
             lambda g: invert_inputs(g, [0, 2, 9, 20]), upwards,
             hint="where sigma_s is 0 there is no noise to name: ask the denoiser at t"),
        Case("goes through every step", lambda g: invert_inputs(g, list(range(21)), B=3), upwards, central=True),
        Case("makes one step and stops in the middle", lambda g: invert_inputs(g, [5, 12], B=1), upwards),
        Case("keeps no gradients and yields t, x_t and eps", lambda g: invert_inputs(g, [2, 8, 20], B=2),
             form_of_way_up, kind="shape", hint="@torch.no_grad() above the function, yield in the loop"),
    ),
    hints=("the loop of `ddim`, with the roles of s and t exchanged: zip(times[:-1], times[1:]) gives (s, t), s < t",
           "equation (7.5) with s and t exchanged, both sides times alpha",
           "alpha and sigma are numbers: float(path.alpha(t))"))


EXERCISES = (STEP, SUBSET, PF_ODE, INVERT)
