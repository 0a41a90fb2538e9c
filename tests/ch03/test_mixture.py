"""The mixture oracle against autograd, brute-force integration, and its own samples."""

import pytest
import torch

from minidiff.evaluation.mixture import Mixture, gmm_score

ISLANDS = Mixture([0.1, 0.2, 0.3, 0.4], [[1.0, 1.0], [-1.0, 0.9], [-0.9, -1.0], [0.9, -0.9]], [0.3, 0.35, 0.35, 0.4])
PAIRS = [(1.0, 0.0), (0.99, 0.1), (0.7, 0.7), (0.1, 0.99), (0.0, 1.0)]


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def square(n=201, reach=6.0):
    """A grid of points over [-reach, reach]^2, and the area of one cell."""
    line = torch.linspace(-reach, reach, n, dtype=torch.float64)
    return torch.cartesian_prod(line, line), float(line[1] - line[0]) ** 2


@pytest.mark.parametrize("alpha, sigma", PAIRS)
def test_the_score_is_the_gradient_of_the_log_density(alpha, sigma):
    x, noised = draw(50, 2).requires_grad_(), ISLANDS.noised(alpha, sigma)
    gradient = torch.autograd.grad(noised.log_density(x).sum(), x)[0]
    torch.testing.assert_close(noised.score(x.detach()), gradient, rtol=1e-12, atol=1e-12)


def test_the_score_is_the_gradient_in_five_dimensions_too():
    mixture = Mixture([0.5, 0.2, 0.3], draw(3, 5), [0.5, 1.0, 2.0])
    x = draw(20, 5, seed=1).requires_grad_()
    gradient = torch.autograd.grad(mixture.log_density(x).sum(), x)[0]
    torch.testing.assert_close(mixture.score(x.detach()), gradient, rtol=1e-12, atol=1e-12)


def test_the_log_density_agrees_with_torch_distributions():
    parts = torch.distributions.MultivariateNormal(
        ISLANDS.means, covariance_matrix=torch.diag_embed(ISLANDS.stds[:, None].expand(4, 2) ** 2))
    theirs = torch.distributions.MixtureSameFamily(torch.distributions.Categorical(ISLANDS.weights), parts)
    x = 3 * draw(100, 2)
    torch.testing.assert_close(ISLANDS.log_density(x), theirs.log_prob(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("alpha, sigma", PAIRS)
def test_every_noised_density_integrates_to_one(alpha, sigma):
    points, cell = square()
    assert float(ISLANDS.noised(alpha, sigma).log_density(points).exp().sum()) * cell == pytest.approx(1, abs=1e-8)


@pytest.mark.parametrize("alpha, sigma", PAIRS[1:])
def test_the_denoiser_is_the_mean_of_x0_by_brute_force(alpha, sigma):
    """Integrate x0 p(x0) N(x_t; alpha x0, sigma^2) over a fine grid of x0."""
    x0, cell = square(n=601, reach=5.0)
    x_t = draw(6, 2, seed=2)
    prior = ISLANDS.log_density(x0).exp() * cell
    for point in x_t:
        weight = prior * torch.exp(-(point - alpha * x0).square().sum(dim=1) / (2 * sigma**2))
        mean = (weight[:, None] * x0).sum(dim=0) / weight.sum()
        torch.testing.assert_close(ISLANDS.denoise(point[None], alpha, sigma)[0], mean, rtol=1e-8, atol=1e-8)


def test_the_denoiser_gives_the_point_back_without_noise_and_the_mean_without_signal():
    x = draw(5, 2)
    torch.testing.assert_close(ISLANDS.denoise(x, 1.0, 0.0), x, rtol=1e-12, atol=1e-12)
    mean = (ISLANDS.weights[:, None] * ISLANDS.means).sum(dim=0)
    torch.testing.assert_close(ISLANDS.denoise(x, 0.0, 1.0), mean.expand(5, 2), rtol=1e-12, atol=1e-12)


def test_one_noise_level_per_point_agrees_with_one_by_one():
    x, alpha, sigma = draw(4, 2), torch.tensor([0.9, 0.5, 0.2, 1.0]), torch.tensor([0.3, 0.8, 0.9, 0.0])
    noised = ISLANDS.noised(alpha, sigma)
    for i in range(4):
        single = ISLANDS.noised(float(alpha[i]), float(sigma[i]))
        for name in ("score", "log_density", "share"):
            torch.testing.assert_close(getattr(noised, name)(x)[i], getattr(single, name)(x[i:i + 1])[0],
                                       rtol=1e-6, atol=1e-6)
        alone = ISLANDS.denoise(x[i:i + 1], float(alpha[i]), float(sigma[i]))[0]
        torch.testing.assert_close(ISLANDS.denoise(x, alpha, sigma)[i], alone, rtol=1e-6, atol=1e-6)


def test_samples_have_the_weights_means_and_variances_of_the_mixture():
    n = 200_000
    x = ISLANDS.sample(n, torch.Generator().manual_seed(0))
    mean = (ISLANDS.weights[:, None] * ISLANDS.means).sum(dim=0)
    second = (ISLANDS.weights[:, None] * (ISLANDS.means**2 + ISLANDS.stds[:, None] ** 2)).sum(dim=0)
    for got, expected in ((x, mean), (x**2, second), (ISLANDS.share(x), ISLANDS.weights)):
        error = (got.mean(dim=0) - expected) / (got.std(dim=0) / n**0.5)
        assert error.abs().max() < 4


def test_samples_are_float64_and_decided_by_the_generator():
    first, second = (ISLANDS.sample(10, torch.Generator().manual_seed(3)) for _ in range(2))
    assert first.dtype == torch.float64 and torch.equal(first, second)


def test_shares_are_probabilities_and_pull_one_part_is_its_own_score():
    x = draw(10, 2)
    torch.testing.assert_close(ISLANDS.share(x).sum(dim=1), torch.ones(10, dtype=torch.float64))
    one = gmm_score(x, torch.ones(1).double(), torch.tensor([[1.0, 2.0]]).double(), torch.tensor([0.5]).double())
    torch.testing.assert_close(one, (torch.tensor([1.0, 2.0]) - x) / 0.25)


def test_the_score_far_away_is_finite():
    assert ISLANDS.score(torch.tensor([[1e4, -1e4]])).isfinite().all()


@pytest.mark.parametrize("weights, means, stds, says", [
    ([0.5, 0.6], [[0.0], [1.0]], [1, 1], "sum to 1"), ([1.2, -0.2], [[0.0], [1.0]], [1, 1], "positive"),
    ([0.5, 0.5], [[0.0]], [1, 1], "means"), ([1.0], [[0.0]], [0.0], "stds must be positive"),
])
def test_a_mixture_that_is_none_is_refused_in_one_sentence(weights, means, stds, says):
    with pytest.raises(ValueError, match=says):
        Mixture(weights, means, stds)
