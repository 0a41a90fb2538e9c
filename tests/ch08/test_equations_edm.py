"""The numbered equations of chapter 08 on EDM, (8.16) to (8.22), checked with numbers."""

import pytest
import torch

from minidiff.process.edm import edm_denoiser_of, edm_precond, f_target, ve_path
from minidiff.samplers.heun import heun
from minidiff.samplers.lambda_grids import karras_sigmas
from minidiff.samplers.stochastic import churn
from tests.ch08.worlds import Counter, generator, normal

SIGMAS = torch.tensor([0.003, 0.2, 0.9, 6.0, 70.0], dtype=torch.float64)


@pytest.mark.equation("8.16")
def test_a_formula_and_the_net_share_the_work():
    x, path = normal(5, 3), ve_path()
    c_skip, c_out, c_in, c_noise = (c[:, None] for c in edm_precond(SIGMAS, 0.6))
    x0, _ = edm_denoiser_of(lambda u, c: torch.tanh(u) + c[:, None], path, 0.6)(x, SIGMAS)
    torch.testing.assert_close(x0, c_skip * x + c_out * (torch.tanh(c_in * x) + c_noise), rtol=1e-9, atol=1e-9)


@pytest.mark.equation("8.17")
def test_the_variance_of_what_the_net_should_say():
    s, x0, eps = 0.6, 0.6 * normal(100_000), normal(100_000, seed=2)
    for sigma in SIGMAS:
        for c in (0.1, 0.5, 0.9):
            expected = (1 - c) ** 2 * s**2 + c**2 * sigma**2
            assert float((x0 - c * (x0 + sigma * eps)).var()) == pytest.approx(float(expected), rel=4 * (2e-5) ** 0.5)


@pytest.mark.equation("8.18")
@pytest.mark.parametrize("s", [0.5, 2.0])
def test_the_four_coefficients(s):
    c_skip, c_out, c_in, c_noise = edm_precond(SIGMAS, s)
    torch.testing.assert_close((1 - c_skip) * s**2, c_skip * SIGMAS**2)  # the derivative of (8.17) is zero
    torch.testing.assert_close(c_out**2, (1 - c_skip) ** 2 * s**2 + c_skip**2 * SIGMAS**2)
    torch.testing.assert_close(c_in**2 * (SIGMAS**2 + s**2), torch.ones_like(SIGMAS))
    torch.testing.assert_close((4 * c_noise).exp(), SIGMAS)


@pytest.mark.equation("8.19")
@pytest.mark.parametrize("alpha", [1.0, 0.3])
def test_f_is_a_target(alpha):
    s, x0, eps = 0.6, 0.7, -1.1
    alpha = torch.full_like(SIGMAS, alpha)
    c_skip, c_out, _, _ = edm_precond(SIGMAS / alpha, s)
    F = (x0 - c_skip * (x0 + SIGMAS / alpha * eps)) / c_out
    r = (SIGMAS**2 + alpha**2 * s**2).sqrt()
    torch.testing.assert_close(F, SIGMAS / (s * r) * x0 - alpha * s / r * eps)
    torch.testing.assert_close(F, f_target(s).A(alpha, SIGMAS) * x0 + f_target(s).B(alpha, SIGMAS) * eps)


@pytest.mark.equation("8.20")
def test_an_error_of_f_in_pictures():
    s, x, path = 0.6, normal(5, 3), ve_path()
    F, wrong = normal(5, 3, seed=2), normal(5, 3, seed=3)
    right, off = (edm_denoiser_of(lambda u, c: answer, path, s)(x, SIGMAS)[0] for answer in (F, F + wrong))
    weight = ((SIGMAS**2 + s**2) / (SIGMAS * s) ** 2)[:, None]
    torch.testing.assert_close(weight * (off - right) ** 2, wrong**2, rtol=1e-7, atol=1e-9)
    torch.testing.assert_close(weight[:, 0], 1 / edm_precond(SIGMAS, s)[1] ** 2)


@pytest.mark.equation("8.21")
def test_the_grid_even_in_a_root():
    n, low, high, rho = 9, 0.002, 80.0, 7.0
    sigmas = karras_sigmas(n, low, high, rho)
    for i in range(n):
        root = high ** (1 / rho) + i / (n - 1) * (low ** (1 / rho) - high ** (1 / rho))
        assert float(sigmas[i]) == pytest.approx(root**rho)
    assert sigmas[n] == 0 and len(sigmas) == n + 1


@pytest.mark.equation("8.22")
def test_churn_goes_up_by_the_missing_variance():
    path, x, gain = ve_path(), normal(4, 2), 0.25
    times = torch.tensor([80.0, 3.0, 1.0], dtype=torch.float64)
    walk = churn(Counter(path), x, times, path, generator(7), s_churn=2 * gain, s_tmin=2.0, s_tmax=10.0, s_noise=1.0)
    (_, x_t, _), (_, x_s, _) = next(walk), next(walk)
    t, up = times[1], (1 + gain) * times[1]
    noised = x_t + (up**2 - t**2).sqrt() * torch.randn(x.shape, generator=generator(7), dtype=x.dtype)
    _, expected, _ = next(heun(Counter(path), noised, (up, times[2]), path))
    torch.testing.assert_close(x_s, expected, rtol=1e-9, atol=1e-9)
    assert float(t**2 + (up**2 - t**2)) == pytest.approx(float(up**2))  # the variances of two noises add
