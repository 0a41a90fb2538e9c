"""Equations 9.12 to 9.17: the map of a Gaussian, straightness, reflow, the SDE, times; the others are beside it."""

import functools
import math

import pytest
import torch

from minidiff.evaluation.flow_map import gaussian_flow_map
from minidiff.evaluation.gaussian import Gaussian
from minidiff.process.couplings import straightness
from minidiff.process.flow import shift_times, velocity_of
from minidiff.process.weighted_loss import logit_normal_times
from minidiff.samplers.flow import heun_flow, sde_flow
from minidiff.samplers.reflow import reflow_pairs
from tests.ch09.worlds import MIXTURE, PATHS, STRAIGHT, exact, gen, grid, inner_times, randn, velocity

every_path = pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)


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
    """Of 20,000 noises each: noise minus end of the flow, mean velocity on blind lines, noise minus blind picture."""
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
