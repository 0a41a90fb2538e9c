"""The two lines beside the loss of a net: the best linear denoiser and the memoriser, against brute force."""

import json
from pathlib import Path

import pytest
import torch

from minidiff.evaluation.eps_baselines import memoriser_eps_mse, wiener_eps_mse
from minidiff.process.path import discrete_path
from minidiff.process.schedules import alpha_bar_of, as_table, linear_betas

ALPHA_BAR = alpha_bar_of(as_table(torch.linspace(0.02, 0.5, 20, dtype=torch.float64)))
PATH = discrete_path(ALPHA_BAR)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def pictures(n, seed=0, dim=5):
    """n correlated pictures (n, 1, 1, dim) that are not centred."""
    mix = torch.randn(dim, dim, generator=generator(100))
    return (0.3 + torch.randn(n, dim, generator=generator(seed)) @ mix)[:, None, None, :]


@pytest.mark.parametrize("t", [1, 5, 12, 20])
def test_wiener_is_the_filter_applied_to_noise(t):
    real, images, a = pictures(200), pictures(30, seed=1), ALPHA_BAR[t]
    flat = real.flatten(1).double()
    A = (1 - a).sqrt() * torch.linalg.inv(a * torch.cov(flat.T) + (1 - a) * torch.eye(5))
    x0 = images.flatten(1).double().repeat(4000, 1)
    eps = torch.randn(x0.shape, generator=generator(2), dtype=torch.float64)
    error = ((a.sqrt() * (x0 - flat.mean(dim=0)) + (1 - a).sqrt() * eps) @ A - eps).square().mean(dim=1)
    expected = error.reshape(4000, 30).mean(dim=1)  # the mean over the pictures, one of each noise
    line = wiener_eps_mse(images, real, PATH)[t]
    assert abs(line - expected.mean()) < 4 * expected.std() / 4000**0.5


@pytest.mark.parametrize("t", [2, 10, 19])
def test_no_linear_denoiser_is_better(t):
    real, a = pictures(400), ALPHA_BAR[t]
    x0 = real.flatten(1).double().repeat(500, 1)
    eps = torch.randn(x0.shape, generator=generator(3), dtype=torch.float64)
    x_t = torch.cat([a.sqrt() * x0 + (1 - a).sqrt() * eps, torch.ones(len(x0), 1)], dim=1)
    fitted = torch.linalg.lstsq(x_t, eps).solution
    best = (x_t @ fitted - eps).square().mean()
    line = wiener_eps_mse(real, real, PATH)[t]
    assert line == pytest.approx(float(best), rel=0.01)


def test_a_direction_without_variance_costs_nothing():
    real = pictures(300)
    real[..., 2:] = 0.7
    line = wiener_eps_mse(real, real, PATH)
    assert torch.isfinite(line[1:]).all()
    early = discrete_path(alpha_bar_of(as_table(torch.tensor([1e-9, 0.999]))))
    assert wiener_eps_mse(real, real, early)[1] == pytest.approx(2 / 5, rel=1e-2)


def test_wiener_has_no_value_at_clean_data_and_falls():
    line = wiener_eps_mse(pictures(100), pictures(100), PATH)
    assert line.shape == (21,) and line.dtype == torch.float64 and torch.isnan(line[0])
    assert (line[2:] < line[1:-1]).all() and (line[1:] > 0).all()


def test_wiener_pays_for_pictures_it_was_not_fitted_to():
    real = pictures(300)
    assert (wiener_eps_mse(3 * real, real, PATH)[1:] > wiener_eps_mse(real, real, PATH)[1:]).all()


@pytest.mark.parametrize("t", [1, 8, 20])
def test_memoriser_against_loops(t):
    real, images, a = pictures(6), pictures(3, seed=1), ALPHA_BAR[t]
    eps = torch.randn(3, 5, generator=generator(9)).double()
    total = 0.0
    for x0, e in zip(images.flatten(1).double(), eps):
        x_t = a.sqrt() * x0 + (1 - a).sqrt() * e
        logits = torch.stack([-(x_t - a.sqrt() * r).square().sum() / (2 * (1 - a)) for r in real.flatten(1).double()])
        weights = torch.exp(logits - logits.max())
        x0_hat = sum(w * r for w, r in zip(weights / weights.sum(), real.flatten(1).double()))
        total += float(((x_t - a.sqrt() * x0_hat) / (1 - a).sqrt() - e).square().sum())
    assert memoriser_eps_mse(images, real, t, PATH, generator(9)) == pytest.approx(total / 15, rel=1e-4)


def test_memoriser_knows_what_it_has_seen_and_nothing_else():
    real, fresh = pictures(50, dim=40), pictures(50, seed=1, dim=40)
    assert memoriser_eps_mse(real, real, 1, PATH, generator()) < 1e-6
    assert memoriser_eps_mse(fresh, real, 1, PATH, generator()) > 1


def test_memoriser_of_one_picture_answers_with_it():
    one, other, a = pictures(1), pictures(1, seed=1), float(ALPHA_BAR[6])
    expected = a / (1 - a) * (other - one).square().mean()
    assert memoriser_eps_mse(other, one, 6, PATH, generator()) == pytest.approx(float(expected), rel=1e-4)


def test_the_record_holds_what_the_chapter_says():
    record = json.loads((Path(__file__).parents[2] / "benchmarks" / "eps_baselines.json").read_text())
    linear, by_heart = record["wiener"]["of_t"], record["memoriser"]["of_t"]
    assert len(linear) == len(by_heart) == record["bins"] == 10 and record["T"] == len(linear_betas()) - 1
    assert round(record["wiener"]["mean"], 3) == 0.074
    assert by_heart[0] > 1 > linear[0]  # by heart is worse than answering 0
    assert all(b < a for a, b in zip(linear, linear[1:]))
