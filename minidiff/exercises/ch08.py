"""The exercises of chapter 08: the exponential step, a grid, better values, Heun's method; two grids in numbers."""

import torch

from minidiff.exercises.core import Case, Exercise
from minidiff.exercises.numbers import Numbers
from minidiff.process.continuous import cosine_path, in_real_time, lambda_of, time_of, vp_path
from minidiff.process.edm import ve_path
from minidiff.process.path import discrete_path
from minidiff.process.schedules import alpha_bar_of, linear_betas
from minidiff.samplers.exponential import exponential_step
from minidiff.samplers.heun import heun
from minidiff.samplers.lambda_grids import lambda_grid
from minidiff.samplers.multistep import value_2m
from minidiff.samplers.singlestep import dpm2_step

PATHS = {"vp": vp_path(), "cosine": cosine_path(), "ve": ve_path()}


def randn(generator, *shape, dtype=torch.float64):
    return torch.randn(*shape, generator=generator, dtype=dtype)


def uniform(generator, n, low, high):
    return low + (high - low) * torch.rand(n, generator=generator, dtype=torch.float64)


def pair(generator, first=(0.5, 0.95), last=(0.05, 0.4)):
    """Two times of a path, the first noisier, as fractions of its T."""
    return uniform(generator, 1, *first)[0], uniform(generator, 1, *last)[0]


def one_step(fn, x, value, t, s, path, *form):
    """A step on a named path, from t T to s T."""
    path = PATHS[path]
    return fn(x, value, t * path.T, s * path.T, path, *form)


def both_forms(fn, *inputs):
    return [one_step(fn, *inputs, form) for form in ("x0", "eps")]


def step_inputs(path, B=6, **times):
    return lambda g: (randn(g, B, 1, 4, B), randn(g, B, 1, 4, B), *pair(g, **times), path)


EXPONENTIAL_STEP = Exercise(
    id="ch08.exponential_step", title="The step of a constant answer", reference=exponential_step, points=4, minutes=15,
    difficulty="medium",
    cases=(
        Case("carries a constant picture through the step", step_inputs("vp"), one_step,
             hint="(sigma_s / sigma_t) x + alpha_s (1 - e^-h) value, with h = lambda_s - lambda_t > 0"),
        Case("carries a constant noise through the step",
             lambda g: (*step_inputs("vp")(g), "eps"), one_step,
             hint="(alpha_s / alpha_t) x - sigma_s (e^h - 1) value, and sigma_s e^h = alpha_s sigma_t / alpha_t"),
        Case("does both where alpha is not sqrt(1 - t)", step_inputs("cosine", B=1), both_forms),
        Case("does both where alpha = 1 and sigma is large", step_inputs("ve", B=3), both_forms,
             hint="lambda is log alpha - log sigma: lambda_of(path, t)"),
        Case("ends in the value itself, or in the picture of that noise, when s is clean",
             lambda g: (randn(g, 4, 1, 2, 4), randn(g, 4, 1, 2, 4), pair(g)[0], torch.zeros(()), "vp"), both_forms,
             hint="at s = 0, h is infinite: e^-h is 0 and makes no trouble, e^h does"),
        Case("goes on from pure noise if the value is a picture",
             lambda g: (randn(g, 2, 3, 3), randn(g, 2, 3, 3), torch.ones(()), pair(g)[1], "cosine"), one_step,
             hint="at alpha_t = 0, lambda_t is minus infinity: e^-h is 0, and nothing is divided by alpha_t"),
    ),
    hints=("first the numbers: alpha and sigma at both ends, and new = 1 - e^-h",
           "new = -torch.expm1(lambda_of(path, t) - lambda_of(path, s)); it is 1 when s is clean",
           "form eps: (alpha_s / alpha_t) x - alpha_s (sigma_t / alpha_t) new value"))


def grid_of(fn, path, n, first, last):
    path = PATHS[path]
    return fn(path, n, first * path.T, last * path.T)


