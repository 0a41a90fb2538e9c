"""Every numbered equation of chapter 09, verified with numbers."""

import functools
import math

import pytest
import torch

from minidiff.evaluation.flow_map import gaussian_flow_map
from minidiff.evaluation.gaussian import Gaussian
from minidiff.models.mlp import MLP
from minidiff.process.continuous import cosine_path
from minidiff.process.couplings import straightness
from minidiff.process.flow import (
    as_flow, cfm_loss, flow_time, logit_normal_times, pair_of_velocity, rates, shift_times, velocity_of,
    velocity_to_score,
)
from minidiff.process.forward import per_image
from minidiff.process.targets import V, to_target
from minidiff.samplers.flow import euler_flow, heun_flow, sde_flow
from minidiff.samplers.reflow import reflow_pairs
from minidiff.samplers.step import last
from tests.ch09.worlds import MIXTURE, PATHS, STRAIGHT, exact, gen, grid, inner_times, randn

every_path = pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
TIMES = (0.0505, 0.3005, 0.7005, 0.9505)  # of a table of 1,000 steps: between two of them


def plane(n=301, reach=6.0):
    """Points that cover the plane as far as there is density, and the area of one cell."""
    line = torch.linspace(-reach, reach, n, dtype=torch.float64)
    return torch.cartesian_prod(line, line), float(line[1] - line[0]) ** 2


def density(x, t, path=STRAIGHT):
    return MIXTURE.noised(path.alpha(t), path.sigma(t)).log_density(x).exp()


def velocity(x, t, path=STRAIGHT):
    t = torch.as_tensor(t, dtype=torch.float64)
    return velocity_of(*exact(path)(x, t), t, path)


@pytest.mark.equation("9.1")
def test_the_line_and_its_slope():
    x0, eps, t, h = randn(5, 2), randn(5, 2, seed=1), inner_times(STRAIGHT, 5), 1e-6
    line = lambda t: per_image(STRAIGHT.alpha(t), x0) * x0 + per_image(STRAIGHT.sigma(t), x0) * eps  # noqa: E731
    torch.testing.assert_close(line(t), (1 - t[:, None]) * x0 + t[:, None] * eps)
    torch.testing.assert_close((line(t + h) - line(t - h)) / (2 * h), eps - x0, rtol=1e-8, atol=1e-8)
    assert torch.equal(line(torch.zeros(5)), x0) and torch.equal(line(torch.ones(5)), eps)


@pytest.mark.equation("9.2")
@pytest.mark.parametrize("t", TIMES)
def test_the_mean_velocity_by_brute_force(t):
    """E[eps - x0 | x_t] as a mean over a fine grid of x0, weighted by Bayes' rule."""
    x_t = torch.tensor([[0.2, 0.1], [-0.5, 0.9], [1.0, -1.0]], dtype=torch.float64)
    x0, _ = plane(n=601, reach=3.0)
    eps = (x_t[:, None] - (1 - t) * x0) / t
    weight = torch.softmax(MIXTURE.log_density(x0) - eps.square().sum(dim=-1) / 2, dim=1)
    torch.testing.assert_close(velocity(x_t, t), (weight[..., None] * (eps - x0)).sum(dim=1), rtol=1e-6, atol=1e-6)


@pytest.mark.equation("9.3")
@pytest.mark.parametrize("t", TIMES)
@every_path
def test_the_mean_velocity_carries_the_crowd(path, t):
    """d/dt of E phi(x_t), by differences of integrals, against the integral of grad phi . u."""
    t, h = t * path.T, 1e-4 * path.T
    x, cell = plane(reach=6.0 if path.T != 10.0 else 50.0, n=401)
    x.requires_grad_()
    phi = torch.sin(x[:, 0]) + x[:, 0] * x[:, 1] * torch.exp(-x.square().sum(dim=1) / 20)
    slope = torch.autograd.grad(phi.sum(), x)[0]
    x, phi = x.detach(), phi.detach()
    left = ((density(x, t + h, path) - density(x, t - h, path)) / (2 * h) * phi).sum() * cell
    right = (density(x, t, path) * (slope * velocity(x, t, path)).sum(dim=1)).sum() * cell
    torch.testing.assert_close(left, right, rtol=1e-5, atol=1e-6 / path.T)


