"""The exercises of chapter 02: the posterior, the KL of two Gaussians, the decoder; the ELBO's are in ch02_elbo."""

import math

import torch

from minidiff.exercises.core import Case, Exercise
from minidiff.process.elbo import discretized_loglik, kl_gauss
from minidiff.process.forward import q_sample
from minidiff.process.posterior import posterior
from minidiff.process.targets import predict_x0

T = 20  # few and large steps: wrong formulas differ a lot


def a_table(generator):
    """A random table alpha_bar (T + 1,), float64, with betas between 0.02 and 0.2."""
    betas = 0.02 + 0.18 * torch.rand(T, generator=generator, dtype=torch.float64)
    return torch.cat([torch.ones(1, dtype=torch.float64), torch.cumprod(1 - betas, dim=0)])


def normal(generator, *shape, dtype=torch.float64):
    return torch.randn(*shape, generator=generator, dtype=dtype)


def times(generator, n, first=1):
    """n steps in first..T, the first and the last among them."""
    some = torch.randint(first, T + 1, (n,), generator=generator)
    some[0], some[-1] = T, first
    return some


def grey(generator, *shape, levels=256):
    """Pictures on the grid of grey values, black and white among them."""
    k = torch.randint(0, levels, shape, generator=generator)
    k.view(-1)[:2] = torch.tensor([0, levels - 1])
    return k.double() * 2 / (levels - 1) - 1


def bayes_on_a_grid(x_t, x0, t, alpha_bar):
    """Mean and variance of x_{t-1} by brute force: prior times likelihood on 40,001 points, then normalised."""
    a_t, a_s = (alpha_bar[k].reshape(-1, *[1] * x0.ndim) for k in (t, t - 1))
    x_s, beta = torch.linspace(-12, 12, 40_001, dtype=torch.float64), 1 - a_t / a_s
    log_prior = -((x_s - a_s.sqrt() * x0[..., None]) ** 2) / (2 * (1 - a_s))
    p = (log_prior - (x_t[..., None] - (1 - beta).sqrt() * x_s) ** 2 / (2 * beta)).softmax(dim=-1)
    mean = (p * x_s).sum(dim=-1)
    return mean, (p * (x_s - mean[..., None]) ** 2).sum(dim=-1).flatten(1).mean(dim=1)


def posterior_inputs(*shape, first=1, dtype=torch.float64):
    def draw(generator):
        x_t, x0 = normal(generator, *shape, dtype=dtype), normal(generator, *shape, dtype=dtype)
        return x_t, x0, times(generator, shape[0], first), a_table(generator)
    return draw


def one_image(generator):
    """One image at a step in 2..T: nothing to broadcast."""
    x_t, x0 = normal(generator, 1, 1, 2, 2), normal(generator, 1, 1, 2, 2)
    return x_t, x0, torch.randint(2, T + 1, (1,), generator=generator), a_table(generator)


def skipping(generator):
    given = posterior_inputs(6, 1, 6, 6, first=3)(generator)
    return *given, (torch.rand(6, generator=generator) * (given[2] - 1)).long()  # the last t is 3: s = 0 or 1


POSTERIOR = Exercise(
    id="ch02.posterior", title="the step back when the picture is known", reference=posterior, points=4, minutes=20,
    difficulty="medium",
    cases=(
        Case("agrees with Bayes' rule on a grid", one_image, expect=bayes_on_a_grid,
             hint="two results: the mean (2.5), then the variance (2.4), not its root; both need only alpha_bar[t] and "
                  "alpha_bar[t - 1]"),
        Case("uses each image's own step", posterior_inputs(8, 1, 8, 8),
             hint="t holds one step per image: expand_like gives table entries the shape (B, 1, 1, 1)"),
        Case("gives x0 back at t = 1, with variance exactly 0",
             lambda g: (*posterior_inputs(3, 1, 4, 4)(g)[:2], torch.ones(3, dtype=torch.int64), a_table(g)),
             drive=lambda fn, *given: (fn(*given)[0], bool((fn(*given)[1] == 0).all())),
             expect=lambda x_t, x0, t, alpha_bar: (x0, True),
             hint="alpha_bar[0] is 1: if you look up s = t - 1 there is no special case"),
        Case("steps back to any earlier s", skipping, hint="the alpha from s to t is alpha_bar[t] / alpha_bar[s]",
             central=True),
        Case("takes one image and one int t", drive=lambda fn, *given: fn(*given)[0],
             inputs=lambda g: (normal(g, 1, 3, 5, 5), normal(g, 1, 3, 5, 5), 7, a_table(g))),
        Case("steps back to clean data, s = 0, from a later t", lambda g: (
            normal(g, 2, 1, 3, 3), normal(g, 2, 1, 3, 3), int(torch.randint(5, T + 1, (), generator=g)), a_table(g), 0),
             hint="0 is an s that was given: ask `s is None`, since `if not s` and `s or ...` take 0 for nothing"),
        Case("keeps float32 for the mean, float64 and (B,) for the variance",
             posterior_inputs(2, 1, 3, 3, dtype=torch.float32), kind="shape", rtol=1e-4,
             drive=lambda fn, *given: [(str(u.dtype), list(u.shape)) for u in fn(*given)],
             expect=lambda x_t, x0, t, alpha_bar: [("torch.float32", list(x_t.shape)), ("torch.float64", [len(t)])]),
    ),
    hints=(
        "The mean is a weighted sum of x0 and x_t, equation (2.5). Which table entries does each weight need?",
        "s = t - 1 if s is None else s. With a_t = alpha_bar[t] and a_s = alpha_bar[s], the step's alpha is a_t / a_s.",
        "The variance is posterior_variance(t, alpha_bar, s); expand_like gives weights the shape that meets images.",
    ),
)