LAMBDA_GRID = Exercise(
    id="ch08.lambda_grid", title="A grid even in lambda", reference=lambda_grid, points=3, minutes=10,
    difficulty="easy",
    cases=(
        Case("cuts lambda in equal steps",
             lambda g: ("vp", 7, *uniform(g, 1, 0.8, 1.0).tolist(), *uniform(g, 1, 0.001, 0.01).tolist()), grid_of,
             hint="torch.linspace between lambda_of(path, first) and lambda_of(path, last), then time_of",
             central=True),
        Case("does so on another path", lambda g: ("cosine", 5, *[float(u) for u in pair(g)]), grid_of),
        Case("does so where the noise level is the time itself", lambda g: ("ve", 12, *[float(u) for u in pair(g)]),
             grid_of, hint="there the times fall by a constant factor"),
        Case("has one time and then 0 for n = 1", lambda g: ("vp", 1, *[float(u) for u in pair(g)]), grid_of,
             hint="n times from first to last, and then 0: n + 1 in all"),
        Case("gives n + 1 float64 numbers that end in 0", lambda g: ("vp", 9, *[float(u) for u in pair(g)]),
             lambda fn, *inputs: (lambda times: (list(times.shape), str(times.dtype), float(times[-1])))(
                 grid_of(fn, *inputs)), kind="shape"),
    ),
    hints=("three lines: the two ends in lambda, the times between them, and a 0 at the end",
           "time_of(path, lam) finds the times of a whole tensor of lambdas",
           "torch.cat([times, torch.zeros(1, dtype=torch.float64)])"))


def gaussian_denoiser(path, mean, variance, asked):
    """The denoiser (x, t) -> (E[x0 | x_t], E[eps | x_t]) of x0 ~ N(mean, variance); notes every t in `asked`."""
    def denoise(x, t):
        asked.append(float(t))
        alpha, sigma = float(path.alpha(t)), float(path.sigma(t))
        x0 = mean + alpha * variance / (alpha**2 * variance + sigma**2) * (x - alpha * mean)
        return x0, (x - alpha * x0) / sigma
    return denoise


def two_asks(fn, x, t, s, path, mean, variance, form):
    """A step that may ask once more on its way: where it ends, and when it asked."""
    path, asked = PATHS[path], []
    t, s = t * path.T, s * path.T
    middle = time_of(path, (lambda_of(path, t) + lambda_of(path, s)) / 2)
    denoiser = gaussian_denoiser(path, mean, variance, asked)
    answer = denoiser(x, t)[("x0", "eps").index(form)]
    return {"x_s": fn(answer, denoiser, x, t, middle, s, path, form), "asked": asked[1:]}


def walker(g, path, form, B=5):
    mean, variance = uniform(g, 2, 0.3, 0.9).tolist()
    return randn(g, B, 1, 3, B), *pair(g), path, mean, variance, form


DPM2_STEP = Exercise(
    id="ch08.dpm2_step", title="Ask again in the middle", reference=dpm2_step, points=3, minutes=10,
    difficulty="medium",
    cases=(
        Case("takes the picture of the middle for the whole step", lambda g: walker(g, "vp", "x0"), two_asks,
             hint="two steps of exponential_step, both from x and t: one to the middle, one to s"),
        Case("takes the noise of the middle for the whole step", lambda g: walker(g, "vp", "eps"), two_asks,
             hint="denoiser(...)[ANSWER[form]] is the answer that the form carries on", central=True),
        Case("does so on another path", lambda g: walker(g, "cosine", "x0", B=1), two_asks),
        Case("does so where alpha = 1", lambda g: walker(g, "ve", "eps", B=3), two_asks),
        Case("asks once, in the middle", lambda g: walker(g, "vp", "x0", B=2),
             lambda fn, *inputs: two_asks(fn, *inputs)["asked"]),
    ),
    hints=("go half way with the answer of the start, ask there, and go the whole way with that",
           "the second step starts at x and t again, not half way"))


def value_of(fn, lams, answers, lam_s):
    return fn([(lam, answer) for lam, answer in zip(lams, answers)], lam_s)


def past(g, n, shape, gaps=(0.2, 1.5)):
    """n lambdas, the newest (largest) first, as many answers, and a lambda at the end of the step ahead."""
    steps = uniform(g, n, *gaps)
    lams = float(uniform(g, 1, -1, 1)) - steps.cumsum(dim=0)
    return list(lams), list(randn(g, n, *shape)), lams[0] + uniform(g, 1, *gaps)[0]


