"""Tables of betas and alpha_bar: their index, their ends, their precision, and what they refuse."""

import math
import warnings
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minidiff.process.schedules import (alpha_bar_of, as_table, checked, cosine_betas, linear_betas,
                                        scaled_linear_betas)

CONSTRUCTORS = {"linear": linear_betas, "scaled_linear": scaled_linear_betas, "squaredcos_cap_v2": cosine_betas}
steps = st.integers(1, 60)
variances = st.floats(1e-5, 0.5)


def quietly(betas):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return alpha_bar_of(betas)


@pytest.mark.parametrize("betas_of", CONSTRUCTORS.values())
@settings(max_examples=30, deadline=None)
@given(T=steps)
def test_every_schedule_is_a_table_indexed_by_t(betas_of, T):
    betas = betas_of(T)
    assert betas.shape == (T + 1,) and betas.dtype == torch.float64 and betas.device.type == "cpu"
    assert betas[0] == 0 and (betas[1:] > 0).all() and (betas <= 1).all()
    alpha_bar = quietly(betas)
    assert alpha_bar.shape == (T + 1,) and alpha_bar[0] == 1 and (alpha_bar.diff() < 0).all()


@settings(max_examples=50, deadline=None)
@given(T=st.integers(2, 60), beta_1=variances, beta_T=variances)
def test_linear_betas_reach_both_ends_in_equal_differences(T, beta_1, beta_T):
    betas = linear_betas(T, beta_1, beta_T)
    assert math.isclose(betas[1], beta_1, rel_tol=1e-12) and math.isclose(betas[T], beta_T, rel_tol=1e-12)
    assert torch.allclose(betas[1:].diff(), torch.tensor((beta_T - beta_1) / (T - 1), dtype=torch.float64), atol=1e-14)


@settings(max_examples=50, deadline=None)
@given(T=st.integers(2, 60), beta_1=variances, beta_T=variances)
def test_scaled_linear_betas_have_roots_in_equal_differences(T, beta_1, beta_T):
    roots = scaled_linear_betas(T, beta_1, beta_T)[1:].sqrt()
    step = (beta_T**0.5 - beta_1**0.5) / (T - 1)
    assert torch.allclose(roots.diff(), torch.tensor(step, dtype=torch.float64), atol=1e-14)


def test_a_schedule_of_one_step_is_its_first_beta():
    assert linear_betas(1).tolist() == [0, 1e-4]
    assert quietly(linear_betas(1)).tolist() == [1, 1 - 1e-4]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_alpha_bar_is_the_product_in_exact_arithmetic(beta):
    alpha_bar, product = quietly(as_table(torch.tensor(beta))), Fraction(1)
    for t, b in enumerate(torch.tensor(beta).tolist(), start=1):
        product *= 1 - Fraction(b)
        assert math.isclose(alpha_bar[t], product, rel_tol=1e-12)


def test_what_is_left_at_the_end_of_the_three_schedules():
    """Pitfall (1): the factor of the picture at T, as Lin et al. 2023 print it in Table 1 (from float32 tables)."""
    published = {linear_betas: 0.006353, scaled_linear_betas: 0.068265, cosine_betas: 4.928220e-05}
    for betas_of, factor in published.items():
        assert alpha_bar_of(betas_of())[-1].sqrt() == pytest.approx(factor, rel=1e-4)
    ends = [alpha_bar_of(betas_of())[-1].item() for betas_of in published]
    assert ends == pytest.approx([4.0358e-5, 4.6601e-3, 2.4288e-9], rel=1e-4)


def test_cosine_is_clipped_and_its_products_are_computed_again():
    """Pitfall (3): the formula for alpha_bar ends at 0, the table does not."""
    betas = cosine_betas()
    f = torch.cos((torch.arange(1001, dtype=torch.float64) / 1000 + 0.008) / 1.008 * math.pi / 2) ** 2
    clipped = 1 - f[1:] / f[:-1] > 0.999
    assert clipped.nonzero().flatten().tolist() == [999] and betas.max() == betas[-1] == 0.999
    assert torch.allclose(alpha_bar_of(betas)[:-1], (f / f[0])[:-1], rtol=1e-9)
    assert f[-1] < 1e-30 < 1e-9 < alpha_bar_of(betas)[-1]
    assert cosine_betas(largest=0.5).max() == 0.5


