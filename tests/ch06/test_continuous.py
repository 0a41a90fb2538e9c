"""Paths for real times: their ends, their agreement with the tables, and lambda as a clock."""

import math

import pytest
import torch

from minidiff.process.continuous import cosine_path, interpolated_path, lambda_of, time_of, vp_path
from minidiff.process.path import discrete_path
from minidiff.process.schedules import alpha_bar_of, cosine_betas, linear_betas

PATHS = {"vp": vp_path(), "cosine": cosine_path(), "table": interpolated_path(alpha_bar_of(linear_betas()))}


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
def test_a_path_keeps_the_variance_and_starts_clean(path):
    t = torch.linspace(0, path.T, 1001, dtype=torch.float64)
    alpha, sigma = path.alpha(t), path.sigma(t)
    torch.testing.assert_close(alpha**2 + sigma**2, torch.ones_like(t), rtol=1e-14, atol=1e-14)
    assert alpha[0] == 1 and sigma[0] == 0 and alpha.dtype == sigma.dtype == torch.float64
    assert (alpha.diff() < 0).all() and (sigma.diff() >= 0).all()


def test_the_cosine_path_ends_in_pure_noise():
    assert cosine_path().alpha(1.0) == 0 and cosine_path().sigma(1.0) == 1


def test_the_linear_table_is_the_vp_path_in_the_limit():
    alpha_bar, t = alpha_bar_of(linear_betas()), torch.arange(0, 1001, 50)
    torch.testing.assert_close(vp_path().alpha(t / 1000) ** 2, alpha_bar[t], rtol=0.05, atol=1e-4)


def test_the_cosine_table_follows_the_cosine_path():
    alpha_bar, t = alpha_bar_of(cosine_betas()), torch.arange(0, 1001, 50)
    torch.testing.assert_close(cosine_path().alpha(t / 1000) ** 2, alpha_bar[t], rtol=0, atol=0.02)


def test_an_interpolated_path_hits_the_table_and_is_straight_between():
    alpha_bar = alpha_bar_of(linear_betas())
    path, steps = interpolated_path(alpha_bar), torch.arange(1001)
    table = discrete_path(alpha_bar)
    torch.testing.assert_close(path.alpha(steps), table.alpha(steps), rtol=1e-14, atol=0)
    torch.testing.assert_close(path.sigma(steps), table.sigma(steps), rtol=1e-12, atol=0)
    middle = path.alpha(steps[:-1] + 0.5)
    torch.testing.assert_close(middle, (table.alpha(steps[:-1]) * table.alpha(steps[1:])).sqrt(), rtol=1e-14, atol=0)


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
def test_lambda_tells_the_time(path):
    t = torch.linspace(0.001, 0.999, 50, dtype=torch.float64) * path.T
    torch.testing.assert_close(time_of(path, lambda_of(path, t)), t, rtol=1e-9, atol=0)
    assert float(lambda_of(path, 0.0)) == math.inf and float(time_of(path, math.inf)) < 1e-12


def test_sigma_keeps_its_digits_next_to_clean_data():
    t = torch.tensor(1e-12, dtype=torch.float64)
    assert float(vp_path().sigma(t)) == pytest.approx(math.sqrt(0.1e-12), rel=1e-6)


def test_times_outside_of_the_path_are_refused():
    with pytest.raises(ValueError, match=r"times must lie in 0..1.0, got 1.1..1.1"):
        vp_path().alpha(1.1)
    with pytest.raises(ValueError, match="lambda must be at least"):
        time_of(vp_path(), -100.0)
    with pytest.raises(ValueError, match="has no logarithm"):
        interpolated_path(torch.tensor([1.0, 0.5, 0.0], dtype=torch.float64))
