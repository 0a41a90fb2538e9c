"""The numbered equations of chapter 02, verified by numbers: from (2.12) on, what the terms cost, and the targets."""

import numpy as np
import pytest
import torch
from numpy.polynomial.legendre import leggauss
from scipy.integrate import quad
from scipy.stats import norm

from minidiff.evaluation.gaussian import Gaussian
from minidiff.process.elbo import bits_per_dim, discretized_loglik, elbo_terms, eps_weight, kl_gauss, step_kl
from minidiff.process.forward import q_sample, snr
from minidiff.process.posterior import posterior, posterior_variance
from minidiff.process.targets import EPS, V, X0, from_target, predict_x0, to_target
from tests.ch02.test_equations import ALPHA_BAR, BETAS, X, bell, double, normal
from tests.ch02.worlds import even, line


@pytest.mark.equation("2.12")
@pytest.mark.parametrize("m_1, v_1, m_2, v_2", [(0.0, 1.0, 0.0, 4.0), (1.0, 0.3, -0.5, 0.2), (0.2, 2.0, 0.3, 0.5)])
def test_kl_of_gaussians_is_its_integral(m_1, v_1, m_2, v_2):
    p, q = norm(m_1, v_1**0.5), norm(m_2, v_2**0.5)
    integral, _ = quad(lambda x: p.pdf(x) * (p.logpdf(x) - q.logpdf(x)), m_1 - 12, m_1 + 12, epsabs=1e-12)
    assert kl_gauss(*map(double, (m_1, v_1, m_2, v_2))).item() == pytest.approx(integral, abs=1e-9)


@pytest.mark.equation("2.13")
@pytest.mark.parametrize("t", [2, 10, 500, 1000])
def test_a_steps_kl_is_half_the_loss_of_snr_times_the_squared_error(t):
    x_t, x0, x0_hat = normal(3, 4)
    (mean, variance), (mean_hat, _) = posterior(x_t, x0, t, ALPHA_BAR), posterior(x_t, x0_hat, t, ALPHA_BAR)
    kl = kl_gauss(mean, variance, mean_hat, variance)
    formula = (snr(ALPHA_BAR)[t - 1] - snr(ALPHA_BAR)[t]) / 2 * (x0 - x0_hat) ** 2
    assert torch.allclose(kl, formula, rtol=1e-6) and torch.allclose(step_kl(x0, x0_hat, t, ALPHA_BAR), formula)


@pytest.mark.equation("2.14")
def test_the_weight_of_the_noise_error_in_both_forms():
    t = torch.arange(2, 1001)
    ratio = (snr(ALPHA_BAR[t - 1]) / snr(ALPHA_BAR[t]) - 1) / 2
    paper = BETAS[t] ** 2 / (2 * posterior_variance(t, ALPHA_BAR) * (1 - BETAS[t]) * (1 - ALPHA_BAR[t]))
    assert torch.allclose(eps_weight(t, ALPHA_BAR), ratio, rtol=1e-8)
    assert torch.allclose(eps_weight(t, ALPHA_BAR), paper, rtol=1e-8)
    x_t, eps, eps_hat = normal(3, 999, 2)
    kl = step_kl(*(predict_x0(x_t, t, e, ALPHA_BAR) for e in (eps, eps_hat)), t, ALPHA_BAR)
    assert torch.allclose(kl, ratio[:, None] * (eps - eps_hat) ** 2, rtol=1e-6)


@pytest.mark.equation("2.15")
@pytest.mark.parametrize("k, mean, std", [(100, -0.2, 0.01), (200, 0.1, 0.4), (0, -0.9, 0.3), (255, 0.99, 0.05)])
def test_the_decoder_is_the_integral_of_the_bell_over_a_bin(k, mean, std):
    x = k * 2 / 255 - 1
    low, high = -np.inf if k == 0 else x - 1 / 255, np.inf if k == 255 else x + 1 / 255
    bin_, _ = quad(norm(mean, std).pdf, max(low, mean - 12 * std), min(high, mean + 12 * std), epsabs=1e-14)
    assert discretized_loglik(*map(double, (x, mean, std))).exp().item() == pytest.approx(bin_, rel=1e-8)


@pytest.mark.equation("2.16")
def test_nats_over_ln_2_are_bits():
    p = double([1 / 256, 0.5, 0.1])
    assert torch.allclose(bits_per_dim(-p.log()), -p.log2(), rtol=1e-14)
    assert bits_per_dim(-p.log())[0].item() == pytest.approx(8)


@pytest.mark.equation("2.17")
@pytest.mark.equation("2.18")
@pytest.mark.parametrize("t", [1, 50, 400, 1000])
def test_denoiser_and_its_error_for_a_gaussian_are_those_of_bayes_on_a_grid(t):
    m, v, a, x_t = -0.3, 0.25, ALPHA_BAR[t], 0.2
    q = bell(X, m, v) * bell(x_t, a.sqrt() * X, 1 - a)
    mean = (q * X).sum() / q.sum()
    variance = (q * (X - mean) ** 2).sum() / q.sum()
    world = Gaussian(m, v)
    x0_hat = world.denoise(double([x_t]), a.sqrt(), (1 - a).sqrt())
    assert x0_hat.item() == pytest.approx(mean.item(), abs=1e-9)
    assert world.error(a).item() == pytest.approx(variance.item(), rel=1e-8)
    assert world.error(a).item() == pytest.approx(v / (1 + v * snr(a).item()), rel=1e-9)


