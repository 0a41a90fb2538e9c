"""The likelihood of the probability-flow ODE against exact densities, its traces, and its bounds on grey values."""

import functools
import math

import pytest
import torch

from minidiff.evaluation.convergence import mixture_denoiser, order_of_convergence
from minidiff.evaluation.likelihood import (
    decoder_nats, exact_trace, hutchinson, log_density, standard_normal, uniform_nats,
)
from minidiff.process.elbo import discretized_loglik
from tests.ch07.worlds import MIXTURE, PATHS, gaussian_denoiser, generator, normal, times_of

MATRIX = normal(6, 6, seed=4)


def linear(x):
    return x @ MATRIX.T + x.sum(dim=1, keepdim=True) ** 2


def trace_of_linear(x):
    return MATRIX.trace() + 2 * 6 * x.sum(dim=1)


# --- traces ---------------------------------------------------------------------------------------------------------

def test_the_exact_trace_is_the_sum_of_the_diagonal():
    x = normal(5, 6)
    y, trace = exact_trace(linear, x)
    torch.testing.assert_close(y, linear(x))
    torch.testing.assert_close(trace, trace_of_linear(x))
    assert not (y.requires_grad or trace.requires_grad or x.requires_grad)


def test_the_random_trace_is_right_in_the_mean_and_has_the_known_variance():
    x = normal(1, 6).repeat(20_000, 1)
    y, trace = hutchinson(linear, x, generator())
    torch.testing.assert_close(y, linear(x))
    J = MATRIX + 2 * x[0].sum()
    off = (J + J.T) / 2
    variance = 2 * (off.square().sum() - off.diagonal().square().sum())
    assert abs(trace.mean() - trace_of_linear(x[:1])) < 4 * (variance / 20_000).sqrt()
    assert float(trace.var() / variance) == pytest.approx(1, abs=0.05)


def test_the_random_trace_of_a_diagonal_has_no_error_at_all():
    x = normal(3, 1, 4, 4)
    _, trace = hutchinson(lambda x: x**3, x, generator())
    torch.testing.assert_close(trace, (3 * x**2).flatten(1).sum(dim=1))


def test_every_picture_has_its_own_signs_and_the_seed_decides_them():
    x = normal(1, 6).repeat(8, 1)
    one, again, other = (hutchinson(linear, x, generator(seed))[1] for seed in (1, 1, 2))
    assert torch.equal(one, again) and not torch.equal(one, other) and len(one.unique()) > 4


def test_traces_work_where_gradients_are_switched_off():
    with torch.no_grad():
        torch.testing.assert_close(exact_trace(linear, normal(5, 6))[1], trace_of_linear(normal(5, 6)))
        assert hutchinson(linear, normal(5, 6), generator())[1].shape == (5,)


# --- densities ------------------------------------------------------------------------------------------------------

@functools.cache
def points(name):
    """Draws of the mixture at the clean end of a path's range, and their exact log density there."""
    path, (t, _) = PATHS[name], times_of(name, 1).flip(0)
    noised = MIXTURE.noised(path.alpha(t), path.sigma(t))
    x = noised.sample(40, generator(3))
    return x, noised.log_density(x)


@functools.cache
def of_mixture(name, steps, trace=exact_trace):
    path, (t, end) = PATHS[name], times_of(name, 1).flip(0)
    prior = MIXTURE.noised(path.alpha(end), path.sigma(end)).log_density
    return log_density(mixture_denoiser(MIXTURE, path), points(name)[0], path, t, end, steps, trace, prior)


def test_the_density_of_the_mixture_is_found_with_order_4():
    errors = [float((of_mixture("vp", steps) - points("vp")[1]).abs().mean()) for steps in (12, 25, 50)]
    assert errors[0] < 5e-3 and errors[1] < 3e-4 and errors[2] < 2e-5
    assert order_of_convergence((12, 25, 50), errors) == pytest.approx(4, abs=0.3)


@pytest.mark.parametrize("name", ["ve", "cosine"])
def test_the_density_of_the_mixture_is_found_on_every_path(name):
    assert (of_mixture(name, 25) - points(name)[1]).abs().mean() < 3e-4


def test_random_traces_give_the_same_density_with_noise():
    g = generator(7)
    errors = torch.stack([of_mixture("vp", 12, lambda f, x: hutchinson(f, x, g)) - of_mixture("vp", 12)
                          for _ in range(4)])
    assert abs(errors.mean()) < 4 * errors.std() / errors.numel() ** 0.5 and errors.std() > 0.01


