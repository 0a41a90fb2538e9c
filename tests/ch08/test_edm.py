"""EDM: four coefficients, a target on any path, a network that sees unit sizes, and a loss whose weight is 1."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minidiff.process.continuous import cosine_path, vp_path
from minidiff.process.edm import draw_sigmas, edm_denoiser_of, edm_loss, edm_precond, f_target, ve_path
from minidiff.process.targets import V, from_target, to_target
from tests.ch08.worlds import MIXTURE, generator, normal

LEVELS = torch.tensor([0.002, 0.1, 0.5, 3.0, 80.0], dtype=torch.float64)


@pytest.mark.parametrize("s", [0.5, 0.62, 1.0])
def test_inputs_and_targets_have_unit_variance_at_every_level(s):
    x0, eps = s * normal(200_000, seed=2), normal(200_000, seed=3)
    for sigma in LEVELS:
        _, _, c_in, _ = edm_precond(sigma, s)
        target = to_target(f_target(s), x0, eps, torch.ones_like(sigma), sigma)
        for quantity in (c_in * (x0 + sigma * eps), target):
            assert float(quantity.square().mean()) == pytest.approx(1, abs=4 * (2 / 200_000) ** 0.5)


@pytest.mark.parametrize("sigma", LEVELS)
def test_c_skip_is_the_one_with_the_smallest_c_out(sigma):
    c_skip, c_out, _, _ = edm_precond(sigma, 0.5)

    def size(c):  # of the target before it is scaled: sqrt of E |x0 - c x|^2
        return ((1 - c) ** 2 * 0.25 + c**2 * sigma**2).sqrt()

    assert size(c_skip) == pytest.approx(float(c_out))
    assert all(size(c_skip) < size(c_skip + d) for d in (-0.1, -0.01, 0.01, 0.1))


@pytest.mark.parametrize("path", [ve_path(), vp_path(), cosine_path()], ids=["ve", "vp", "cosine"])
@given(fraction=st.floats(0.001, 1.0), s=st.floats(0.1, 2.0))
def test_the_target_f_is_a_target_on_every_path(path, fraction, s):
    t = torch.tensor(fraction * path.T, dtype=torch.float64)
    alpha, sigma, x0, eps = path.alpha(t), path.sigma(t), normal(4, 2, seed=2), normal(4, 2, seed=3)
    F = to_target(f_target(s), x0, eps, alpha, sigma)
    got = from_target(f_target(s), F, alpha * x0 + sigma * eps, alpha, sigma)
    torch.testing.assert_close(got[0], x0, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(got[1], eps, rtol=1e-7, atol=1e-7)
    if alpha > 0.01:  # in the picture's own units
        c_skip, c_out, _, _ = edm_precond(sigma / alpha, s)
        torch.testing.assert_close((x0 - c_skip * (x0 + sigma / alpha * eps)) / c_out, F, rtol=1e-9, atol=1e-9)


def test_with_unit_data_on_a_variance_preserving_path_f_is_minus_v():
    t = torch.linspace(0.01, 0.99, 20, dtype=torch.float64)
    alpha, sigma = vp_path().alpha(t), vp_path().sigma(t)
    x0, eps = normal(20, 2, seed=2), normal(20, 2, seed=3)
    torch.testing.assert_close(to_target(f_target(1.0), x0, eps, alpha, sigma), -to_target(V, x0, eps, alpha, sigma))


@pytest.mark.parametrize("path", [ve_path(), vp_path()], ids=["ve", "vp"])
def test_a_network_that_answers_f_exactly_makes_the_exact_denoiser(path):
    s, heard = 0.7, []

    def net(scaled, c_noise, label=None):
        heard.append((float(scaled.square().mean()), label))
        sigma = torch.exp(4 * c_noise)[:, None]
        c_skip, c_out, c_in, _ = edm_precond(sigma, s)
        x = scaled / c_in
        return (MIXTURE.denoise(x, 1.0, sigma[:, 0]) - c_skip * x) / c_out

    t = torch.tensor([0.1, 0.3, 0.9, 0.5], dtype=torch.float64) * path.T
    x = normal(4, 2) * path.sigma(t)[:, None]
    x0, eps = edm_denoiser_of(net, path, s)(x, t, label=3)
    torch.testing.assert_close(x0, MIXTURE.denoise(x, path.alpha(t), path.sigma(t)), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(path.alpha(t)[:, None] * x0 + path.sigma(t)[:, None] * eps, x, rtol=1e-9, atol=1e-9)
    assert heard[0][1] == 3


def test_the_denoiser_keeps_float32_and_one_time_serves_all():
    denoiser = edm_denoiser_of(lambda x, c: 0 * x, ve_path(), 0.5)
    x = normal(3, 1, 4, 4, dtype=torch.float32)
    x0, eps = denoiser(x, torch.tensor(2.0))
    assert x0.dtype == eps.dtype == torch.float32
    torch.testing.assert_close(x0, x * 0.25 / 4.25)


def test_the_loss_is_the_weighted_loss_of_the_paper():
    """Karras et al. 2022, eqs. 2 and 8: lambda(sigma) |D(x; sigma) - x0|^2 with lambda = 1 / c_out^2."""
    x0, s = normal(8, 1, 4, 4, dtype=torch.float32), 0.62

    def net(x, c_noise):
        return 0.3 * x + c_noise.float().reshape(-1, 1, 1, 1)

    loss, logs = edm_loss(net, x0, s, generator(5))
    g = generator(5)
    sigma = torch.exp(-1.2 + 1.2 * torch.randn(8, generator=g, dtype=torch.float64))
    eps = torch.randn(x0.shape, generator=g)
    assert torch.equal(logs["sigma"], sigma) and loss == logs["each"].mean()
    c_skip, c_out, c_in, c_noise = (c.reshape(-1, 1, 1, 1) for c in edm_precond(sigma, s))
    x = x0 + sigma.reshape(-1, 1, 1, 1) * eps
    D = c_skip * x + c_out * (0.3 * c_in * x + c_noise)
    weighted = ((D - x0) ** 2 / c_out**2).mean()
    assert float(loss) == pytest.approx(float(weighted), rel=1e-5)


def test_a_net_that_says_zero_has_the_loss_1_on_data_of_the_right_size():
    x0 = 0.62 * torch.randn(4000, 8, generator=generator())
    loss, _ = edm_loss(lambda x, c: 0 * x, x0, 0.62, generator(1))
    assert float(loss) == pytest.approx(1, abs=4 * (2 / 32_000) ** 0.5)


def test_the_levels_of_training_are_lognormal():
    logs = draw_sigmas(20_000, generator()).log()
    assert float(logs.mean()) == pytest.approx(-1.2, abs=4 * 1.2 / math.sqrt(20_000))
    assert float(logs.std()) == pytest.approx(1.2, abs=4 * 1.2 / math.sqrt(40_000))


def test_the_path_adds_noise_and_leaves_the_picture():
    path, t = ve_path(), torch.tensor([0.0, 0.5, 80.0])
    assert path.alpha(t).tolist() == [1, 1, 1] and path.sigma(t).tolist() == [0, 0.5, 80] and path.T == 80
    assert path.alpha(t).dtype == path.sigma(t).dtype == torch.float64
    for wrong in (-0.1, 80.1):
        with pytest.raises(ValueError, match=r"times must lie in 0..80.0"):
            path.sigma(wrong)
