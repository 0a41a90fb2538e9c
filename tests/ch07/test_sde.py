"""Drift and diffusion of a path in closed form, and the two equations that run it backwards."""

import math

import pytest
import torch

from minidiff.evaluation.convergence import mixture_denoiser
from minidiff.process.continuous import cosine_path, interpolated_path, lambda_of, vp_path
from minidiff.process.path import Path, discrete_path
from minidiff.process.schedules import alpha_bar_of, linear_betas
from minidiff.process.sde import drift_and_diffusion, pf_ode_rhs, reverse_drift
from minidiff.samplers.step import ddim_step
from tests.ch07.worlds import MIXTURE, PATHS, VE, generator, normal, times_of

TIMES = torch.linspace(0.01, 0.99, 50, dtype=torch.float64)


def test_the_linear_path_has_the_beta_of_its_line():
    f, g2 = drift_and_diffusion(vp_path(0.1, 20.0), TIMES)
    beta = 0.1 + TIMES * (20.0 - 0.1)
    torch.testing.assert_close(f, -beta / 2, rtol=1e-12, atol=0)
    torch.testing.assert_close(g2, beta, rtol=1e-11, atol=0)


def test_an_exploding_path_has_no_drift_and_the_growth_of_its_variance():
    f, g2 = drift_and_diffusion(VE, TIMES)
    assert (f == 0).all()
    torch.testing.assert_close(g2, 2 * TIMES, rtol=1e-12, atol=0)


def test_the_cosine_path_and_the_straight_one_in_closed_form():
    f, g2 = drift_and_diffusion(cosine_path(), TIMES)
    tangent = math.pi / 2 * (math.pi / 2 * TIMES).tan()
    torch.testing.assert_close(f, -tangent, rtol=1e-11, atol=0)
    torch.testing.assert_close(g2, 2 * tangent, rtol=1e-11, atol=0)
    straight = Path(lambda t: 1 - t, lambda t: t, 1.0)
    f, g2 = drift_and_diffusion(straight, TIMES)
    torch.testing.assert_close(f, -1 / (1 - TIMES), rtol=1e-12, atol=0)
    torch.testing.assert_close(g2, 2 * TIMES / (1 - TIMES), rtol=1e-12, atol=0)


def test_between_two_steps_of_a_table_the_rate_is_the_log_of_one_minus_beta():
    betas = linear_betas()
    path, t = interpolated_path(alpha_bar_of(betas)), torch.tensor([0.5, 499.25, 999.9], dtype=torch.float64)
    f, g2 = drift_and_diffusion(path, t)
    rate = -torch.log1p(-betas[t.ceil().long()])
    torch.testing.assert_close(f, -rate / 2, rtol=1e-9, atol=0)
    torch.testing.assert_close(g2, rate, rtol=1e-9, atol=0)


@pytest.mark.parametrize("name", PATHS)
def test_diffusion_is_the_noise_times_the_fall_of_lambda(name):
    path, t, h = PATHS[name], times_of(name, 9)[1:-1], 1e-5
    _, g2 = drift_and_diffusion(path, t)
    fall = -(lambda_of(path, t + h) - lambda_of(path, t - h)) / (2 * h)
    torch.testing.assert_close(g2, 2 * path.sigma(t) ** 2 * fall, rtol=1e-5, atol=0)


def test_drift_and_diffusion_carry_mean_and_variance_along_the_path():
    path, alpha, variance, n = vp_path(), 1.0, 0.0, 20_000
    f, g2 = drift_and_diffusion(path, (torch.arange(n, dtype=torch.float64) + 0.5) / n)
    for f, g2 in zip((f / n).tolist(), (g2 / n).tolist(), strict=True):
        alpha, variance = alpha * (1 + f), variance + 2 * f * variance + g2
    assert alpha == pytest.approx(float(path.alpha(1.0)), rel=0.01)
    assert variance == pytest.approx(float(path.sigma(1.0)) ** 2, rel=1e-3)


def test_one_time_or_one_per_picture_inside_or_outside_of_no_grad():
    path, t = vp_path(), torch.tensor([0.3, 0.8], dtype=torch.float64)
    f, g2 = drift_and_diffusion(path, t)
    with torch.no_grad():
        for i in range(2):
            one = drift_and_diffusion(path, float(t[i]))
            assert one[0] == f[i] and one[1] == g2[i] and one[0].ndim == 0
    assert not (f.requires_grad or g2.requires_grad)


def test_a_table_of_steps_has_no_rate():
    with pytest.raises(TypeError, match="whole times"):
        drift_and_diffusion(discrete_path(alpha_bar_of(linear_betas())), 0.5)


@pytest.mark.parametrize("path, t", [(vp_path(), 0.0), (cosine_path(), 1.0), (VE, torch.tensor([0.5, 0.0]))])
def test_the_ends_of_a_path_without_noise_or_picture_are_refused(path, t):
    with pytest.raises(ValueError, match="need alpha > 0 and sigma > 0"):
        drift_and_diffusion(path, t)


@pytest.mark.parametrize("name", PATHS)
def test_the_ode_moves_picture_and_noise_with_the_path(name):
    path, t, h, x = PATHS[name], times_of(name, 6)[1:-1], 1e-6, normal(5, 2)
    x0, eps = mixture_denoiser(MIXTURE, path)(x, t)
    alpha_rate, sigma_rate = ((u(t + h) - u(t - h)) / (2 * h) for u in (path.alpha, path.sigma))
    expected = alpha_rate[:, None] * x0 + sigma_rate[:, None] * eps
    torch.testing.assert_close(pf_ode_rhs(eps, x, t, path), expected, rtol=1e-6, atol=1e-6)


def test_the_sde_pulls_along_the_score_twice_as_strongly_as_the_ode():
    path, t, x = vp_path(), TIMES[:5], normal(5, 2)
    f, g2 = drift_and_diffusion(path, t)
    _, eps = mixture_denoiser(MIXTURE, path)(x, t)
    score = MIXTURE.noised(path.alpha(t), path.sigma(t)).score(x)
    for drift, share in ((reverse_drift, 1.0), (pf_ode_rhs, 0.5)):
        expected = f[:, None] * x - share * g2[:, None] * score
        torch.testing.assert_close(drift(eps, x, t, path), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("name", PATHS)
def test_the_family_of_ddim_is_this_family_in_small_steps(name, eta):
    path, x, h = PATHS[name], normal(5, 2), 1e-6
    t = times_of(name, 2)[1]
    x0, eps = mixture_denoiser(MIXTURE, path)(x, t)
    _, g2 = drift_and_diffusion(path, t)
    new = ddim_step(0 * x, 0 * x, t, t - h, path, eta, generator(4))
    torch.testing.assert_close(new, eta * (g2 * h).sqrt() * normal(5, 2, seed=4), rtol=1e-4, atol=0)
    moved = ddim_step(x0, eps, t, t - h, path, eta, generator(4)) - new - x
    torch.testing.assert_close(moved / h, -reverse_drift(eps, x, t, path, eta), rtol=1e-4, atol=1e-4)


def test_pictures_keep_their_shape_and_dtype():
    x, eps = torch.randn(2, 3, 2, 1, 4).unbind(0)
    for drift in (reverse_drift, pf_ode_rhs):
        for t in (0.4, torch.rand(3)):
            assert drift(eps, x, t, vp_path()).shape == x.shape and drift(eps, x, t, vp_path()).dtype == x.dtype
