"""The numbered equations of chapter 02, verified by numbers: (2.1) to (2.11), the way back and the bound."""

import pytest
import torch

from minidiff.evaluation.gaussian import Gaussian
from minidiff.process.forward import q_sample
from minidiff.process.posterior import posterior, posterior_variance
from minidiff.process.schedules import alpha_bar_of, linear_betas
from minidiff.process.targets import predict_x0
from tests.ch02.worlds import Chain, even, line

BETAS = linear_betas()
ALPHA_BAR = alpha_bar_of(BETAS)
X = torch.linspace(-8, 8, 160_001, dtype=torch.float64)
DX = 1e-4


def bell(x, mean, variance):
    return torch.exp(-((x - mean) ** 2) / (2 * variance)) / (2 * torch.pi * variance) ** 0.5


def of_two_pictures(x, t):
    """The density of x_t when x_0 is -1 or 1."""
    a = ALPHA_BAR[t]
    return (bell(x, a.sqrt(), 1 - a) + bell(x, -a.sqrt(), 1 - a)) / 2


def forward(x_t, x_s, t, s):
    keep = ALPHA_BAR[t] / ALPHA_BAR[s]
    return bell(x_t, keep.sqrt() * x_s, 1 - keep)


def double(values):
    return torch.tensor(values, dtype=torch.float64)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.equation("2.1")
@pytest.mark.parametrize("t, s", [(400, 399), (400, 100)])
def test_bayes_for_a_step_back_is_normalised_by_the_density_of_x_t(t, s):
    for x_t in (-0.7, 0.1, 2.0):
        joint = forward(x_t, X, t, s) * of_two_pictures(X, s)
        assert (joint.sum() * DX).item() == pytest.approx(of_two_pictures(double(x_t), t).item(), rel=1e-9)


@pytest.mark.equation("2.2")
@pytest.mark.parametrize("t, s", [(2, 1), (500, 499), (800, 300), (1000, 1)])
def test_jump_from_the_middle_is_the_product_of_its_steps(t, s):
    scale, variance = double(1.0), double(0.0)
    for k in range(s + 1, t + 1):
        scale, variance = (1 - BETAS[k]).sqrt() * scale, (1 - BETAS[k]) * variance + BETAS[k]
    beta = 1 - ALPHA_BAR[t] / ALPHA_BAR[s]
    assert scale.item() == pytest.approx((1 - beta).sqrt().item(), rel=1e-10)
    assert variance.item() == pytest.approx(beta.item(), rel=1e-10)


@pytest.mark.equation("2.3")
@pytest.mark.parametrize("t, s", [(300, 250), (1000, 999), (60, 1)])
def test_bayes_with_a_known_picture_is_the_posterior_point_by_point(t, s):
    x0, x_t, a_t, a_s = double([0.7]), double([-0.4]), ALPHA_BAR[t], ALPHA_BAR[s]
    mean, variance = posterior(x_t, x0, t, ALPHA_BAR, s)
    q = forward(x_t, X, t, s) * bell(X, a_s.sqrt() * x0, 1 - a_s) / bell(x_t, a_t.sqrt() * x0, 1 - a_t)
    assert torch.allclose(q, bell(X, mean, variance), rtol=1e-6, atol=1e-12)


def on_a_grid(x_t, x0, t, s):
    a = ALPHA_BAR[s]
    q = forward(x_t, X, t, s) * bell(X, a.sqrt() * x0, 1 - a)
    mean = (q * X).sum() / q.sum()
    return mean.item(), ((q * (X - mean) ** 2).sum() / q.sum()).item()


@pytest.mark.equation("2.4")
@pytest.mark.parametrize("t, s", [(2, 1), (300, 250), (1000, 999), (900, 20)])
def test_posterior_variance_is_that_of_bayes_on_a_grid(t, s):
    a_t, a_s = ALPHA_BAR[t], ALPHA_BAR[s]
    formula = (1 - a_s) / (1 - a_t) * (1 - a_t / a_s)
    assert on_a_grid(0.3, 0.2, t, s)[1] == pytest.approx(formula.item(), rel=1e-6)
    assert posterior_variance(t, ALPHA_BAR, s).item() == pytest.approx(formula.item(), rel=1e-12)


