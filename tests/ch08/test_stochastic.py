"""The samplers with noise: against the paper line by line, what they draw, and what they do to Gaussian data."""

import math

import pytest
import torch

from minidiff.evaluation.convergence import order_of_convergence
from minidiff.evaluation.gaussian import Gaussian
from minidiff.process.edm import ve_path
from minidiff.samplers.ancestral import ancestral
from minidiff.samplers.heun import heun
from minidiff.samplers.lambda_grids import karras_sigmas, lambda_grid
from minidiff.samplers.step import final_sample
from minidiff.samplers.stochastic import churn, dpmpp_2m_sde
from tests.ch08.worlds import PATHS, Counter, generator, normal

VE = ve_path()
DATA = Gaussian(0.5, 0.3**2)


def gaussian_denoiser(path):
    def denoise(x, t):
        x0 = DATA.denoise(x, path.alpha(t), path.sigma(t))
        return x0, (x - path.alpha(t) * x0) / path.sigma(t)
    return denoise


def draws(sampler, x, most=60):
    """How many batches of noise a run takes from its generator."""
    g, tape = generator(4), generator(4)
    final_sample(sampler(g))
    for count in range(most):
        if torch.equal(g.get_state(), tape.get_state()):
            return count
        torch.randn(x.shape, generator=tape, dtype=x.dtype)


def test_churn_is_algorithm_2_of_the_paper_line_by_line():
    n, S_churn, S_min, S_max, S_noise = 12, 4.0, 0.05, 20.0, 1.1
    t = karras_sigmas(n, 0.002, 80.0)
    x, denoiser, g = 80 * normal(5, 2), Counter(VE), generator(3)
    expected = x
    for i in range(n):
        gamma = min(S_churn / n, math.sqrt(2) - 1) if S_min <= t[i] <= S_max else 0
        if gamma > 0:
            eps = S_noise * torch.randn(x.shape, generator=g, dtype=x.dtype)
        t_hat = t[i] + gamma * t[i]
        x_hat = expected + (t_hat**2 - t[i] ** 2).sqrt() * eps if gamma > 0 else expected
        d = (x_hat - denoiser(x_hat, t_hat)[0]) / t_hat
        expected = x_hat + (t[i + 1] - t_hat) * d
        if t[i + 1] != 0:
            d_2 = (expected - denoiser(expected, t[i + 1])[0]) / t[i + 1]
            expected = x_hat + (t[i + 1] - t_hat) * (d / 2 + d_2 / 2)
    ours = final_sample(churn(Counter(VE), x, t, VE, generator(3), S_churn, S_min, S_max, S_noise))
    torch.testing.assert_close(ours, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("path", [VE, PATHS["vp"]], ids=["ve", "vp"])
def test_no_churn_is_heun_and_draws_nothing(path):
    times, x = lambda_grid(path, 8, path.T, path.T / 1000), normal(3, 2)
    g = generator(1)
    end = final_sample(churn(Counter(path), x, times, path, g, s_churn=0.0))
    assert torch.equal(end, final_sample(heun(Counter(path), x, times, path)))
    assert torch.equal(g.get_state(), generator(1).get_state())


def test_churn_draws_only_inside_its_range_and_never_climbs_above_the_start():
    times, x = karras_sigmas(12, 0.002, 80.0), 80 * normal(3, 2)
    inside = int(((times >= 0.05) & (times <= 50)).sum())
    assert draws(lambda g: churn(Counter(VE), x, times, VE, g), x) == inside < 12
    denoiser = Counter(VE)
    final_sample(churn(denoiser, x, times, VE, generator(), s_tmax=100.0))
    assert max(denoiser.times) == 80


def test_the_sde_solver_draws_in_every_step_but_the_last():
    path = PATHS["vp"]
    times, x = lambda_grid(path, 7, 1.0, 0.001), normal(3, 2)
    assert draws(lambda g: dpmpp_2m_sde(Counter(path), x, times, path, g), x) == 6


def test_the_first_step_of_the_sde_solver_is_ancestral():
    path, x = PATHS["vp"], normal(3, 2)
    times = lambda_grid(path, 7, 1.0, 0.001)
    one, other = (next(sampler(Counter(path), x, times, path, generator(2))) for sampler in (dpmpp_2m_sde, ancestral))
    torch.testing.assert_close(one[1], other[1], rtol=1e-9, atol=1e-9)


def moments_of(sampler, n):
    """Errors of mean and variance after n steps from Gaussian data, exactly: a walk is affine in x_T and its n noises.

    The n + 2 coefficients are found by running one number per coefficient, each with noises of its own.
    """
    path, g = PATHS["vp"], generator()
    times = lambda_grid(path, n + 1, 1.0, 1e-3)[:-1]
    count = n + 2
    x = normal(count)
    end = final_sample(sampler(gaussian_denoiser(path), x, times, path, g))
    g.manual_seed(0)
    noises = [torch.randn(count, generator=g, dtype=torch.float64) for _ in range(n)]
    slopes = torch.linalg.solve(torch.stack([x, *noises, torch.ones_like(x)], dim=1), end)
    (alpha, sigma), (alpha_s, sigma_s) = ((path.alpha(t), path.sigma(t)) for t in (times[0], times[-1]))
    mean = slopes[0] * alpha * DATA.mean + slopes[-1] - alpha_s * DATA.mean
    variance = slopes[0] ** 2 * (alpha**2 * DATA.variance + sigma**2) + slopes[1:-1].square().sum()
    return float(mean), float(variance - (alpha_s**2 * DATA.variance + sigma_s**2))


@pytest.mark.parametrize("sampler, low, high", [(ancestral, 0.9, 1.1), (dpmpp_2m_sde, 1.8, 2.2)])
def test_the_mean_is_exact_and_the_variance_converges_in_first_or_second_order(sampler, low, high):
    steps = (32, 64, 128, 256)
    errors = [moments_of(sampler, n) for n in steps]
    assert max(abs(mean) for mean, _ in errors) < 1e-12
    assert low <= order_of_convergence(steps, [abs(variance) for _, variance in errors]) <= high
