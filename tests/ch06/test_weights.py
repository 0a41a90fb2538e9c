"""One weight on the error of x0, carried over to any target: the identity, the known pairs, and the ends of a path."""

import math

import pytest
import torch

from minidiff.process import weights
from minidiff.process.continuous import cosine_path
from minidiff.process.convert import convert
from minidiff.process.forward import expand_like
from minidiff.process.targets import EPS, V, X0, Target, from_target, to_target
from minidiff.process.weights import (constant, edm, loss_weight, min_snr, p2, sigmoid, snr_plus_one, snr_weight,
                                      truncated_snr)

FLOW = Target("flow", lambda alpha, sigma: 0 * alpha - 1, lambda alpha, sigma: 0 * alpha + 1)
EDM_F = Target("F", lambda alpha, sigma: sigma / (0.5 * (sigma**2 + 0.25).sqrt()),
               lambda alpha, sigma: -0.5 / (sigma**2 + 0.25).sqrt())
TARGETS = {"eps": EPS, "x0": X0, "v": V, "flow": FLOW}
WEIGHTS = {f.__name__: f for f in (constant, snr_weight, snr_plus_one, truncated_snr, min_snr, p2, edm, sigmoid)}
FINITE_AT_NOISE = ("snr_weight", "min_snr", "p2", "sigmoid")  # those that fall like SNR: eps may be asked
every_target = pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
every_weight = pytest.mark.parametrize("weight", WEIGHTS.values(), ids=WEIGHTS)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def numbers(*values):
    return torch.tensor(values, dtype=torch.float64)


@every_target
@every_weight
def test_the_weighted_loss_of_an_answer_is_that_of_its_x0(target, weight):
    """Pitfall 21: whatever is predicted, weight times the squared error of x0 is what the loss weighs."""
    angle = numbers(0.1, 0.5, 0.9, 1.3, 1.55)
    alpha, sigma = angle.cos(), angle.sin()
    x0, eps, error = normal(3, 5, 7)
    x_t = expand_like(alpha, x0) * x0 + expand_like(sigma, x0) * eps
    out = to_target(target, x0, eps, alpha, sigma) + error
    x0_hat, _ = from_target(target, out, x_t, alpha, sigma)
    of_x0 = weight((alpha / sigma) ** 2) * (x0_hat - x0).square().mean(dim=1)
    of_answer = loss_weight(weight, target, alpha, sigma) * error.square().mean(dim=1)
    torch.testing.assert_close(of_answer, of_x0, rtol=1e-10, atol=0)


@pytest.mark.parametrize("target, weight", [(EPS, snr_weight), (X0, constant), (V, snr_plus_one)])
def test_the_plain_loss_of_each_target_is_one_weight(target, weight):
    angle = torch.linspace(0.01, math.pi / 2 - 0.01, 50, dtype=torch.float64)
    ones = loss_weight(weight, target, angle.cos(), angle.sin())
    torch.testing.assert_close(ones, torch.ones_like(angle), rtol=1e-12, atol=0)


def test_the_plain_loss_of_the_straight_path_is_one_over_t_squared():
    t = numbers(0.1, 0.5, 0.9)
    ones = loss_weight(lambda snr: (1 + snr.sqrt()) ** 2, FLOW, 1 - t, t)  # 1 / t = 1 + sqrt(SNR)
    torch.testing.assert_close(ones, torch.ones_like(t), rtol=1e-12, atol=0)


def test_the_weight_of_edm_makes_that_of_its_own_target_1():
    sigma = numbers(0.01, 0.3, 1, 20)
    ones = loss_weight(edm, EDM_F, torch.ones_like(sigma), sigma)
    torch.testing.assert_close(ones, torch.ones_like(sigma), rtol=1e-12, atol=0)