@pytest.mark.equation("9.4")
def test_eulers_step():
    x, times = randn(5, 2), torch.tensor([0.9, 0.55, 0.1], dtype=torch.float64)
    (_, first, _), (_, second, _) = euler_flow(exact(STRAIGHT), x, times, STRAIGHT)
    torch.testing.assert_close(first, x + (0.55 - 0.9) * velocity(x, 0.9))
    torch.testing.assert_close(second, first + (0.1 - 0.55) * velocity(first, 0.55))


@pytest.mark.equation("9.5")
def test_conditional_and_marginal_losses_have_one_gradient():
    """A world of three pictures, its expectation over x_t a sum over a grid: for it the identity is exact."""
    data, share = randn(3, 2), torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64)
    x, _ = plane(n=25, reach=2.0)
    torch.manual_seed(0)
    net, gradients, losses = MLP().double(), [], []
    for t in (0.3, 0.6):
        eps = (x[:, None] - (1 - t) * data) / t  # the noise that each picture needs to be here
        joint = share * torch.exp(-eps.square().sum(dim=-1) / 2)
        joint = joint / joint.sum()
        pair = eps - data
        mean = (joint[..., None] * pair).sum(dim=1) / joint.sum(dim=1, keepdim=True)
        for target in (pair, mean[:, None]):
            out = net(x, torch.full((len(x),), 1000 * t).double())[:, None]
            loss = (joint * (out - target).square().sum(dim=-1)).sum()
            gradients.append(torch.cat([g.flatten() for g in torch.autograd.grad(loss, net.parameters())]))
            losses.append(loss.detach())
        torch.testing.assert_close(gradients[-2], gradients[-1], rtol=1e-11, atol=1e-14)
        assert gradients[-1].norm() > 0.1
        chance = (joint * (pair - mean[:, None]).square().sum(dim=-1)).sum()
        torch.testing.assert_close(losses[-2] - losses[-1], chance, rtol=1e-11, atol=1e-13)


@pytest.mark.equation("9.5")
def test_cfm_loss_is_the_left_side():
    x0, eps, t = randn(9, 2), randn(9, 2, seed=1), inner_times(STRAIGHT, 9)
    x_t = (1 - t[:, None]) * x0 + t[:, None] * eps
    expected = (torch.sin(x_t) - (eps - x0)).square().mean()
    torch.testing.assert_close(cfm_loss(lambda x, t: torch.sin(x), x0, t, eps, STRAIGHT), expected)


@pytest.mark.equation("9.6")
@pytest.mark.parametrize("t", [0.0, *TIMES, 1.0])
def test_the_pair_of_a_velocity(t):
    u, x_t = randn(4, 2), randn(4, 2, seed=1)
    x0, eps = pair_of_velocity(u, x_t, torch.tensor(t).double(), STRAIGHT)
    torch.testing.assert_close(x0, x_t - t * u)
    torch.testing.assert_close(eps, x_t + (1 - t) * u)
    torch.testing.assert_close((1 - t) * x0 + t * eps, x_t)


@pytest.mark.equation("9.7")
@every_path
def test_the_velocity_of_a_pair_on_any_path(path):
    x0, eps, t, h = randn(6, 2), randn(6, 2, seed=1), inner_times(path, 6), 1e-6 * path.T
    at = lambda t: per_image(path.alpha(t), x0) * x0 + per_image(path.sigma(t), x0) * eps  # noqa: E731
    torch.testing.assert_close(velocity_of(x0, eps, t, path), (at(t + h) - at(t - h)) / (2 * h), rtol=1e-6, atol=1e-7)