def noised_at(*shape, dtype=torch.float64):
    def draw(generator):
        x0, eps = normal(generator, *shape, dtype=dtype), normal(generator, *shape, dtype=dtype)
        t, alpha_bar = times(generator, shape[0]), a_table(generator)
        return q_sample(x0, t, eps, alpha_bar), t, eps, alpha_bar
    return draw


def says_what_is_impossible(fn, x_t, t, eps, alpha_bar):
    try:
        fn(x_t, t, eps, alpha_bar)
    except ValueError:
        return "raises ValueError"
    return "raises nothing"


PREDICT_X0 = Exercise(
    id="ch02.predict_x0", title="the picture that a noise stands for", reference=predict_x0, points=3, minutes=10,
    difficulty="easy",
    cases=(
        Case("undoes q_sample", lambda g: (normal(g, 6, 1, 6, 6), normal(g, 6, 1, 6, 6), times(g, 6), a_table(g)),
             expect=lambda x0, eps, t, alpha_bar: x0,
             drive=lambda fn, x0, eps, t, alpha_bar: fn(q_sample(x0, t, eps, alpha_bar), t, eps, alpha_bar),
             hint="solve the jump x_t = alpha x0 + sigma eps for x0"),
        Case("uses each image's own step", noised_at(7, 1, 7, 7), hint="t holds one step per image: use expand_like"),
        Case("takes one image and one int t", lambda g: (normal(g, 1, 3, 5, 5), 7, normal(g, 1, 3, 5, 5), a_table(g))),
        Case("raises ValueError where alpha_bar is 0", drive=says_what_is_impossible,
             inputs=lambda g: (normal(g, 2, 1), times(g, 2), normal(g, 2, 1), torch.linspace(1, 0, T + 1).double()),
             expect=lambda *given: "raises ValueError", hint="ask (alpha == 0).any() before you divide"),
        Case("looks only at the entries that are asked for", lambda g: (
            normal(g, 3, 2), torch.tensor([1, 7, T - 1]), normal(g, 3, 2),
            torch.cat([a_table(g)[:-1], torch.zeros(1)])),
             hint="a table may end in 0; what counts is alpha_bar[t] of these images"),
        Case("keeps shape and float32", noised_at(2, 3, 4, 5, dtype=torch.float32), kind="shape", rtol=1e-4),
    ),
    hints=("x_t = alpha x0 + sigma eps, with alpha = sqrt(alpha_bar[t]): solve for x0.",
           "Both square roots come from the float64 table; expand_like casts them to the dtype of x_t."),
)


def gaussians(*shape):
    def draw(generator):
        return (normal(generator, *shape), 0.2 + torch.rand(*shape, generator=generator, dtype=torch.float64),
                normal(generator, *shape), 0.2 + torch.rand(*shape, generator=generator, dtype=torch.float64))
    return draw


def integral(mean_1, var_1, mean_2, var_2):
    """The KL of two Gaussians as a sum over 20,001 points."""
    z = torch.linspace(-9, 9, 20_001, dtype=torch.float64)
    x = mean_1[..., None] + var_1[..., None].sqrt() * z
    log_p = -(z**2 + torch.log(2 * math.pi * var_1[..., None])) / 2
    log_q = -((x - mean_2[..., None]) ** 2 / var_2[..., None] + torch.log(2 * math.pi * var_2[..., None])) / 2
    return ((-(z**2) / 2).softmax(dim=-1) * (log_p - log_q)).sum(dim=-1)


