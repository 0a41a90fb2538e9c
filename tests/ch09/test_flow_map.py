"""The flow of one Gaussian in closed form: the identities of maps between times, which chapter 15 lives on."""

import pytest
import torch

from minidiff.evaluation.flow_map import gaussian_flow_map
from minidiff.evaluation.gaussian import Gaussian
from minidiff.process.flow import rates, velocity_of
from minidiff.samplers.flow import rk4_flow
from minidiff.samplers.step import final_sample
from tests.ch09.worlds import PATHS, STRAIGHT, inner_times, randn

DATA = Gaussian(torch.tensor([0.7, -0.4]), torch.tensor([0.3, 1.7]))
every_path = pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
EXACT = {"rtol": 1e-15, "atol": 4e-15}  # a few units in the last place


def flow(x, t, s, path=STRAIGHT):
    return gaussian_flow_map(DATA, x, t, s, path)


def mean_velocity(x, t, s, path=STRAIGHT):
    """MeanFlow's u: the velocity that takes x from t to s in one step."""
    return (x - flow(x, t, s, path)) / (t - s)


def velocity(x, t, path=STRAIGHT):
    """m alpha' + (x - alpha m) S' / S, the derivative of the map in closed form."""
    (a, b), alpha, sigma = rates(path, t), path.alpha(t), path.sigma(t)
    S2 = alpha**2 * DATA.variance + sigma**2
    return a * DATA.mean + (a * alpha * DATA.variance + b * sigma) / S2 * (x - alpha * DATA.mean)


@every_path
def test_the_map_composes_and_can_be_undone(path):
    x, (t, r, s) = randn(20, 2), inner_times(path, 3)
    torch.testing.assert_close(flow(flow(x, t, r, path), r, s, path), flow(x, t, s, path), **EXACT)
    torch.testing.assert_close(flow(flow(x, t, s, path), s, t, path), x, **EXACT)
    torch.testing.assert_close(flow(x, t, t, path), x, **EXACT)


def test_consistency_the_same_clean_point_from_every_time_of_a_walk():
    x, t = randn(20, 2), torch.tensor(0.9, dtype=torch.float64)
    clean = flow(x, t, 0.0)
    for s in (0.8, 0.5, 0.01):
        torch.testing.assert_close(flow(flow(x, t, s), s, 0.0), clean, **EXACT)
    torch.testing.assert_close(flow(x, 0.0, 0.0), x, **EXACT)


def test_shortcut_and_progressive_distillation_one_long_step_is_two_short_ones():
    x, h = randn(20, 2), 0.25
    first = mean_velocity(x, 0.75, 0.75 - h)
    second = mean_velocity(x - h * first, 0.75 - h, 0.75 - 2 * h)
    torch.testing.assert_close(mean_velocity(x, 0.75, 0.75 - 2 * h), (first + second) / 2, **EXACT)


@pytest.mark.parametrize("t, s", [(0.9, 0.2), (0.5, 0.4)])
def test_meanflow_the_mean_velocity_and_its_derivative_along_the_walk_make_the_velocity(t, s):
    """u(x, t, s) = v(x, t) - (t - s) d/dt u, with tangents (v, 1, 0) (Geng et al. 2025, eq. 6)."""
    x, time = randn(20, 2), torch.tensor(t, dtype=torch.float64)
    v = velocity(x, time)
    u, slope = torch.func.jvp(lambda x, t: mean_velocity(x, t, s), (x, time), (v, torch.ones_like(time)))
    torch.testing.assert_close(u, mean_velocity(x, time, s), **EXACT)
    torch.testing.assert_close(u, v - (time - s) * slope, rtol=1e-14, atol=4e-15)


@every_path
def test_its_derivative_is_the_velocity_of_the_best_denoiser(path):
    x, t = randn(6, 2), inner_times(path, 6)
    alpha, sigma = path.alpha(t)[:, None], path.sigma(t)[:, None]
    x0 = DATA.denoise(x, path.alpha(t), path.sigma(t))
    u = velocity_of(x0, (x - alpha * x0) / sigma, t, path)
    expected = torch.stack([velocity(x[i], t[i], path) for i in range(6)])
    torch.testing.assert_close(u, expected, rtol=1e-10, atol=1e-10)


def test_a_solver_arrives_where_the_map_says():
    x = randn(30, 2)

    def denoise(x, t):
        x0 = DATA.denoise(x, STRAIGHT.alpha(t), STRAIGHT.sigma(t))
        return x0, (x - STRAIGHT.alpha(t) * x0) / STRAIGHT.sigma(t)

    end = torch.tensor(0.01, dtype=torch.float64)
    times = torch.linspace(1, 0.01, 201, dtype=torch.float64)
    arrived = final_sample(rk4_flow(denoise, x, times, STRAIGHT))
    torch.testing.assert_close(arrived, flow(x, 1.0, end), rtol=1e-7, atol=1e-7)