@pytest.mark.equation("9.8")
@every_path
def test_the_score_of_a_velocity(path):
    x, t = randn(6, 2), inner_times(path, 6)
    alpha, sigma, (a, b) = path.alpha(t)[:, None], path.sigma(t)[:, None], (r[:, None] for r in rates(path, t))
    u, score = velocity(x, t, path), MIXTURE.noised(alpha[:, 0], sigma[:, 0]).score(x)
    torch.testing.assert_close((a * x - alpha * u) / (sigma * (alpha * b - sigma * a)), score, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(velocity_to_score(u, x, t, path), score, rtol=1e-8, atol=1e-8)
    if path is STRAIGHT:
        torch.testing.assert_close(-(x + (1 - t[:, None]) * u) / t[:, None], score)


@pytest.mark.equation("9.9")
@every_path
def test_any_path_holds_the_straight_one(path):
    x0, eps, t = randn(6, 2), randn(6, 2, seed=1), inner_times(path, 6)
    alpha, sigma = path.alpha(t)[:, None], path.sigma(t)[:, None]
    s = sigma / (alpha + sigma)
    torch.testing.assert_close(flow_time(path, t), s[:, 0])
    torch.testing.assert_close((alpha * x0 + sigma * eps) / (alpha + sigma), (1 - s) * x0 + s * eps)


@pytest.mark.equation("9.9")
def test_walking_another_path_as_a_flow_ends_where_the_flow_ends():
    x, path = randn(30, 2), PATHS["cosine"]
    ends = [last(heun_flow(denoiser, x, grid(40), STRAIGHT))
            for denoiser in (exact(STRAIGHT), as_flow(exact(path), path))]
    torch.testing.assert_close(*ends, rtol=1e-6, atol=1e-6)


@pytest.mark.equation("9.10")
def test_v_is_the_velocity_on_the_cosine_path():
    path = cosine_path()
    x0, eps, t = randn(6, 2), randn(6, 2, seed=1), torch.linspace(0, 1, 6, dtype=torch.float64)
    a, b = rates(path, t)
    torch.testing.assert_close(a, -math.pi / 2 * path.sigma(t))
    torch.testing.assert_close(b, math.pi / 2 * path.alpha(t))
    v = to_target(V, x0, eps, path.alpha(t), path.sigma(t))
    torch.testing.assert_close(velocity_of(x0, eps, t, path), math.pi / 2 * v)


@pytest.mark.equation("9.11")
def test_flow_and_v_training_differ_by_a_weight():
    """One net that answers v on the cosine path, trained as it is and as a flow: loss and gradient, pair by pair."""
    path, n = cosine_path(), 6
    x0, eps, t = randn(n, 2), randn(n, 2, seed=1), inner_times(path, n)
    alpha, sigma = path.alpha(t)[:, None], path.sigma(t)[:, None]
    s = flow_time(path, t)
    torch.manual_seed(0)
    net = MLP().double()

    def as_velocity(x, s):
        """The net's v as a velocity of the straight path, by way of the picture and the noise that v stands for."""
        x_t = (alpha + sigma) * x
        v = net(x_t, 1000 * t)
        return (sigma * x_t + alpha * v) - (alpha * x_t - sigma * v)

    x_t = alpha * x0 + sigma * eps
    v_loss = ((alpha + sigma) ** 2 * (net(x_t, 1000 * t) - (alpha * eps - sigma * x0)).square()).mean()
    flow = cfm_loss(as_velocity, x0, s, eps, STRAIGHT)
    torch.testing.assert_close(flow, v_loss)
    for a, b in zip(*(torch.autograd.grad(loss, net.parameters()) for loss in (flow, v_loss)), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-14)
    assert 1 <= ((alpha + sigma) ** 2).min() and ((alpha + sigma) ** 2).max() <= 2 + 1e-12


@pytest.mark.equation("9.12")
@every_path
def test_the_flow_of_one_gaussian(path):
    data, x, (t, s) = Gaussian(0.4, 0.6), randn(20, 2), inner_times(path, 2)
    S_t, S_s = ((path.alpha(u) ** 2 * 0.6 + path.sigma(u) ** 2).sqrt() for u in (t, s))
    expected = path.alpha(s) * 0.4 + S_s / S_t * (x - path.alpha(t) * 0.4)
    torch.testing.assert_close(gaussian_flow_map(data, x, t, s, path), expected)
    u, h = velocity_of(*gaussian_pair(data, x, t, path), t, path), 1e-6 * path.T
    slope = (gaussian_flow_map(data, x, t, t + h, path) - gaussian_flow_map(data, x, t, t - h, path)) / (2 * h)
    torch.testing.assert_close(u, slope, rtol=1e-6, atol=1e-7)


def gaussian_pair(data, x, t, path):
    x0 = data.denoise(x, path.alpha(t), path.sigma(t))
    return x0, (x - path.alpha(t) * x0) / path.sigma(t)


@pytest.mark.equation("9.12")
def test_the_answers_of_the_paper_exercise():
    """Straight for v = 0 alone; for pairs in order, x0 = m + sqrt(v) eps, every line is the way of its flow."""
    x, times = randn(20, 2), grid(100)
    for variance, is_straight in ((1e-20, True), (0.25, False), (1.0, False)):
        way = torch.stack([gaussian_flow_map(Gaussian(0.4, variance), x, 1.0, s, STRAIGHT) for s in times])
        assert (straightness(way, times) < 1e-9) == is_straight
    spread = ((1 - 0.5) ** 2 + 0.5**2) ** 0.5
    assert spread == pytest.approx(0.71, abs=0.005)


@pytest.mark.equation("9.13")
def test_straightness_is_the_integral():
    """A way x = t^2 in one dimension has the speed 2 t, mean 1: the integral of (2 t - 1)^2 is 1/3."""
    for T in (1.0, 2.5):
        times = torch.linspace(T, 0, 2001, dtype=torch.float64)
        states = (times / T) ** 2
        assert straightness(states[:, None, None], times) == pytest.approx(1 / 3 / T**2, rel=1e-5)


@functools.cache
def lines_and_ways():
    """20,000 blind pairs and as many of reflow: noise minus picture, the mean velocity on the lines, noise minus end."""
    x0, eps = MIXTURE.sample(20_000, gen()), randn(20_000, 2, seed=1)
    end, start = reflow_pairs(exact(STRAIGHT), (20_000, 2), grid(30), STRAIGHT, gen(2), walk=heun_flow, batch=20_000)
    t = inner_times(STRAIGHT, 20_000, seed=3)
    return start - end, velocity((1 - t[:, None]) * x0 + t[:, None] * eps, t), eps - x0


@pytest.mark.equation("9.14")
@pytest.mark.parametrize("cost", [lambda z: z.norm(dim=1), lambda z: z.square().sum(dim=1),
                                  lambda z: z.norm(dim=1) ** 4, lambda z: torch.exp(z[:, 0])],
                         ids=["length", "square", "fourth", "exponential"])
def test_no_convex_cost_rises(cost):
    costs = [cost(z) for z in lines_and_ways()]
    error = sum(c.var() / len(c) for c in costs) ** 0.5
    means = [float(c.mean()) for c in costs]
    assert means[0] < means[1] + 4 * error and means[1] < means[2] + 4 * error and means[0] < means[2] - 4 * error


@pytest.mark.equation("9.15")
def test_the_step_of_the_sde():
    x, g2, (t, s) = randn(5, 2), 0.7, (0.8, 0.5)
    times = torch.tensor([t, s, 0.0], dtype=torch.float64)
    _, out, _ = next(sde_flow(exact(STRAIGHT), x, times, STRAIGHT, lambda t: g2, gen(4)))
    z = torch.randn(5, 2, generator=gen(4), dtype=torch.float64)
    score = MIXTURE.noised(torch.tensor(1 - t), torch.tensor(t)).score(x)
    expected = x - (t - s) * (velocity(x, t) - g2 / 2 * score) + (g2 * (t - s)) ** 0.5 * z
    torch.testing.assert_close(out, expected, rtol=1e-6, atol=1e-7)


@pytest.mark.equation("9.16")
@pytest.mark.parametrize("m, s", [(0.0, 1.0), (0.6, 0.5)])
def test_the_density_of_logit_normal_times(m, s):
    t = (torch.arange(20_000, dtype=torch.float64) + 0.5) / 20_000
    p = torch.exp(-(torch.logit(t) - m) ** 2 / (2 * s**2)) / (s * (2 * math.pi) ** 0.5 * t * (1 - t))
    assert float(p.mean()) == pytest.approx(1, abs=1e-4)
    draws = logit_normal_times(200_000, gen(), m, s)
    for edge in (0.2, 0.5, 0.8):
        share = float(p[t < edge].sum()) / 20_000
        assert abs(float((draws < edge).double().mean()) - share) < 4 * (0.25 / 200_000) ** 0.5


@pytest.mark.equation("9.17")
@pytest.mark.parametrize("a", [0.5, 1.0, 3.0])
def test_the_shift(a):
    t = inner_times(STRAIGHT, 50)
    moved = a * t / (1 + (a - 1) * t)
    torch.testing.assert_close(shift_times(t, a), moved)
    torch.testing.assert_close((1 - moved) / moved, (1 - t) / t / a)


@pytest.mark.equation("9.17")
def test_larger_pictures_hide_as_much_after_a_shift_by_the_root():
    """k pixels that say the same: the error of their common shade is that of one pixel, if SNR is divided by k."""
    t = inner_times(STRAIGHT, 20)
    s = shift_times(t, 4**0.5)
    one, four = 1 / (1 + ((1 - t) / t) ** 2), 1 / (1 + 4 * ((1 - s) / s) ** 2)  # posterior variance, prior 1
    torch.testing.assert_close(one, four)