KL_GAUSS = Exercise(
    id="ch02.kl_gauss", title="the KL of two Gaussians", reference=kl_gauss, points=2, minutes=10, difficulty="easy",
    cases=(
        Case("agrees with the integral of p log(p/q)", gaussians(5), expect=integral,
             hint="the last two arguments are VARIANCES, and the second Gaussian's stands in the denominator"),
        Case("is 0 for two equal Gaussians", lambda g: gaussians(4, 4)(g)[:2],
             drive=lambda fn, mean, variance: fn(mean, variance, mean, variance),
             expect=lambda mean, variance: torch.zeros_like(mean)),
        Case("keeps one number per pixel", gaussians(4, 1, 4, 4), hint="elementwise: sum and average nothing"),
        Case("broadcasts: one variance per image", lambda g: (
            normal(g, 4, 1, 4, 4), torch.rand(4, 1, 1, 1, generator=g, dtype=torch.float64) + 0.2,
            normal(g, 4, 1, 4, 4), torch.rand(4, 1, 1, 1, generator=g, dtype=torch.float64) + 0.2)),
    ),
    hints=("Equation (2.12): half of (log of the ratio of variances + two quotients - 1).",
           "0.5 * (log(var_2 / var_1) + (var_1 + squared difference of means) / var_2 - 1)"),
)


def bins_sum(fn, mean, std, levels):
    return torch.exp(fn(torch.linspace(-1, 1, levels).double()[:, None], mean, std, levels)).sum(dim=0)


DISCRETIZED_LOGLIK = Exercise(
    id="ch02.discretized_loglik", title="the probability of a grey value", reference=discretized_loglik, points=4,
    minutes=25, difficulty="hard",
    cases=(
        Case("the 256 bins of a pixel sum to 1", lambda g: (
            2 * normal(g, 6), torch.tensor([0.002, 0.01, 0.05, 0.3, 1, 20], dtype=torch.float64), 256), drive=bins_sum,
             expect=lambda mean, std, levels: torch.ones_like(mean), rtol=1e-5, atol=1e-6,
             hint="half a grey level, 1 / (levels - 1), to each side; the bins of black and white reach to infinity"),
        Case("gives each grey value its share of the bell", lambda g: (
            grey(g, 4, 1, 4, 4), normal(g, 4, 1, 4, 4) / 2, 0.1 + torch.rand(4, 1, 1, 1, generator=g).double()),
             hint="a bin reaches half a grey level to each side: the cdf at its right end minus that at its left end"),
        Case("stays exact far out in both tails", lambda g: (
            grey(g, 2, 1, 5, 5), torch.sign(normal(g, 2, 1, 5, 5)), torch.tensor([[[[0.05]]], [[[0.01]]]]).double()),
             hint="near 1 a cdf has no digits left: use the symmetry of the bell, and torch.special.log_ndtr"),
        Case("takes other numbers of grey levels", lambda g: (
            grey(g, 2, 1, 4, 4, levels=8), normal(g, 2, 1, 4, 4) / 2, torch.tensor(0.2).double(), 8),
             hint="neighbouring grey values are 2 / (levels - 1) apart"),
        Case("keeps one number per pixel, and float32", lambda g: (
            grey(g, 3, 1, 3, 3).float(), torch.zeros(3, 1, 3, 3), torch.tensor(0.5)), kind="shape", rtol=1e-4,
             hint="compute as wide as you like, and give the result the shape and the dtype of x: `.to(x.dtype)`"),
    ),
    hints=(
        "With half = 1 / (levels - 1) the bin of x reaches from x - half to x + half; in units of the bell those are "
        "(x - half - mean) / std and (x + half - mean) / std.",
        "torch.where(x < half - 1, -torch.inf, ...) opens the bin of black. A bin whose middle lies right of the mean: "
        "swap its ends and their signs. The bell is symmetric, and left of the mean cdfs are small and exact.",
        "log(a - b) = log a + log(1 - b / a) with log a and log b from torch.special.log_ndtr; "
        "1 - exp(u) is -torch.expm1(u).",
    ),
)


EXERCISES = (POSTERIOR, PREDICT_X0, KL_GAUSS, DISCRETIZED_LOGLIK)