VALUE_2M = Exercise(
    id="ch08.value_2m", title="The middle from the past", reference=value_2m, points=3, minutes=10, difficulty="medium",
    cases=(
        Case("reads the line in the middle of the step ahead", lambda g: past(g, 2, (4, 1, 3, 4)), value_of,
             hint="a line through two points, at lambda + h / 2, where h is the width of the step AHEAD"),
        Case("takes steps of different width", lambda g: past(g, 2, (1, 2, 3), gaps=(0.1, 3.0)), value_of,
             hint="two widths: lam_s - lam for the step ahead, lam - lam_before for the one behind"),
        Case("uses the newest two of a longer past", lambda g: past(g, 4, (3, 3)), value_of,
             hint="past[0] is the newest", central=True),
        Case("answers the newest where both agree",
             lambda g: (lambda lams, answers, lam_s: (lams, [answers[0]] * 2, lam_s))(*past(g, 2, (5, 2))), value_of),
        Case("keeps float32", lambda g: (lambda lams, answers, lam_s: (lams, [a.float() for a in answers], lam_s))(
            *past(g, 2, (2, 3))), lambda fn, *inputs: str(value_of(fn, *inputs).dtype), kind="shape",
             hint="float(...) around the factor keeps a float64 lambda out of the pictures"),
    ),
    hints=("slope = (out - before) / (lam - lam_before), and the middle is h / 2 away",
           "with equal steps it is 3/2 of the last answer minus 1/2 of the one before"))


def walk(fn, x, times, path, mean, variance):
    """The whole walk: what it yields, and when it asked."""
    path, asked = PATHS[path], []
    times = path.T * times
    steps = list(fn(gaussian_denoiser(path, mean, variance, asked), x, times, path))
    return {"s": [float(s) for s, _, _ in steps], "x_s": [x for _, x, _ in steps], "x0": [x0 for _, _, x0 in steps],
            "asked": asked}


def start(g, path, times, B=4):
    mean, variance = uniform(g, 2, 0.3, 0.9).tolist()
    x = randn(g, B, 1, 3, B) * float(PATHS[path].sigma(times[0] * PATHS[path].T))
    return x, torch.tensor(times, dtype=torch.float64), path, mean, variance


HEUN = Exercise(
    id="ch08.heun", title="Heun's method", reference=heun, points=5, minutes=20, difficulty="medium",
    cases=(
        Case("takes the mean noise of both ends", lambda g: start(g, "vp", [0.9, 0.6, 0.3]), walk,
             hint="try the step, ask at its end, and take it again from its start with the mean of both noises"),
        Case("walks to clean data with Euler's step at the end", lambda g: start(g, "vp", [0.9, 0.5, 0.2, 0.0]), walk,
             hint="at sigma = 0 there is no noise to ask for: leave the second evaluation out"),
        Case("does so where alpha = 1", lambda g: start(g, "ve", [1.0, 0.3, 0.05, 0.0], B=3), walk),
        Case("goes to the denoiser's picture in one step", lambda g: start(g, "cosine", [0.8, 0.0], B=1), walk),
        Case("asks 2 N - 1 times", lambda g: start(g, "vp", [0.9, 0.7, 0.5, 0.3, 0.1, 0.0]),
             lambda fn, *inputs: len(walk(fn, *inputs)["asked"])),
        Case("yields s, x_s and the picture that the denoiser saw at t",
             lambda g: start(g, "vp", [0.9, 0.4, 0.0], B=2),
             lambda fn, *inputs: (lambda w: (len(w["s"]), list(w["x_s"][0].shape), w["s"][-1]))(walk(fn, *inputs)),
             kind="shape"),
    ),
    hints=("exponential_step(x, eps, t, s, path, \"eps\") is Euler's step in (x / alpha, sigma / alpha)",
           "keep x until both noises are known: x_s = ... twice, from the same x",
           "if path.sigma(s) > 0: stands around the second evaluation"))


def grids_of_digits():
    """For ten steps even in t and in lambda: the sigma where the last one begins, and how many begin above 0.5."""
    path = in_real_time(discrete_path(alpha_bar_of(linear_betas())))
    grids = {"t": torch.linspace(path.T, 0, 11, dtype=torch.float64), "lambda": lambda_grid(path, 10, 1000.0, 1.0)}
    sigma = {name: path.sigma(times[:-1]) for name, times in grids.items()}
    return {(name, what): float(number) for name, u in sigma.items()
            for what, number in (("last", u[-1]), ("above", (u > 0.5).sum()))}


NUMBERS = (Numbers("ch08.experiment_1", grids_of_digits, rtol=0.02),)
EXERCISES = (EXPONENTIAL_STEP, LAMBDA_GRID, DPM2_STEP, VALUE_2M, HEUN)