@pytest.mark.equation("2.19")
@pytest.mark.parametrize("shrink", [1.0, 0.8])
def test_the_sum_of_the_terms_becomes_an_integral_over_snr_however_the_steps_lie(shrink):
    """For x0_hat = shrink times the best guess of N(0, v), also a wrong one; two layouts between the same ends."""
    v, T = 0.25, 200_000

    def error(s):
        best = v / (1 + v * s)  # what is left, and (1 - shrink)^2 of what the guess had explained
        return best + (1 - shrink) ** 2 * (v - best)

    nodes, weights = leggauss(400)
    log_snr = -4.0 + 8.0 * nodes  # from -12 to 4
    integral = (8.0 * weights * error(np.exp(log_snr)) * np.exp(log_snr)).sum() / 2
    u = torch.linspace(0, 1, T, dtype=torch.float64)
    for path in (u, u**2 * (3 - 2 * u)):
        s = torch.exp(4 - 16 * path)
        assert ((s[:-1] - s[1:]) / 2 * error(s[1:])).sum().item() == pytest.approx(integral, rel=1e-3)


@pytest.mark.equation("2.19")
def test_elbo_terms_of_a_denoiser_with_constant_error_are_that_integral():
    alpha_bar, x0 = even(2000, 4, -12), 0.5 * normal(500, 1)
    terms = elbo_terms(lambda x_t, t: torch.zeros_like(x_t), x0, alpha_bar, torch.Generator().manual_seed(0))
    integral = float(snr(alpha_bar[1]) - snr(alpha_bar[-1])) / 2 * x0.square().mean().item()
    assert terms[1:-1].sum().item() == pytest.approx(integral, rel=1e-9)


@pytest.mark.equation("2.20")
@pytest.mark.parametrize("v", [0.05, 0.25, 2.0])
def test_the_limit_for_a_gaussian_is_its_entropy_up_to_the_last_snr(v):
    world = Gaussian(0.4, v)
    coarse, fine = (world.elbo_terms(even(T, 9, -3))[:-1].sum() for T in (20_000, 40_000))
    limit = 2 * fine - coarse  # the error is of order 1/T
    formula = world.entropy() - 0.5 * torch.log1p(v * torch.exp(double(-3.0)))
    assert limit.item() == pytest.approx(formula.item(), abs=1e-6)


@pytest.mark.equation("2.21")
def test_the_rescaled_line_keeps_a_gap_of_half_of_eulers_constant():
    k = np.arange(1, 1_000_001)
    partial = 0.5 * (1 / k - np.log1p(1 / k)).sum()
    assert partial == pytest.approx(np.euler_gamma / 2, abs=1e-6)
    assert np.euler_gamma / 2 == pytest.approx(0.2886, abs=5e-5)
    world = Gaussian(-0.3, 0.25)
    gaps = [(world.elbo_terms(line(T)).sum() - world.entropy()).item() for T in (10_000, 1_000_000)]
    assert gaps[0] > gaps[1] == pytest.approx(np.euler_gamma / 2, abs=1e-3)


@pytest.mark.equation("2.22")
@pytest.mark.parametrize("target", [EPS, X0, V], ids=lambda target: target.name)
def test_targets_are_solved_by_cramers_rule(target):
    t = torch.tensor([1, 300, 1000])
    alpha, sigma = ALPHA_BAR[t].sqrt(), (1 - ALPHA_BAR[t]).sqrt()
    x_t, y = normal(2, 3, 1)
    A, B = target.A(alpha, sigma), target.B(alpha, sigma)
    matrix = torch.stack([torch.stack([alpha, sigma], dim=-1), torch.stack([A, B], dim=-1)], dim=-2)
    solved = torch.linalg.solve(matrix, torch.cat([x_t, y], dim=1)[..., None])[..., 0]
    x0, eps = from_target(target, y, x_t, alpha, sigma)
    assert torch.allclose(torch.cat([x0, eps], dim=1), solved, rtol=1e-9)
    determinants = {"eps": alpha, "x0": -sigma, "v": torch.ones(3, dtype=torch.float64)}
    assert torch.allclose(torch.linalg.det(matrix), determinants[target.name], rtol=1e-12)


@pytest.mark.equation("2.23")
@pytest.mark.parametrize("target", [EPS, X0, V], ids=lambda target: target.name)
def test_an_error_of_the_answer_is_an_error_of_the_picture_times_sigma_over_d(target):
    t = torch.tensor([1, 300, 1000])
    alpha, sigma = ALPHA_BAR[t].sqrt(), (1 - ALPHA_BAR[t]).sqrt()
    x0, eps = normal(2, 3, 4)
    x_t, y = q_sample(x0, t, eps, ALPHA_BAR), to_target(target, x0, eps, alpha, sigma)
    y_hat = y + 0.1 * normal(3, 4, seed=1)
    d = alpha * target.B(alpha, sigma) - sigma * target.A(alpha, sigma)
    x0_hat, _ = from_target(target, y_hat, x_t, alpha, sigma)
    assert torch.allclose((x0 - x0_hat) ** 2, ((sigma / d) ** 2)[:, None] * (y - y_hat) ** 2, rtol=1e-5, atol=1e-12)
