"""Guidance by a likelihood: Bayes' rule on worlds whose posterior is known."""

import math

import pytest
import torch

from minidiff.evaluation.convergence import mixture_denoiser
from minidiff.evaluation.gaussian import Gaussian
from minidiff.evaluation.mixture import Mixture
from minidiff.process.continuous import vp_path
from minidiff.process.likelihood_guidance import classifier_guided, linear_log_likelihood, reconstruction_guided
from minidiff.samplers.ddim import ddim
from minidiff.samplers.step import final_sample

PATH = vp_path()
WORLD = Mixture([0.3, 0.7], [[-1.0, 0.5], [1.0, 0.0]], [0.4, 0.6])


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def class_log_prob(x, t):
    """log p(first part | x_t), exactly."""
    return WORLD.noised(PATH.alpha(t), PATH.sigma(t)).share(x)[:, 0].log()


@pytest.mark.parametrize("t", [0.1, 0.5, 0.9])
def test_an_exact_classifier_turns_the_denoiser_into_that_of_its_class(t):
    x, t = randn(50, 2), torch.tensor(t)
    ours = classifier_guided(mixture_denoiser(WORLD, PATH), class_log_prob, PATH)(x, t)
    alone = mixture_denoiser(Mixture([1.0], [[-1.0, 0.5]], [0.4]), PATH)(x, t)
    for mine, exact in zip(ours, alone):
        torch.testing.assert_close(mine, exact, rtol=1e-8, atol=1e-8)


def test_a_larger_scale_pulls_further():
    x, t = randn(50, 2), torch.tensor(0.5)
    at = [classifier_guided(mixture_denoiser(WORLD, PATH), class_log_prob, PATH, scale)(x, t)[0] for scale in (0, 1, 3)]
    assert torch.equal(at[0], mixture_denoiser(WORLD, PATH)(x, t)[0]) or (at[0] - mixture_denoiser(
        WORLD, PATH)(x, t)[0]).abs().max() < 1e-12
    assert class_log_prob(at[2], torch.tensor(0.01)).mean() > class_log_prob(at[1], torch.tensor(0.01)).mean()


# --- a linear measurement of Gaussian data: the posterior is a Gaussian that can be written down ------------------

MEAN, VARIANCE, NOISE, Y = 0.3, 0.8, 0.05, 1.4
POSTERIOR_VARIANCE = 1 / (1 / VARIANCE + 1 / NOISE)
POSTERIOR_MEAN = POSTERIOR_VARIANCE * (MEAN / VARIANCE + Y / NOISE)


def gaussian_denoiser(x, t):
    alpha, sigma = PATH.alpha(t), PATH.sigma(t)
    x0 = Gaussian(MEAN, VARIANCE).denoise(x, alpha, sigma)
    return x0, (x - alpha * x0) / sigma


def walked(variance, n=4000):
    likelihood = linear_log_likelihood(torch.full((n, 1), Y, dtype=torch.float64), lambda x0: x0, variance)
    times = torch.cat([torch.linspace(1, 1e-3, 300, dtype=torch.float64), torch.zeros(1).double()])
    ask = reconstruction_guided(gaussian_denoiser, likelihood, PATH)
    return final_sample(ddim(ask, randn(n, 1), times, PATH))


def test_with_the_spread_that_x_t_leaves_open_the_posterior_of_a_measurement_is_exact():
    """y = x0 + noise: p(y | x_t) is N(E[x0 | x_t], noise + Var[x0 | x_t]), and the walk ends in p(x0 | y)."""
    def whole(t):
        return NOISE + Gaussian(MEAN, VARIANCE).error(PATH.alpha(t) ** 2)

    x = walked(whole)
    assert float(x.mean()) == pytest.approx(POSTERIOR_MEAN, abs=4 * math.sqrt(POSTERIOR_VARIANCE / 4000) + 0.005)
    assert float(x.var()) == pytest.approx(POSTERIOR_VARIANCE, rel=0.08)


def test_dps_alone_forgets_that_spread_and_gives_too_narrow_a_posterior():
    x = walked(NOISE)
    assert float(x.var()) < 0.5 * POSTERIOR_VARIANCE


def test_a_measurement_that_says_nothing_changes_nothing():
    x, t = randn(20, 1), torch.tensor(0.4)
    likelihood = linear_log_likelihood(torch.zeros(20, 1).double(), lambda x0: 0 * x0, 1.0)
    for mine, free in zip(reconstruction_guided(gaussian_denoiser, likelihood, PATH)(x, t), gaussian_denoiser(x, t)):
        torch.testing.assert_close(mine, free)
