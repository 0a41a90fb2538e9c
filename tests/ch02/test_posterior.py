"""The step back when the picture is known: Bayes by brute force, the last step, steps that skip."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minidiff.process.forward import q_sample
from minidiff.process.posterior import posterior, posterior_variance
from minidiff.process.schedules import alpha_bar_of, cosine_betas, linear_betas

T = 1000
TABLES = {"linear": alpha_bar_of(linear_betas()), "cosine": alpha_bar_of(cosine_betas())}
every_table = pytest.mark.parametrize("alpha_bar", TABLES.values(), ids=TABLES.keys())


def by_brute_force(x_t, x0, t, s, alpha_bar):
    """Mean and variance of x_s from prior times likelihood, summed on a grid that is fine where the product is."""
    a_t, a_s = float(alpha_bar[t]), float(alpha_bar[s])
    keep, centre = a_t / a_s, a_s**0.5 * x0
    wide = (1 - a_s) ** 0.5
    x = torch.linspace(centre - 12 * wide, centre + 12 * wide, 400_001, dtype=torch.float64)
    log_p = -((x - centre) ** 2) / (2 * (1 - a_s)) - (x_t - keep**0.5 * x) ** 2 / (2 * (1 - keep))
    p = log_p.softmax(dim=0)
    mean = (p * x).sum()
    return mean.item(), (p * (x - mean) ** 2).sum().item()


@pytest.mark.parametrize("t, s", [(2, 1), (3, 1), (10, 9), (300, 299), (300, 100), (700, 1), (1000, 999), (1000, 400)])
@every_table
def test_posterior_is_bayes_on_a_grid(alpha_bar, t, s):
    x0 = torch.tensor([0.7, -1.0], dtype=torch.float64)
    x_t = q_sample(x0, t, torch.tensor([-1.5, 0.4], dtype=torch.float64), alpha_bar)
    mean, variance = posterior(x_t, x0, t, alpha_bar, s)
    for i in range(2):
        brute_mean, brute_variance = by_brute_force(x_t[i].item(), x0[i].item(), t, s, alpha_bar)
        assert mean[i].item() == pytest.approx(brute_mean, abs=1e-6)
        assert variance.item() == pytest.approx(brute_variance, rel=1e-6)


@every_table
def test_last_step_is_certain(alpha_bar):
    x0, x_t = torch.randn(2, 4, 1, 3, 3, generator=torch.Generator().manual_seed(0))
    for t in (1, 2, 500, T):
        mean, variance = posterior(x_t, x0, t, alpha_bar, s=0)
        assert variance.item() == 0.0
        assert torch.equal(mean, x0)


def test_s_is_the_step_before_unless_told():
    alpha_bar = TABLES["linear"]
    t = torch.tensor([1, 7, T])
    x = torch.randn(3, 5, dtype=torch.float64)
    for got, told in zip(posterior(x, 2 * x, t, alpha_bar), posterior(x, 2 * x, t, alpha_bar, t - 1)):
        assert torch.equal(got, told)


@given(st.lists(st.integers(0, T), min_size=3, max_size=3, unique=True), st.sampled_from(sorted(TABLES)))
def test_two_short_steps_are_one_long_step(times, name):
    """q(x_r | x_t, x0) is q(x_r | x_s, x0) averaged over q(x_s | x_t, x0): means chain, variances add."""
    r, s, t = sorted(times)
    alpha_bar = TABLES[name]
    x0, x_t = torch.tensor([[0.3], [-1.2]], dtype=torch.float64)
    mean_s, var_s = posterior(x_t, x0, t, alpha_bar, s)
    mean_r, var_r = posterior(mean_s, x0, s, alpha_bar, r)
    slope = posterior(mean_s + 1, x0, s, alpha_bar, r)[0] - mean_r
    mean, variance = posterior(x_t, x0, t, alpha_bar, r)
    assert torch.allclose(mean_r, mean, rtol=0, atol=1e-10)
    assert torch.allclose(var_r + slope**2 * var_s, variance, rtol=1e-9, atol=1e-14)


@given(st.integers(1, T), st.data())
def test_variance_is_never_negative_and_never_above_the_noise_of_the_step(t, data):
    s = data.draw(st.integers(0, t - 1))
    for alpha_bar in TABLES.values():
        assert 0 <= posterior_variance(t, alpha_bar, s) <= 1 - alpha_bar[t] / alpha_bar[s]


def test_every_image_has_its_own_step_when_the_batch_is_as_wide_as_the_image():
    alpha_bar, t, s = TABLES["linear"], torch.arange(100, 900, 100), torch.arange(0, 800, 100)
    x_t, x0 = torch.randn(2, 8, 1, 8, 8, dtype=torch.float64)
    mean, variance = posterior(x_t, x0, t, alpha_bar, s)
    for i in range(8):
        one, var = posterior(x_t[i:i + 1], x0[i:i + 1], int(t[i]), alpha_bar, int(s[i]))
        assert torch.allclose(mean[i], one[0], rtol=1e-14) and variance[i] == var


def test_pictures_keep_their_dtype_and_variances_are_float64():
    x = torch.zeros(2, 1, 4, 4)
    mean, variance = posterior(x, x, torch.tensor([1, 900]), TABLES["linear"])
    assert mean.dtype == torch.float32 and mean.shape == x.shape
    assert variance.dtype == torch.float64 and variance.shape == (2,)


@pytest.mark.parametrize("t, s", [(5, 5), (5, 9), (5, -1), (0, None), (torch.tensor([3, 4]), torch.tensor([2, 4]))])
def test_a_step_back_must_go_back(t, s):
    x = torch.zeros(2, 1)
    with pytest.raises(ValueError, match="from t to an earlier s"):
        posterior(x, x, t, TABLES["linear"], s)
    with pytest.raises(ValueError, match="from t to an earlier s"):
        posterior_variance(t, TABLES["linear"], s)


def test_terminal_pure_noise_gives_the_jump_to_s():
    """With alpha_bar_T = 0, x_T tells nothing: q(x_s | x_T, x0) is q(x_s | x0)."""
    alpha_bar = torch.linspace(1, 0, 11, dtype=torch.float64)
    x0 = torch.tensor([0.5], dtype=torch.float64)
    mean, variance = posterior(torch.tensor([3.0], dtype=torch.float64), x0, 10, alpha_bar, s=4)
    assert torch.allclose(mean, alpha_bar[4].sqrt() * x0) and torch.allclose(variance, 1 - alpha_bar[4])