@pytest.mark.equation("2.5")
@pytest.mark.parametrize("t, s", [(2, 1), (300, 250), (1000, 999), (900, 20)])
def test_posterior_mean_is_that_of_bayes_on_a_grid(t, s):
    a_t, a_s = ALPHA_BAR[t], ALPHA_BAR[s]
    beta, x_t, x0 = 1 - a_t / a_s, double([0.3]), double([0.2])
    formula = (a_s.sqrt() * beta * x0 + (1 - beta).sqrt() * (1 - a_s) * x_t) / (1 - a_t)
    assert on_a_grid(x_t.item(), x0.item(), t, s)[0] == pytest.approx(formula.item(), abs=1e-6)
    assert posterior(x_t, x0, t, ALPHA_BAR, s)[0].item() == pytest.approx(formula.item(), rel=1e-12)


@pytest.mark.equation("2.6")
@pytest.mark.parametrize("t, s", [(400, 399), (400, 100)])
def test_the_way_back_is_the_mixture_of_the_ways_back_of_all_pictures(t, s):
    x_t, pictures = double([0.1, 0.1]), double([-1, 1])
    weight = bell(x_t, ALPHA_BAR[t].sqrt() * pictures, 1 - ALPHA_BAR[t])
    mean, variance = posterior(x_t, pictures, t, ALPHA_BAR, s)
    mixture = sum(w * bell(X, m, variance) for w, m in zip(weight / weight.sum(), mean))
    joint = forward(0.1, X, t, s) * of_two_pictures(X, s)
    assert torch.allclose(mixture, joint / (joint.sum() * DX), rtol=1e-6, atol=1e-9)


@pytest.mark.equation("2.7")
def test_the_models_step_has_the_mean_of_the_sampling_algorithm_of_ddpm():
    """With x0_hat from eps_hat it is (x_t - beta eps_hat / sqrt(1 - alpha_bar)) / sqrt(1 - beta), exercise 2.3."""
    t = torch.tensor([1, 2, 500, 1000])
    x_t, eps_hat = normal(2, 4, 3)
    mean, _ = posterior(x_t, predict_x0(x_t, t, eps_hat, ALPHA_BAR), t, ALPHA_BAR)
    beta, a = BETAS[t][:, None], ALPHA_BAR[t][:, None]
    assert torch.allclose(mean, (x_t - beta / (1 - a).sqrt() * eps_hat) / (1 - beta).sqrt(), rtol=1e-8, atol=1e-10)


@pytest.mark.equation("2.8")
def test_the_picture_is_found_from_the_noise():
    x0, eps = normal(2, 5, 2)
    t = torch.tensor([0, 1, 100, 500, 1000])
    assert torch.allclose(predict_x0(q_sample(x0, t, eps, ALPHA_BAR), t, eps, ALPHA_BAR), x0, rtol=1e-9, atol=1e-10)


@pytest.mark.equation("2.9")
@pytest.mark.parametrize("alpha_bar", [line(25), even(6)])
def test_likelihood_is_the_bound_minus_the_gap(alpha_bar):
    chain = Chain(-0.3, 0.25, alpha_bar)
    assert chain.nll().item() == pytest.approx((chain.bound() - chain.gap()).item(), abs=1e-8)
    assert chain.gap() > 0


@pytest.mark.equation("2.10")
def test_the_forward_film_can_be_told_backwards():
    alpha_bar, x = line(25), normal(26)
    keep = alpha_bar[1:] / alpha_bar[:-1]
    told = sum(bell(x[t], keep[t - 1].sqrt() * x[t - 1], 1 - keep[t - 1]).log() for t in range(1, 26))
    back = bell(x[25], alpha_bar[25].sqrt() * x[0], 1 - alpha_bar[25]).log()
    for t in range(2, 26):
        mean, variance = posterior(x[t:t + 1], x[:1], t, alpha_bar)
        back = back + bell(x[t - 1], mean[0], variance).log()
    assert told.item() == pytest.approx(back.item(), rel=1e-9)


@pytest.mark.equation("2.11")
@pytest.mark.parametrize("alpha_bar", [line(25), even(6)])
def test_the_terms_sum_to_the_bound(alpha_bar):
    terms = Gaussian(-0.3, 0.25).elbo_terms(alpha_bar)
    assert len(terms) == len(alpha_bar)
    assert terms.sum().item() == pytest.approx(Chain(-0.3, 0.25, alpha_bar).bound().item(), abs=1e-6)
