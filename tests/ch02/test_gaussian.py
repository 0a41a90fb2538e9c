"""Gaussian data: its closed forms against draws, and its borders."""

import pytest
import torch

from minidiff.evaluation.gaussian import Gaussian
from minidiff.process.schedules import alpha_bar_of, linear_betas
from tests.ch02.worlds import even

ALPHA_BAR = alpha_bar_of(linear_betas())
WORLD = Gaussian(torch.tensor([[-0.3, 0.2]]), torch.tensor([[0.25], [1.5]]))


def draws(n=200_000):
    return WORLD.sample(n, torch.Generator().manual_seed(0))


def test_draws_have_its_mean_variance_and_entropy():
    x = draws()
    assert x.shape == (200_000, 2, 2) and x.dtype == torch.float64
    assert torch.allclose(x.mean(dim=0), WORLD.mean.expand(2, 2), atol=4 * (1.5 / 200_000) ** 0.5)
    assert torch.allclose(x.var(dim=0), WORLD.variance.expand(2, 2), rtol=4 * (2 / 200_000) ** 0.5)
    nats = -WORLD.log_density(x).mean(dim=0)
    assert torch.allclose(nats, WORLD.entropy().expand(2, 2), atol=4 * (0.5 / 200_000) ** 0.5)


def test_density_is_that_of_torch():
    x = draws(50)
    normal = torch.distributions.Normal(WORLD.mean, WORLD.variance.sqrt())
    assert torch.allclose(WORLD.log_density(x), normal.log_prob(x))
    assert torch.allclose(WORLD.entropy().expand(2, 2), normal.entropy())


def test_no_other_straight_line_denoises_better():
    x0, t = draws(), 300
    alpha, sigma = ALPHA_BAR[t].sqrt(), (1 - ALPHA_BAR[t]).sqrt()
    x_t = alpha * x0 + sigma * torch.randn(x0.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    best = WORLD.denoise(x_t, alpha, sigma)
    error = (x0 - best).square().mean(dim=0)
    assert torch.allclose(error, WORLD.error(ALPHA_BAR[t]).expand(2, 2), rtol=4 * (2 / 200_000) ** 0.5)
    for other in (1.02 * best, best + 0.02, best + 0.02 * x_t):
        assert ((x0 - other).square().mean(dim=0) > error).all()


def test_the_denoiser_takes_one_time_per_picture_and_keeps_the_dtype():
    t = torch.tensor([0, 500, 1000])
    x_t = draws(3).float()
    alpha, sigma = ALPHA_BAR[t].sqrt(), (1 - ALPHA_BAR[t]).sqrt()
    together = WORLD.denoise(x_t, alpha, sigma)
    assert together.dtype == torch.float32
    for i in range(3):
        assert torch.allclose(together[i], WORLD.denoise(x_t[i:i + 1], alpha[i], sigma[i])[0])
    assert torch.allclose(together[0], x_t[0], rtol=1e-6)


def test_the_borders_are_clean_data_and_pure_noise():
    x = draws(2)
    one, zero = torch.tensor(1.0).double(), torch.tensor(0.0).double()
    assert torch.equal(WORLD.denoise(x, zero, one), WORLD.mean.expand(2, 2, 2).double())
    assert (WORLD.error(one) == 0).all() and torch.equal(WORLD.error(zero), WORLD.variance)


def test_terms_are_means_over_the_numbers_of_a_picture():
    together = WORLD.elbo_terms(ALPHA_BAR)
    parts = [Gaussian(m, v).elbo_terms(ALPHA_BAR) for m in (-0.3, 0.2) for v in (0.25, 1.5)]
    assert together.shape == (1001,)
    assert torch.allclose(together, torch.stack(parts).mean(dim=0), rtol=1e-6)


def test_few_steps_cost_more_and_one_step_is_allowed():
    few, many = (Gaussian(0, 1).elbo_terms(even(T)).sum() for T in (4, 40))
    assert few > many > Gaussian(0, 1).entropy()
    assert Gaussian(0, 1).elbo_terms(torch.tensor([1, 1e-3]).double()).shape == (2,)


@pytest.mark.parametrize("variance", [0.0, -1.0, torch.tensor([1.0, 0.0])])
def test_a_variance_must_be_positive(variance):
    with pytest.raises(ValueError, match="variance must be positive"):
        Gaussian(0.0, variance)