def test_the_density_of_a_gaussian_is_that_of_its_pixels():
    path, (t, end) = PATHS["vp"], times_of("vp", 1).flip(0)
    x = 0.5 + 0.3 * normal(3, 1, 2, 2)

    def of(mean, variance, x):
        return -0.5 * ((x - mean) ** 2 / variance + (2 * math.pi * variance).log()).flatten(1).sum(dim=1)

    def at(u, x):
        return of(path.alpha(u) * 0.5, path.alpha(u) ** 2 * 0.09 + path.sigma(u) ** 2, x)

    trace = functools.partial(hutchinson, generator=generator())  # exact here: the Jacobian is diagonal
    found = log_density(gaussian_denoiser(path, 0.5, 0.09), x, path, t, end, 40, trace, functools.partial(at, end))
    torch.testing.assert_close(found, at(t, x), rtol=0, atol=1e-4)


def test_the_prior_is_a_choice_and_matters():
    path, (t, end) = PATHS["vp"], times_of("vp", 1).flip(0)
    x = points("vp")[0]
    found = log_density(mixture_denoiser(MIXTURE, path), x, path, t, end, 12, exact_trace)
    gap = float((found - of_mixture("vp", 12)).mean())
    assert 1e-4 < abs(gap) < 0.05


def test_the_standard_normal():
    x = normal(3, 1, 2, 2)
    torch.testing.assert_close(standard_normal(x), torch.distributions.Normal(0.0, 1.0).log_prob(x).sum(dim=(1, 2, 3)))


# --- grey values ----------------------------------------------------------------------------------------------------

def test_a_uniform_density_over_the_greys_costs_the_log_of_their_number():
    greys = 2 * torch.arange(256).double()[:, None] / 255 - 1
    width = 2 / 255
    nats = uniform_nats(lambda x: torch.full((256,), -math.log(256 * width)).double(), greys, generator())
    torch.testing.assert_close(nats, torch.full_like(nats, math.log(256)))


def test_uniform_dequantisation_stays_in_the_bin_of_the_grey_value():
    seen = []
    uniform_nats(lambda x: seen.append(x) or x[:, 0], torch.zeros(10_000, 1, dtype=torch.float64), generator(), 11)
    assert seen[0].abs().max() <= 0.1 and seen[0].max() > 0.0999 and seen[0].min() < -0.0999


def grey_world():
    """Five grey values with known probabilities, as a mixture of spikes, and its exact denoiser on the vp path."""
    greys = torch.linspace(-1, 1, 5, dtype=torch.float64)
    weights = torch.tensor([0.4, 0.1, 0.2, 0.05, 0.25], dtype=torch.float64)
    path = PATHS["vp"]

    def log_p(t, x):
        alpha, sigma = path.alpha(t), path.sigma(t)
        parts = weights.log() - (x - alpha * greys) ** 2 / (2 * sigma**2) - (2 * math.pi * sigma**2).log() / 2
        return parts.logsumexp(dim=1)

    def denoise(x, t):
        alpha, sigma = path.alpha(t), path.sigma(t)
        share = torch.softmax(weights.log() - (x - alpha * greys) ** 2 / (2 * sigma**2), dim=1)
        x0 = (share * greys).sum(dim=1, keepdim=True)
        return x0, (x - alpha * x0) / sigma
    return greys, weights, log_p, denoise


@pytest.mark.parametrize("t, gap", [(0.01, 1e-3), (0.1, math.inf)])
def test_the_decoder_bound_is_above_the_truth_and_tight_where_little_noise_is_left(t, gap):
    greys, weights, log_p, denoise = grey_world()
    n = 20_000
    x0 = greys[torch.multinomial(weights, n, True, generator=generator())][:, None]
    nats = decoder_nats(lambda x: log_p(t, x), denoise, x0, PATHS["vp"], t, 0.1, generator(), levels=5)
    entropy, error = -(weights * weights.log()).sum(), nats.std() / n**0.5
    assert -4 * error < nats.mean() - entropy < gap + 4 * error


def test_the_decoder_bound_is_made_of_density_decoder_and_entropy():
    x0, path, t = 2 * torch.randint(256, (3, 4), generator=generator()).double() / 255 - 1, PATHS["vp"], 0.05
    nats = decoder_nats(standard_normal, lambda x, t: (x.tanh(), x), x0, path, t, 0.02, generator(8))
    x_t = path.alpha(t) * x0 + path.sigma(t) * torch.randn(x0.shape, generator=generator(8), dtype=x0.dtype)
    decoder = discretized_loglik(x0, x_t.tanh(), torch.tensor(0.02)).sum(dim=1)
    noise = torch.distributions.Normal(0.0, path.sigma(t))
    torch.testing.assert_close(4 * nats, -standard_normal(x_t) - decoder - 4 * noise.entropy(), rtol=1e-6, atol=1e-6)
