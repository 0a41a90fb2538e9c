"""The reverse SDE walked by Euler and Maruyama: moments without chance, draws, and the last step."""

import pytest
import torch

from minidiff.evaluation.convergence import mixture_denoiser, order_of_convergence
from minidiff.process.continuous import vp_path
from minidiff.process.sde import pf_ode_rhs
from minidiff.samplers.euler_maruyama import euler_maruyama
from minidiff.samplers.step import final_sample
from tests.ch07.worlds import MIXTURE, gaussian_denoiser, generator, normal

PATH = vp_path()
MEAN, VARIANCE, END = 0.5, 0.3**2, 0.05


def times_to(end, n):
    return torch.linspace(1, end, n + 1, dtype=torch.float64)


def moments_of_samples(n):
    """Mean and variance of what n steps down to t = END make of Gaussian data; the walk is affine in x_T and noises."""
    x_T, g = normal(n + 2), generator()
    there = final_sample(euler_maruyama(gaussian_denoiser(PATH, MEAN, VARIANCE), x_T, times_to(END, n), PATH, 1.0, g))
    g.manual_seed(0)
    noises = [torch.randn(n + 2, generator=g, dtype=torch.float64) for _ in range(n)]
    *slopes, offset = torch.linalg.solve(torch.stack([x_T, *noises, torch.ones_like(x_T)], dim=1), there)
    alpha_T, sigma_T = PATH.alpha(1.0), PATH.sigma(1.0)
    variance = slopes[0] ** 2 * (alpha_T**2 * VARIANCE + sigma_T**2) + torch.stack(slopes[1:]).square().sum()
    return float(slopes[0] * alpha_T * MEAN + offset), float(variance)


def test_mean_and_variance_of_the_samples_are_of_order_1():
    alpha, sigma, steps = PATH.alpha(END), PATH.sigma(END), (100, 200, 400)
    found = [moments_of_samples(n) for n in steps]
    means = [abs(mean - float(alpha * MEAN)) for mean, _ in found]
    variances = [abs(variance - float(alpha**2 * VARIANCE + sigma**2)) for _, variance in found]
    assert order_of_convergence(steps, means) == pytest.approx(1, abs=0.1)
    assert order_of_convergence(steps, variances) == pytest.approx(1, abs=0.15)
    assert variances[-1] < 0.01


def test_every_step_draws_once_but_the_one_to_clean_data():
    for end, draws in ((0.0, 4), (END, 5)):
        g, tape, x = generator(), generator(), normal(6, 2)
        steps = list(euler_maruyama(mixture_denoiser(MIXTURE, PATH), x, times_to(end, 5), PATH, 1.0, g))
        for _ in range(draws):
            torch.randn(x.shape, generator=tape, dtype=x.dtype)
        assert torch.equal(g.get_state(), tape.get_state())
        assert torch.equal(steps[-1][1], steps[-1][2]) == (end == 0)
        assert [s for s, _, _ in steps] == times_to(end, 5)[1:].tolist()


def test_the_mixture_arrives_with_its_shares():
    x = torch.randn(4000, 2, generator=generator(5), dtype=torch.float64)
    x = final_sample(euler_maruyama(mixture_denoiser(MIXTURE, PATH), x, times_to(0, 300), PATH, 1.0, generator()))
    share = MIXTURE.share(x).mean(dim=0)
    error = (MIXTURE.weights * (1 - MIXTURE.weights) / len(x)).sqrt()
    assert ((share - MIXTURE.weights).abs() < 4 * error + 0.01).all()


def test_starting_in_the_middle_is_the_tail_of_the_whole_run():
    times, g = times_to(0, 8), generator()
    run = euler_maruyama(mixture_denoiser(MIXTURE, PATH), normal(4, 2), times, PATH, 1.0, g)
    for _ in range(3):
        _, x, _ = next(run)
    tail = generator().set_state(g.get_state())
    rest = euler_maruyama(mixture_denoiser(MIXTURE, PATH), x, times[3:], PATH, 1.0, tail)
    assert torch.equal(final_sample(rest), final_sample(run))


def test_without_noise_it_is_euler_for_the_ode_and_draws_nothing():
    g, times, x = generator(), times_to(END, 6), normal(4, 2)
    before, denoiser = g.get_state(), mixture_denoiser(MIXTURE, PATH)
    there = final_sample(euler_maruyama(denoiser, x, times, PATH, 0.0, g))
    for t, s in zip(times[:-1], times[1:], strict=True):
        x = x + (s - t) * pf_ode_rhs(denoiser(x, t)[1], x, t, PATH)
    torch.testing.assert_close(there, x, rtol=1e-12, atol=1e-12)
    assert torch.equal(g.get_state(), before)


def test_walking_keeps_float32_and_no_gradient():
    scale = torch.nn.Parameter(torch.tensor(0.5))
    x = torch.randn(2, 1, 3, 3, generator=generator())
    for _, x, _ in euler_maruyama(lambda x, t: (scale * x, x), x, times_to(0, 3), PATH, 1.0, generator()):
        assert x.dtype == torch.float32 and not x.requires_grad
