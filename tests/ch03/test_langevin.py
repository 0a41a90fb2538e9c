"""Langevin dynamics against its closed forms: the law after k steps of a Gaussian is known exactly."""

import pytest
import torch

from minidiff.evaluation.mixture import Mixture
from minidiff.process.path import discrete_path
from minidiff.process.schedules import alpha_bar_of, linear_betas
from minidiff.samplers.langevin import annealed_langevin, langevin

PATH = discrete_path(alpha_bar_of(linear_betas()))


def gen(seed=0):
    return torch.Generator().manual_seed(seed)


def last(states):
    for state in states:
        pass
    return state


@pytest.mark.parametrize("h", [0.1, 0.5])
def test_each_step_has_the_mean_and_variance_of_the_recursion(h):
    """For N(m, v) the walk is linear: mean <- mean + h (m - mean) / v, var <- (1 - h / v)^2 var + 2 h."""
    n, m, v = 100_000, 1.5, 0.8
    x, mean, var = torch.zeros(n, 1).double(), 0.0, 0.0
    for k, x in enumerate(langevin(lambda x: (m - x) / v, x, h, 12, gen()), start=1):
        mean, var = mean + h * (m - mean) / v, (1 - h / v) ** 2 * var + 2 * h
        assert abs(float(x.mean()) - mean) < 4 * (var / n) ** 0.5
        assert abs(float(x.var()) / var - 1) < 4 * (2 / n) ** 0.5
    assert k == 12


def test_small_steps_end_in_the_density_of_the_score():
    x = last(langevin(lambda x: -x / 0.25, torch.zeros(40_000, 1).double(), 0.01, 150, gen()))
    assert float(x.var()) == pytest.approx(0.25, rel=0.05)


def test_it_draws_one_normal_number_per_coordinate_and_step():
    one, other = gen(), gen()
    last(langevin(lambda x: -x, torch.zeros(7, 3), 0.1, 5, one))
    for _ in range(5):
        torch.randn(7, 3, generator=other)
    assert torch.equal(one.get_state(), other.get_state())


def test_it_leaves_its_start_as_it_was_and_keeps_the_dtype():
    x = torch.ones(3, 2, dtype=torch.float64)
    states = list(langevin(lambda x: -x, x, 0.1, 4, gen()))
    assert len(states) == 4 and (x == 1).all() and all(s.dtype == torch.float64 for s in states)
    assert len({s.data_ptr() for s in states}) == 4


def test_annealed_visits_every_time_once_and_asks_the_score_there():
    asked, times = [], torch.tensor([1000, 400, 37, 1])

    def score(x, t):
        assert t.shape == (5,) and (t == t[0]).all()
        asked.append(int(t[0]))
        return -x

    visited = [t for t, _ in annealed_langevin(score, torch.zeros(5, 2), times, PATH, 3, 0.1, gen())]
    assert visited == times.tolist() and asked == [t for t in times.tolist() for _ in range(3)]


def test_annealed_takes_steps_of_rate_times_the_variance_of_the_noise():
    t = torch.tensor([250])
    _, x = last(annealed_langevin(lambda x, t: torch.zeros_like(x), torch.zeros(100_000, 1), t, PATH, 1, 0.3, gen()))
    expected = 2 * 0.3 * float(PATH.sigma(t)) ** 2
    assert float(x.var()) == pytest.approx(expected, rel=4 * (2 / 100_000) ** 0.5)


def test_annealing_finds_the_weights_of_two_islands_where_a_plain_walk_keeps_those_of_its_start():
    islands = Mixture([0.8, 0.2], [[-1.2], [1.2]], [0.15, 0.15])
    start = torch.randn(3000, 1, generator=gen(1), dtype=torch.float64)
    plain = last(langevin(islands.score, start, 0.002, 600, gen(2)))
    assert abs(float((plain < 0).double().mean()) - 0.5) < 0.05

    def score(x, t):
        return islands.noised(PATH.alpha(t), PATH.sigma(t)).score(x)

    times = torch.linspace(1000, 1, 150).round().long()
    _, annealed = last(annealed_langevin(score, start, times, PATH, 10, 0.1, gen(2)))
    assert abs(float((annealed < 0).double().mean()) - 0.8) < 0.05
