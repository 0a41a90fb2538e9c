"""Equations 9.1 to 9.11: velocities, their loss, and their equals on other paths; the others are beside it."""

import math

import pytest
import torch

from minidiff.models.mlp import MLP
from minidiff.process.continuous import cosine_path
from minidiff.process.flow import (
    as_flow, cfm_loss, flow_time, pair_of_velocity, rates, velocity_of, velocity_to_score,
)
from minidiff.process.forward import expand_like
from minidiff.process.targets import V, to_target
from minidiff.samplers.flow import euler_flow, heun_flow
from minidiff.samplers.step import final_sample
from tests.ch09.worlds import MIXTURE, PATHS, STRAIGHT, exact, grid, inner_times, randn, velocity

every_path = pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
TIMES = (0.0505, 0.3005, 0.7005, 0.9505)  # of a table of 1,000 steps: between two of them


def plane(n=301, reach=6.0):
    """Points that cover the plane as far as there is density, and the area of one cell."""
    line = torch.linspace(-reach, reach, n, dtype=torch.float64)
    return torch.cartesian_prod(line, line), float(line[1] - line[0]) ** 2


def density(x, t, path=STRAIGHT):
    return MIXTURE.noised(path.alpha(t), path.sigma(t)).log_density(x).exp()


@pytest.mark.equation("9.1")
def test_the_line_and_its_slope():
    x0, eps, t, h = randn(5, 2), randn(5, 2, seed=1), inner_times(STRAIGHT, 5), 1e-6
    line = lambda t: expand_like(STRAIGHT.alpha(t), x0) * x0 + expand_like(STRAIGHT.sigma(t), x0) * eps  # noqa: E731
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
    at = lambda t: expand_like(path.alpha(t), x0) * x0 + expand_like(path.sigma(t), x0) * eps  # noqa: E731
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
    ends = [final_sample(heun_flow(denoiser, x, grid(40), STRAIGHT))
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
