"""Couplings: optimal pairs of a batch by trying all orders, and straightness of walks that are known."""

import itertools

import pytest
import torch

from minidiff.process.couplings import ot_pairing, straightness
from tests.ch09.worlds import gen, randn


@pytest.mark.parametrize("shape", [(6, 2), (5, 1, 2, 2), (1, 3)])
def test_the_pairing_is_the_cheapest_of_all(shape):
    x0, eps = randn(*shape), randn(*shape, seed=1)
    orders = [list(order) for order in itertools.permutations(range(shape[0]))]
    cheapest = min(orders, key=lambda order: float((x0 - eps[order]).square().sum()))
    assert torch.equal(ot_pairing(x0, eps), eps[cheapest])


def test_on_a_line_it_keeps_the_order():
    x0, eps = randn(50, 1), randn(50, 1, seed=1)
    assert torch.equal(ot_pairing(x0, eps)[x0[:, 0].argsort()], eps.sort(dim=0).values)


def test_every_noise_is_used_once_and_nothing_is_changed():
    x0, eps = randn(40, 3).float(), randn(40, 3, seed=1).float()
    kept = eps.clone()
    paired = ot_pairing(x0, eps)
    assert paired.dtype == torch.float32 and torch.equal(eps, kept)
    assert torch.equal(paired.sort(dim=0).values, eps.sort(dim=0).values)


def test_a_larger_batch_pairs_more_cheaply():
    x0, eps = torch.rand(512, 2, generator=gen()), torch.randn(512, 2, generator=gen(1))
    cost = [torch.cat([(a - ot_pairing(a, b)).square().sum(dim=1) for a, b in zip(x0.split(n), eps.split(n))]).mean()
            for n in (1, 8, 64, 512)]
    assert cost[0] > cost[1] > cost[2] > cost[3]


def test_two_shapes_are_refused():
    with pytest.raises(ValueError, match=r"one shape, got \(3, 2\) and \(4, 2\)"):
        ot_pairing(randn(3, 2), randn(4, 2))


def line(times, B=5, D=3):
    """Walks from random points to random points at constant speed."""
    a, b = randn(B, D), randn(B, D, seed=1)
    return (1 - times[:, None, None]) * a + times[:, None, None] * b


@pytest.mark.parametrize("times", [[1.0, 0.7, 0.1, 0.0], [0.0, 0.5, 1.0], [1.0, 0.0]])
def test_straight_lines_at_constant_speed_are_straight(times):
    times = torch.tensor(times, dtype=torch.float64)
    assert straightness(line(times), times) < 1e-28
    assert straightness(line(times).float(), times.float()) < 1e-10


def test_a_detour_costs_its_square():
    """To (1, 1) by way of (1, 0), half the time along each axis at speed 2; the mean speed is (1, 1)."""
    states = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]])[:, None]
    assert straightness(states, torch.tensor([0.0, 0.5, 1.0])) == pytest.approx(2.0)
    assert straightness(states.expand(3, 7, 2), torch.tensor([0.0, 0.5, 1.0])) == pytest.approx(2.0)


def test_a_line_at_changing_speed_is_not_straight_and_steps_count_by_their_time():
    states = torch.tensor([0.0, 1.0, 2.0])[:, None, None]
    assert straightness(states, torch.tensor([0.0, 0.2, 1.0])) == pytest.approx(0.2 * 9 + 0.8 * 0.5625)
    assert straightness(states.flip(0), torch.tensor([1.0, 0.2, 0.0])) == pytest.approx(0.2 * 9 + 0.8 * 0.5625)


def test_it_is_a_mean_over_walks_and_a_sum_over_coordinates():
    times = torch.tensor([1.0, 0.6, 0.0])
    states = torch.randn(3, 4, 2, 5, generator=gen())
    each = [straightness(states[:, i:i + 1], times) for i in range(4)]
    assert straightness(states, times) == pytest.approx(sum(each) / 4)
    halves = [straightness(states[..., part, :], times) for part in range(2)]
    assert straightness(states, times) == pytest.approx(sum(halves))
