"""Metrics of sets: closed forms, slow loops, what they must not depend on, and what they refuse."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minidiff.evaluation.frechet import frechet
from minidiff.evaluation.metrics import (density_coverage, distance_at, fd_infinity, kid, knn_radii, polynomial_kernel,
                                         precision_recall, two_sets)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# --- the limit of the Fréchet distance ------------------------------------------------------------------------------

def test_the_distance_of_a_part_is_the_mean_over_disjoint_parts():
    x, reference = normal(70, 3), normal(50, 3, seed=1)
    parts = [frechet(x[i:i + 20], reference) for i in (0, 20, 40)]  # the last ten rows fill no part
    assert distance_at(x, reference, 20) == pytest.approx(sum(parts) / 3)
    assert distance_at(x, reference, 70) == pytest.approx(frechet(x, reference))


@settings(max_examples=25)
@given(seed=st.integers(0, 1000), sizes=st.lists(st.integers(4, 60), min_size=2, max_size=5, unique=True))
def test_the_line_is_that_of_least_squares_in_one_over_n(seed, sizes):
    x, reference = normal(60, 3, seed=seed), normal(40, 3, seed=seed + 1)
    n = torch.tensor(sizes).double()
    d = torch.tensor([distance_at(x, reference, size) for size in sizes], dtype=torch.float64)
    wanted = torch.linalg.lstsq(torch.stack([torch.ones_like(n), 1 / n], dim=1), d[:, None]).solution[:, 0]
    assert fd_infinity(x, reference, sizes) == pytest.approx(tuple(wanted.tolist()), rel=1e-6, abs=1e-6)


def test_the_limit_is_the_distance_of_the_laws_and_not_of_the_samples():
    D, shift = 8, 0.5
    x, reference = normal(10_000, D) + shift, normal(50_000, D, seed=1)
    a, b = fd_infinity(x, reference, [100, 200, 500, 1000])
    assert distance_at(x, reference, 100) > D * shift**2 + 0.2
    assert a == pytest.approx(D * shift**2, abs=0.1)  # five standard errors of |m|^2 with 10,000 rows
    assert b == pytest.approx(D + D * (D + 1) / 4, rel=0.15)  # one of the two sets of chapter 04's bias


@pytest.mark.parametrize("sizes", [[10], [10, 10], []], ids=str)
def test_a_line_needs_two_sizes(sizes):
    with pytest.raises(ValueError, match="at least two different sizes"):
        fd_infinity(normal(20, 2), normal(20, 2), sizes)


@pytest.mark.parametrize("n", [0, 1, 21])
def test_parts_must_fit(n):
    with pytest.raises(ValueError, match="n must lie in 2..20"):
        distance_at(normal(20, 2), normal(20, 2), n)


# --- the kernel distance --------------------------------------------------------------------------------------------

def test_kid_is_the_sum_over_pairs():
    x, y = normal(7, 4), normal(5, 4, seed=1) + 1

    def k(a, b):
        return (float(a @ b) / 4 + 1) ** 3
    within = [sum(k(a, b) for i, a in enumerate(s) for j, b in enumerate(s) if i != j) / (len(s) * (len(s) - 1))
              for s in (x, y)]
    between = sum(k(a, b) for a in x for b in y) / 35
    assert kid(x, y) == pytest.approx(sum(within) - 2 * between)
    assert kid(x, y) == pytest.approx(kid(y, x))
    assert polynomial_kernel(x, y).shape == (7, 5)


def test_kid_is_zero_on_average_at_any_number_of_pictures_and_may_be_negative():
    for n in (5, 50):
        values = torch.tensor([kid(normal(n, 4, seed=2 * i), normal(n, 4, seed=2 * i + 1)) for i in range(400)])
        assert abs(values.mean()) < 4 * values.std() / 20
        assert (values < 0).any() and (values > 0).any()


def test_kid_of_a_shift_is_the_distance_of_the_feature_maps_means():
    """In one dimension E (x y + 1)^3 is known: 1 + 3 m_x m_y + 3 s_x s_y + t_x t_y with the first three moments."""
    x, y = normal(2000, 1), normal(2000, 1, seed=1) + 1
    moments = torch.tensor([[1, 0, 1, 0], [1, 1, 2, 4]]).double()  # of N(0, 1) and N(1, 1)
    difference = moments[0] - moments[1]
    assert kid(x, y) == pytest.approx(float((torch.tensor([1, 3, 3, 1]) * difference**2).sum()), rel=0.1)


# --- balls around neighbours ----------------------------------------------------------------------------------------

@given(seed=st.integers(0, 1000), k=st.integers(1, 6))
def test_the_radius_is_the_distance_to_the_kth_other_row(seed, k):
    x = normal(12, 3, seed=seed)
    for i, radius in enumerate(knn_radii(x, k)):
        others = torch.cat([x[:i], x[i + 1:]])
        assert radius == pytest.approx(float((others - x[i]).norm(dim=1).sort().values[k - 1]))


def test_sets_that_are_equal_hold_each_other_and_sets_far_apart_do_not():
    x = normal(50, 3)
    assert precision_recall(x, x.flip(0)) == (1, 1) and density_coverage(x, x)[1] == 1
    assert precision_recall(x, x + 100) == (0, 0) and density_coverage(x, x + 100) == (0, 0)


def test_a_missing_half_costs_recall_and_an_invented_half_costs_precision():
    side = torch.tensor([[0.0, 0.0], [20.0, 0.0]]).double()
    both, one = normal(200, 2) + side.repeat(100, 1), normal(200, 2, seed=1)
    precision, recall = precision_recall(both, one)
    assert precision > 0.9 and recall == pytest.approx(0.5, abs=0.05)
    precision, recall = precision_recall(one, both)
    assert precision == pytest.approx(0.5, abs=0.05) and recall > 0.9
    assert density_coverage(both, one)[1] == pytest.approx(0.5, abs=0.05)


def test_one_stray_picture_opens_the_door_of_precision_but_hardly_that_of_density():
    real = torch.cat([normal(100, 2), torch.full((1, 2), 50.0).double()])
    fake = normal(100, 2, seed=1) + 25  # halfway to the stray one, where nothing real is
    assert precision_recall(real, fake)[0] == 1
    assert density_coverage(real, fake, k=3)[0] == pytest.approx(1 / 3)


def test_density_counts_balls_and_coverage_counts_centres():
    real, fake = torch.tensor([[0.0], [1.0], [3.0], [7.0]]), torch.tensor([[0.5], [2.0], [20.0]])
    # radii for k = 1: 1, 1, 2, 4; in the balls of 0, 1 and (1, 3); 20 is in none
    assert density_coverage(real, fake, k=1) == pytest.approx((4 / 3, 3 / 4))
    assert density_coverage(real, fake, k=1) == density_coverage(real, fake.flip(0), k=1)


def test_density_of_a_set_of_the_same_law_is_about_one():
    density, coverage = density_coverage(normal(1000, 4), normal(1000, 4, seed=1))
    assert density == pytest.approx(1, abs=0.1)
    assert coverage == pytest.approx(1 - 0.5**5, abs=0.03)  # Naeem et al. 2020: 1 - (1 - 1/2)^k for sets of one size


# --- what is refused ------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("metric", [two_sets, kid, precision_recall, density_coverage])
def test_features_of_another_width_are_refused(metric):
    with pytest.raises(ValueError, match=r"one width D, got \(10, 3\) and \(10, 4\)"):
        metric(normal(10, 3), normal(10, 4))
    with pytest.raises(ValueError, match="one width D"):
        metric(normal(10), normal(10))


@pytest.mark.parametrize("metric, least", [(kid, 2), (precision_recall, 4), (density_coverage, 6)])
def test_too_few_pictures_are_refused(metric, least):
    with pytest.raises(ValueError, match=f"at least {least} rows, got 1 and 20"):
        metric(normal(1, 3), normal(20, 3))
    metric(normal(least, 3), normal(least, 3, seed=1))


@pytest.mark.parametrize("k", [0, 20, -1])
def test_a_ball_reaches_to_one_of_the_other_rows(k):
    with pytest.raises(ValueError, match="k must lie in 1..19"):
        knn_radii(normal(20, 3), k)