def test_float32_loses_half_of_the_digits_and_our_table_none():
    """Pitfall (4), against exact arithmetic on the same betas."""
    betas, exact = cosine_betas(), Fraction(1)
    for b in betas.tolist():
        exact *= 1 - Fraction(b)
    in_float32 = torch.cumprod(1 - betas.float(), dim=0)[-1].item()
    assert abs(in_float32 / float(exact) - 1) > 1e-5
    assert abs(alpha_bar_of(betas)[-1].item() / float(exact) - 1) < 1e-13
    assert abs(alpha_bar_of(betas.float())[-1].item() / float(exact) - 1) > 1e-5  # lost before it came to us
    assert alpha_bar_of(betas.float()).dtype == torch.float64


@pytest.mark.parametrize("name", CONSTRUCTORS)
def test_tables_equal_those_of_diffusers(name):
    scheduler = pytest.importorskip("diffusers.schedulers.scheduling_ddpm").DDPMScheduler
    ends = {"linear": (1e-4, 0.02), "scaled_linear": (0.00085, 0.012), "squaredcos_cap_v2": (1e-4, 0.02)}[name]
    theirs = scheduler(beta_schedule=name, beta_start=ends[0], beta_end=ends[1])
    betas = CONSTRUCTORS[name]()
    assert torch.allclose(theirs.betas.double(), betas[1:], rtol=1e-5)
    assert torch.allclose(theirs.alphas_cumprod.double(), alpha_bar_of(betas)[1:], rtol=1e-4)


def test_too_few_steps_warn_and_name_what_is_left():
    with pytest.warns(UserWarning, match=r"alpha_bar_T = 0\.132 > 0\.01: x_T still holds 36% .* T = 200 steps"):
        alpha_bar_of(linear_betas(200))


@pytest.mark.parametrize("T", [20, 50, 100, 200, 500, 1000, 4000])
def test_betas_that_grow_as_steps_get_fewer_do_not_warn(T):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert alpha_bar_of(linear_betas(T, 0.1 / T, 20 / T))[-1] < 1e-4


def test_the_warning_points_at_the_line_of_the_caller():
    with pytest.warns(UserWarning) as caught:
        alpha_bar_of(linear_betas(100))
    assert caught[0].filename == __file__


@pytest.mark.parametrize("betas, message", [
    (torch.tensor([0.1, 0.2]), r"alpha_bar\[0\] must be 1 .* got 0\.9: betas\[0\] must be 0"),
    (torch.tensor([0.0, 1.5]), r"from 1 towards 0, got -0\.5 after 1 at t = 1: betas are variances between 0 and 1"),
    (torch.tensor([0.0, 0.5, -0.5]), r"got 0\.75 after 0\.5 at t = 2"),
    (torch.tensor([0.0, float("nan")]), r"got nan after 1 at t = 1"),
    (torch.zeros(3, 4), r"must be a table \(T \+ 1,\) with T >= 1, got shape \(3, 4\)"),
    (torch.zeros(1), r"got shape \(1,\)"),
])
def test_a_table_that_cannot_be_right_is_refused_in_one_sentence(betas, message):
    with pytest.raises(ValueError, match=message):
        alpha_bar_of(betas)


def test_checked_hands_a_right_table_back():
    table = torch.tensor([1.0, 0.5, 0.5, 0.0], dtype=torch.float64)
    assert checked(table) is table


@pytest.mark.parametrize("beta, shape", [(torch.zeros(0), r"\(0,\)"), (torch.zeros(2, 2), r"\(2, 2\)")])
def test_a_schedule_without_steps_is_refused(beta, shape):
    with pytest.raises(ValueError, match=rf"beta must be \(T,\) with T >= 1, got shape {shape}"):
        as_table(beta)


@pytest.mark.parametrize("T, estimate, exact", [(200, 5, 4.867), (50, 20, 17.58), (20, 50, 35.61), (10, 100, 48.56)])
def test_a_factor_for_few_steps_is_below_the_estimate_and_exists_even_where_the_estimate_fails(T, estimate, exact):
    full = float(alpha_bar_of(linear_betas())[-1])
    assert estimate == 1000 / T > exact
    betas = linear_betas(T, exact * 1e-4, exact * 0.02)
    assert float(quietly(betas)[-1]) == pytest.approx(full, rel=0.02)
    if T == 10:
        assert float(betas[-1]) == pytest.approx(0.97, abs=0.005)
        with pytest.raises(ValueError, match="variances between 0 and 1"):
            alpha_bar_of(linear_betas(T, estimate * 1e-4, estimate * 0.02))
