"""Velocities: the straight path, slopes of any path, the ways between velocity, pair and score, the loss, the times."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minidiff.process.continuous import cosine_path
from minidiff.process.flow import (
    FLOW, as_flow, cfm_loss, flow_path, flow_time, pair_of_velocity, rates, score_to_velocity, shift_times, velocity_of,
    velocity_target, velocity_to_score,
)
from minidiff.process.forward import expand_like
from minidiff.process.sde import drift_and_diffusion, pf_ode_rhs, reverse_drift
from minidiff.process.targets import from_target
from tests.ch09.worlds import MIXTURE, PATHS, STRAIGHT, exact, inner_times, randn

every_path = pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)


def mixed(path, t, *shape):
    """x0, eps and x_t of some shape at times t."""
    x0, eps = randn(*shape), randn(*shape, seed=1)
    return x0, eps, expand_like(path.alpha(t), x0) * x0 + expand_like(path.sigma(t), x0) * eps


def test_the_straight_path_runs_from_data_to_noise():
    t = torch.linspace(0, 1, 11, dtype=torch.float64)
    assert torch.equal(STRAIGHT.alpha(t), 1 - t) and torch.equal(STRAIGHT.sigma(t), t) and STRAIGHT.T == 1
    assert STRAIGHT.sigma(1).dtype == torch.float64 and float(STRAIGHT.net_time(torch.tensor(0.25))) == 250


@pytest.mark.parametrize("t", [-0.1, 1.1, torch.tensor([0.5, 2.0])])
def test_times_outside_are_refused(t):
    for side in (STRAIGHT.alpha, STRAIGHT.sigma):
        with pytest.raises(ValueError, match=r"times must lie in 0..1, got"):
            side(t)


@every_path
def test_rates_are_the_slopes_of_the_path(path):
    t, h = inner_times(path, 7), 1e-6 * path.T
    for rate, side in zip(rates(path, t), (path.alpha, path.sigma), strict=True):
        torch.testing.assert_close(rate, (side(t + h) - side(t - h)) / (2 * h), rtol=1e-6, atol=1e-8)
    one = rates(path, float(t[0]))
    assert one[0].shape == () and not one[0].requires_grad
    torch.testing.assert_close(torch.stack(one), torch.stack(rates(path, t))[:, 0])


def test_rates_can_be_asked_where_no_gradients_are_kept():
    with torch.no_grad():
        assert [float(rate) for rate in rates(STRAIGHT, 0.3)] == [-1, 1]


def test_flow_is_the_velocity_of_the_straight_path():
    t = inner_times(STRAIGHT, 5)
    target = velocity_target(STRAIGHT, t)
    for side in ("A", "B"):
        of_flow = getattr(FLOW, side)(STRAIGHT.alpha(t), STRAIGHT.sigma(t))
        assert torch.equal(getattr(target, side)(STRAIGHT.alpha(t), STRAIGHT.sigma(t)), of_flow)
    x0, eps = randn(5, 1, 4, 4), randn(5, 1, 4, 4, seed=1)
    assert torch.equal(velocity_of(x0, eps, t, STRAIGHT), eps - x0)


@pytest.mark.parametrize("t", [0.0, 0.4, 1.0])
def test_the_flow_target_determines_the_pair_at_both_ends(t):
    t = torch.tensor(t, dtype=torch.float64)
    x0, eps, x_t = mixed(STRAIGHT, t, 4, 3)
    for pair in (from_target(FLOW, eps - x0, x_t, STRAIGHT.alpha(t), STRAIGHT.sigma(t)),
                 pair_of_velocity(eps - x0, x_t, t, STRAIGHT)):
        torch.testing.assert_close(pair, (x0, eps), rtol=1e-14, atol=1e-15)


@every_path
def test_velocity_and_pair_are_one_thing(path):
    t = inner_times(path, 6)
    x0, eps, x_t = mixed(path, t, 6, 1, 2, 6)
    u = velocity_of(x0, eps, t, path)
    torch.testing.assert_close(pair_of_velocity(u, x_t, t, path), (x0, eps), rtol=1e-8, atol=1e-9)


@every_path
def test_velocity_and_score_are_one_thing(path):
    t = inner_times(path, 6)
    x, (alpha, sigma) = randn(6, 2), (path.alpha(t), path.sigma(t))
    score = MIXTURE.noised(alpha, sigma).score(x)
    u = velocity_of(*exact(path)(x, t), t, path)
    torch.testing.assert_close(velocity_to_score(u, x, t, path), score, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(score_to_velocity(score, x, t, path), u, rtol=1e-8, atol=1e-8)


@every_path
def test_it_is_the_ode_of_chapter_seven_and_its_noise_is_one_choice(path):
    t = inner_times(path, 6)
    x, (alpha, sigma) = randn(6, 2), (path.alpha(t), path.sigma(t))
    x0, eps = exact(path)(x, t)
    u, (_, g2) = velocity_of(x0, eps, t, path), drift_and_diffusion(path, t)
    torch.testing.assert_close(u, pf_ode_rhs(eps, x, t, path), rtol=1e-8, atol=1e-8)
    score = MIXTURE.noised(alpha, sigma).score(x)
    for eta in (0.5, 1.0):
        chosen = (eta**2 * g2)[:, None]
        torch.testing.assert_close(u - chosen / 2 * score, reverse_drift(eps, x, t, path, eta), rtol=1e-8, atol=1e-8)


def test_the_score_of_noise_does_not_say_where_it_comes_from():
    with pytest.raises(ValueError, match="alpha = 0"):
        score_to_velocity(randn(2, 2), randn(2, 2), torch.ones(2), STRAIGHT)


@every_path
def test_any_path_is_the_straight_one_after_a_change_of_time_and_scale(path):
    t = inner_times(path, 6)
    x0, eps, x_t = mixed(path, t, 6, 2)
    s, scale = flow_time(path, t), expand_like(path.alpha(t) + path.sigma(t), x_t)
    torch.testing.assert_close(x_t / scale, mixed(STRAIGHT, s, 6, 2)[2], rtol=1e-12, atol=1e-12)
    told, asked = as_flow(exact(path), path)(x_t / scale, s), exact(STRAIGHT)(x_t / scale, s)
    torch.testing.assert_close(told, asked, rtol=1e-8, atol=1e-8)


def test_a_path_that_ends_before_noise_is_a_flow_up_to_there():
    path = PATHS["vp"]
    end, x = flow_time(path, path.T), randn(3, 2)
    assert 0.99 < end < 1
    as_flow(exact(path), path)(x, end)
    with pytest.raises(ValueError, match="lambda must be at least"):
        as_flow(exact(path), path)(x, 1.0)


def test_as_flow_hands_conditions_on():
    seen = {}
    as_flow(lambda x, t, **cond: seen.update(cond), cosine_path())(randn(2, 2), 0.5, label=7)
    assert seen == {"label": 7}


@every_path
def test_the_loss_is_zero_for_the_velocity_of_each_pair_and_counts_every_number(path):
    x0, eps, t = randn(6, 1, 2, 6), randn(6, 1, 2, 6, seed=1), inner_times(path, 6)
    u = velocity_of(x0, eps, t, path)
    assert float(cfm_loss(lambda x, t: u, x0, t, eps, path)) == 0
    assert float(cfm_loss(lambda x, t: u + 3, x0, t, eps, path)) == pytest.approx(9)


def test_the_loss_asks_at_x_t_and_t():
    seen, t = [], inner_times(STRAIGHT, 5)
    x0, eps, x_t = mixed(STRAIGHT, t, 5, 3)
    cfm_loss(lambda *asked: seen.extend(asked) or x0, x0, t, eps, STRAIGHT)
    assert torch.equal(seen[0], x_t) and torch.equal(seen[1], t)


factors, moments = st.floats(0.1, 10), st.floats(0, 1)


@given(factors, factors, moments)
def test_shifts_multiply_and_keep_the_ends(a, b, t):
    t = torch.tensor([0.0, t, 1.0], dtype=torch.float64)
    torch.testing.assert_close(shift_times(shift_times(t, a), b), shift_times(t, a * b), rtol=1e-12, atol=1e-15)
    torch.testing.assert_close(shift_times(t, 1), t, rtol=1e-15, atol=0)
    moved = shift_times(t, a)
    assert moved[0] == 0 and moved[2] == 1 and 0 <= moved[1] <= 1  # exactly: a path asked at 1 + 2e-16 refuses


def test_a_shift_divides_signal_by_noise():
    t = inner_times(STRAIGHT, 9)
    s = shift_times(t, 3.0)
    torch.testing.assert_close((1 - s) / s, (1 - t) / t / 3)
    with pytest.raises(ValueError, match="factor must be positive, got 0"):
        shift_times(t, 0)


def test_flow_path_is_made_anew_and_alike():
    assert torch.equal(flow_path().alpha(0.3), STRAIGHT.alpha(0.3))
