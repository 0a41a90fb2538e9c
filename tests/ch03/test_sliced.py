"""The sliced Wasserstein distance against closed forms and exact matchings."""

import math

import pytest
import torch
from scipy.optimize import linear_sum_assignment
from scipy.stats import norm

from minidiff.evaluation.sliced import sliced_w2


def gen(seed=0):
    return torch.Generator().manual_seed(seed)


def cloud(n, d=2, seed=0):
    return torch.randn(n, d, generator=gen(seed), dtype=torch.float64)


def test_a_cloud_is_at_distance_zero_from_itself_in_any_order():
    x = cloud(500)
    assert sliced_w2(x, x.flip(0), gen()) < 1e-12


def test_a_shift_gives_its_length_over_the_root_of_the_dimension():
    x, shift = cloud(50), torch.tensor([3.0, -4.0])
    assert sliced_w2(x, x + shift, gen(), directions=20_000) == pytest.approx(5 / math.sqrt(2), rel=0.02)


def test_it_is_symmetric_and_scales_with_the_data():
    x, y = cloud(300), cloud(300, seed=1) + 1
    assert sliced_w2(x, y, gen()) == pytest.approx(sliced_w2(y, x, gen()))
    assert sliced_w2(10 * x, 10 * y, gen()) == pytest.approx(10 * sliced_w2(x, y, gen()))


def test_on_a_line_it_is_the_cheapest_matching_of_all():
    x, y = cloud(60, d=1), 2 * cloud(60, d=1, seed=1) + 0.5
    cost = (x - y.T).square().numpy()
    rows, columns = linear_sum_assignment(cost)
    assert sliced_w2(x, y, gen(), directions=3) == pytest.approx(float(cost[rows, columns].mean() ** 0.5), rel=1e-9)


def test_two_gaussians_of_different_width_are_at_the_difference_of_their_widths():
    quantiles = torch.tensor(norm.ppf((torch.arange(20_000).numpy() + 0.5) / 20_000))[:, None]
    assert sliced_w2(quantiles, 1.5 * quantiles, gen(), directions=2) == pytest.approx(0.5, rel=2e-3)


def test_it_sees_wrong_weights_of_two_islands():
    right = torch.cat([torch.full((500, 2), -1.0), torch.full((500, 2), 1.0)])
    wrong = torch.cat([torch.full((400, 2), -1.0), torch.full((600, 2), 1.0)])
    assert sliced_w2(right, wrong, gen(), directions=20_000) == pytest.approx(math.sqrt(0.1 * 8 / 2), rel=0.02)


def test_repeating_every_point_changes_nothing():
    x, y = cloud(200), cloud(200, seed=1)
    assert sliced_w2(x.repeat(3, 1), y.repeat(3, 1), gen()) == pytest.approx(sliced_w2(x, y, gen()))


@pytest.mark.parametrize("x, y", [(torch.zeros(3, 2), torch.zeros(4, 2)), (torch.zeros(3), torch.zeros(3))])
def test_clouds_of_different_shape_are_refused_in_one_sentence(x, y):
    with pytest.raises(ValueError, match="of one shape"):
        sliced_w2(x, y, gen())
