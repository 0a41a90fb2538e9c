"""Every numbered equation of chapter 03, verified with numbers."""

import copy
import math

import pytest
import torch

from minidiff.evaluation.mixture import Mixture
from minidiff.models.mlp import MLP
from minidiff.process.forward import q_sample
from minidiff.process.path import discrete_path
from minidiff.process.schedules import alpha_bar_of, linear_betas
from minidiff.process.score import score_from_eps, tweedie
from minidiff.samplers.langevin import langevin
from minidiff.training.ema import ema_decay, ema_update

ALPHA_BAR = alpha_bar_of(linear_betas())
PATH = discrete_path(ALPHA_BAR)
ISLANDS = Mixture([0.1, 0.2, 0.3, 0.4], [[1.0, 1.0], [-1.0, 0.9], [-0.9, -1.0], [0.9, -0.9]], [0.3, 0.35, 0.35, 0.4])
STEPS = (20, 100, 400, 900)


def gen(seed=0):
    return torch.Generator().manual_seed(seed)


def at(t):
    return ISLANDS.noised(PATH.alpha(t), PATH.sigma(t))


def plane(n=225, reach=7.0):
    """Points that cover the plane as far as there is density, and the area of one cell."""
    line = torch.linspace(-reach, reach, n, dtype=torch.float64)
    return torch.cartesian_prod(line, line), float(line[1] - line[0]) ** 2


def pairs(n, t, seed=0):
    """n draws (x0, eps, x_t)."""
    g = gen(seed)
    x0 = ISLANDS.sample(n, g)
    eps = torch.randn(x0.shape, generator=g, dtype=x0.dtype)
    return x0, eps, q_sample(x0, t, eps, ALPHA_BAR)


def within_error(values, expected, errors=4):
    """The mean of independent values equals `expected` within `errors` standard errors."""
    return abs(float(values.mean()) - float(expected)) < errors * float(values.std()) / len(values) ** 0.5


def over_x0(x_t, t, values):
    """E[values(x0) | x_t] for each x_t by brute force over a fine grid of x0. values: (N, D) -> (N, D)."""
    x0, _ = plane(n=401, reach=5.0)
    alpha, sigma = PATH.alpha(t), PATH.sigma(t)
    log_weight = ISLANDS.log_density(x0) - (x_t[:, None] - alpha * x0).square().sum(dim=-1) / (2 * sigma**2)
    return torch.softmax(log_weight, dim=1) @ values(x0)


POINTS = torch.tensor([[0.0, 0.0], [0.8, -0.5], [-1.5, 1.0], [0.3, 2.0]], dtype=torch.float64)


@pytest.mark.equation("3.1")
def test_the_score_is_the_slope_of_the_density_over_the_density():
    h, x = 1e-5, POINTS

    def density(x):
        return ISLANDS.log_density(x).exp()

    slope = torch.stack([(density(x + h * e) - density(x - h * e)) / (2 * h) for e in torch.eye(2).double()], dim=1)
    torch.testing.assert_close(slope / density(x)[:, None], ISLANDS.score(x), rtol=1e-6, atol=1e-6)
    x = x.clone().requires_grad_()
    a_third = ISLANDS.log_density(x) - math.log(3)  # a constant factor cancels
    torch.testing.assert_close(torch.autograd.grad(a_third.sum(), x)[0], ISLANDS.score(x.detach()))


@pytest.mark.equation("3.2")
def test_each_island_pulls_by_its_share():
    x = POINTS
    p_k = ISLANDS.weights * torch.exp(-(x[:, None] - ISLANDS.means).square().sum(dim=-1) / (2 * ISLANDS.stds**2)) / (
        2 * math.pi * ISLANDS.stds**2)
    share = p_k / p_k.sum(dim=1, keepdim=True)
    pulls = sum(share[:, k:k + 1] * (ISLANDS.means[k] - x) / ISLANDS.stds[k] ** 2 for k in range(4))
    torch.testing.assert_close(ISLANDS.score(x), pulls)


@pytest.mark.equation("3.3")
@pytest.mark.parametrize("t", STEPS)
def test_a_noised_mixture_is_a_mixture(t):
    """Against the convolution, q(x_t) = sum over a grid of x0 of p(x0) N(x_t; alpha x0, sigma^2)."""
    x0, cell = plane(n=401, reach=5.0)
    alpha, sigma = PATH.alpha(t), PATH.sigma(t)
    kernel = torch.exp(-(POINTS[:, None] - alpha * x0).square().sum(dim=-1) / (2 * sigma**2))
    q = (ISLANDS.log_density(x0).exp() * kernel).sum(dim=1) * cell / (2 * math.pi * sigma**2)
    torch.testing.assert_close(at(t).log_density(POINTS), q.log(), rtol=1e-6, atol=1e-6)


@pytest.mark.equation("3.4")
@pytest.mark.parametrize("t", STEPS)
def test_the_score_is_the_mean_arrow(t):
    x_t, a = POINTS, ALPHA_BAR[t]
    mean_x0 = over_x0(x_t, t, lambda x0: x0)
    arrows = (a.sqrt() * mean_x0 - x_t) / (1 - a)  # the arrow is linear in x0
    torch.testing.assert_close(at(t).score(x_t), arrows, rtol=1e-6, atol=1e-6)


@pytest.mark.equation("3.5")
@pytest.mark.parametrize("t", STEPS)
def test_tweedie(t):
    x_t = POINTS
    torch.testing.assert_close(tweedie(x_t, at(t).score(x_t), t, PATH), over_x0(x_t, t, lambda x0: x0),
                               rtol=1e-6, atol=1e-6)