@every_target
@every_weight
def test_at_zero_snr_a_weight_is_its_limit_or_says_that_there_is_none(target, weight):
    """Pitfall 21: alpha = 0 is a time like any other."""
    noise, near = (numbers(0.0), numbers(1.0)), (numbers(1e-5), numbers(1.0))
    if target is EPS and weight.__name__ not in FINITE_AT_NOISE:
        with pytest.raises(ValueError, match=r"infinite on errors of eps at alpha = 0 \(pure noise\)"):
            loss_weight(weight, target, *noise)
    else:
        at = loss_weight(weight, target, *noise)
        assert at.isfinite().all() and at.dtype == torch.float64
        torch.testing.assert_close(at, loss_weight(weight, target, *near), rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("target", [EPS, X0, V], ids=lambda target: target.name)
def test_min_snr_is_finite_at_both_ends_for_every_target(target):
    ends = loss_weight(min_snr, target, numbers(0, 1), numbers(1, 0))
    assert ends.isfinite().all()
    torch.testing.assert_close(ends, {"eps": numbers(1, 0), "x0": numbers(0, 5), "v": numbers(0, 0)}[target.name],
                               rtol=0, atol=1e-9)


def test_a_weight_that_grows_without_end_is_refused_where_the_data_are_clean():
    with pytest.raises(ValueError, match=r"infinite on errors of x0 at sigma = 0 \(clean data\)"):
        loss_weight(snr_weight, X0, numbers(1.0), numbers(0.0))
    assert loss_weight(snr_weight, EPS, numbers(1.0), numbers(0.0)) == pytest.approx(1)


def test_min_snr_of_the_three_targets_as_the_paper_writes_them():
    """Hang et al. 2023: min(SNR, 5) on x0, min(SNR, 5) / SNR on eps, min(SNR, 5) / (SNR + 1) on v."""
    snr = numbers(1e-3, 0.5, 4.9, 5.1, 300)
    alpha, sigma = (snr / (1 + snr)).sqrt(), (1 / (1 + snr)).sqrt()
    least = torch.minimum(snr, torch.full_like(snr, 5))
    for target, expected in ((X0, least), (EPS, least / snr), (V, least / (snr + 1))):
        torch.testing.assert_close(loss_weight(min_snr, target, alpha, sigma), expected, rtol=1e-10, atol=0)
    assert (min_snr(snr, gamma=1) == snr.clamp(max=1)).all()


def test_three_published_weights_are_nearly_one():
    snr = torch.logspace(-6, 6, 49, dtype=torch.float64)
    torch.testing.assert_close(sigmoid(snr), p2(snr), rtol=1e-12, atol=0)  # b = 0 is k = gamma = 1
    b = math.log(5)
    torch.testing.assert_close(sigmoid(snr, b), snr * torch.sigmoid(b - snr.log()), rtol=1e-9, atol=0)
    ratio = min_snr(snr) / sigmoid(snr, b)
    assert (ratio >= 1 - 1e-12).all() and (ratio <= 2).all()
    assert min_snr(numbers(5.0)) / sigmoid(numbers(5.0), b) == pytest.approx(2)  # half as large at the corner
    torch.testing.assert_close(edm(snr, sigma_data=1.0), snr_plus_one(snr), rtol=1e-14, atol=0)


def test_all_weights_are_positive_and_keep_the_shape():
    snr = torch.logspace(-6, 6, 12, dtype=torch.float64)
    for weight in WEIGHTS.values():
        assert (weight(snr) > 0).all() and weight(snr).shape == snr.shape
        assert loss_weight(weight, V, torch.tensor(0.6), torch.tensor(0.8)).shape == ()


def test_every_weight_of_the_module_is_tested_here():
    public = {name for name, value in vars(weights).items() if callable(value) and not name.startswith("_")}
    assert public - {"loss_weight"} == set(WEIGHTS)


@every_target
def test_a_converted_answer_is_what_the_other_network_should_have_said(target):
    t = torch.linspace(0.05, 0.95, 8, dtype=torch.float64)
    alpha, sigma = cosine_path().alpha(t), cosine_path().sigma(t)
    x0, eps = normal(2, 8, 1, 8, 8)
    x_t = expand_like(alpha, x0) * x0 + expand_like(sigma, x0) * eps
    for source in TARGETS.values():
        out = to_target(source, x0, eps, alpha, sigma)
        torch.testing.assert_close(convert(out, x_t, alpha, sigma, source, target),
                                   to_target(target, x0, eps, alpha, sigma), rtol=1e-9, atol=1e-9)


def test_a_network_for_eps_cannot_be_asked_for_v_at_pure_noise():
    x = normal(1, 4)
    with pytest.raises(ValueError, match="eps does not determine x0 and eps at alpha = 0"):
        convert(x, x, numbers(0.0), numbers(1.0), EPS, V)
    assert torch.equal(convert(x, x, numbers(0.0), numbers(1.0), V, EPS), x)  # v = -x0: its noise is x_t itself