@pytest.mark.equation("3.6")
@pytest.mark.parametrize("t", STEPS)
def test_the_mean_noise_is_minus_sigma_times_the_score(t):
    x_t, a = POINTS, ALPHA_BAR[t]
    mean_eps = over_x0(x_t, t, lambda x0: x0)
    mean_eps = (x_t - a.sqrt() * mean_eps) / (1 - a).sqrt()
    torch.testing.assert_close(mean_eps, -(1 - a).sqrt() * at(t).score(x_t), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(score_from_eps(mean_eps, t, PATH), at(t).score(x_t), rtol=1e-6, atol=1e-6)


@pytest.mark.equation("3.7")
@pytest.mark.parametrize("f", [torch.zeros_like, torch.sin, lambda x: x * x.flip(1)], ids=["zero", "sin", "product"])
def test_the_squared_error_splits_into_chance_and_fault(f):
    """With y = x0 and x = x_t: the cross term has mean zero."""
    t = 300
    x0, _, x_t = pairs(200_000, t)
    best = ISLANDS.denoise(x_t, PATH.alpha(t), PATH.sigma(t))
    split = (x0 - f(x_t)).square() - (x0 - best).square() - (best - f(x_t)).square()
    assert within_error(split.sum(dim=1), 0)
    assert not within_error(((x0 - f(x_t)).square() - (x0 - best).square()).sum(dim=1), 0)


@pytest.mark.equation("3.8")
@pytest.mark.parametrize("t", STEPS)
def test_denoising_and_explicit_score_matching_differ_by_a_constant(t):
    _, eps, x_t = pairs(200_000, t)
    target, exact = -eps / PATH.sigma(t), at(t).score(x_t)
    points, cell = plane()
    q = at(t)
    constant = 2 / PATH.sigma(t) ** 2 - (q.log_density(points).exp() * q.score(points).square().sum(1)).sum() * cell
    for f in (torch.zeros_like, torch.neg, torch.sin):
        gap = (f(x_t) - target).square().sum(dim=1) - (f(x_t) - exact).square().sum(dim=1)
        assert within_error(gap, constant)


@pytest.mark.equation("3.9")
@pytest.mark.parametrize("t", STEPS)
def test_the_irreducible_loss(t):
    _, eps, x_t = pairs(200_000, t)
    points, cell = plane()
    q, variance = at(t), 1 - ALPHA_BAR[t]
    floor = 1 - variance / 2 * (q.log_density(points).exp() * q.score(points).square().sum(dim=1)).sum() * cell
    perfect = -variance.sqrt() * q.score(x_t)
    assert within_error((eps - perfect).square().mean(dim=1), floor)


@pytest.mark.equation("3.10")
def test_the_moving_average():
    torch.manual_seed(0)
    average, net = MLP(width=4), MLP(width=4)
    for n in (0, 5, 100_000):
        before = copy.deepcopy(average)
        d = min(0.999, (1 + n) / (10 + n))
        ema_update(average, net, n)
        for kept, old, new in zip(average.parameters(), before.parameters(), net.parameters(), strict=True):
            torch.testing.assert_close(kept, d * old + (1 - d) * new)
    assert math.prod(0.9999 for _ in range(1000)) == pytest.approx(0.905, abs=1e-3)
    assert math.prod(ema_decay(n, 0.9999) for n in range(1000)) < 1e-20


@pytest.mark.equation("3.11")
def test_one_step_of_langevin_moves_by_the_score_and_shakes_by_the_root_of_two_h():
    h, n = 0.02, 400_000
    start = torch.tensor([[0.3, -0.2]], dtype=torch.float64)
    moved = next(langevin(ISLANDS.score, start.expand(n, 2), h, 1, gen())) - start
    for i in range(2):
        assert within_error(moved[:, i], h * ISLANDS.score(start)[0, i])
        assert within_error((moved[:, i] - moved[:, i].mean()) ** 2, 2 * h)


PHI = {  # a function of x = (x_1, x_2) with its gradient and the sum of its second derivatives
    "square": (lambda x: 2 * x, lambda x: 4 + 0 * x[:, 0]),
    "waves": (lambda x: torch.stack([-x[:, 0].sin() * x[:, 1].cos(), -x[:, 0].cos() * x[:, 1].sin()], dim=1),
              lambda x: -2 * x[:, 0].cos() * x[:, 1].cos()),
    "cubic": (lambda x: torch.stack([2 * x[:, 0] * x[:, 1], x[:, 0] ** 2], dim=1), lambda x: 2 * x[:, 1]),
}


@pytest.mark.equation("3.12")
@pytest.mark.parametrize("name", PHI)
def test_langevin_keeps_every_mean_to_first_order(name):
    gradient, laplace = PHI[name]
    x, cell = plane()
    p = ISLANDS.log_density(x).exp() * cell
    drift, noise = (p * (ISLANDS.score(x) * gradient(x)).sum(dim=1)).sum(), (p * laplace(x)).sum()
    assert abs(float(drift + noise)) < 1e-6
    assert abs(float(drift + noise / 2)) > 0.05  # with sqrt(h) for sqrt(2 h) it would not be zero


@pytest.mark.equation("3.13")
@pytest.mark.parametrize("h", [0.05, 0.3, 1.0])
def test_a_finite_step_widens_a_gaussian(h):
    v, n = 0.7, 100_000
    start = torch.randn(n, 1, generator=gen(1), dtype=torch.float64) * (v / (1 - h / (2 * v))) ** 0.5
    for x in langevin(lambda x: -x / v, start, h, 20, gen()):
        pass
    assert float(x.var()) == pytest.approx(v / (1 - h / (2 * v)), rel=4 * (2 / n) ** 0.5)
