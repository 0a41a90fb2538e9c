"""Every numbered equation of chapter 01, verified by numbers that do not come from the formula itself."""

import math
import warnings

import pytest
import torch

from minidiff.process.forward import brightness_ratio, prior_kl, q_sample, q_step, snr
from minidiff.process.schedules import alpha_bar_of, as_table, cosine_betas, linear_betas, scaled_linear_betas

T, N = 20, 200_000
BETAS = linear_betas(T, 0.02, 0.5)
ALPHA_BAR = alpha_bar_of(BETAS)


def draws(n, seed=0):
    return torch.randn(n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def normal(mean=0.0, variance=1.0):
    mean, variance = (torch.as_tensor(u, dtype=torch.float64) for u in (mean, variance))
    return torch.distributions.Normal(mean, variance.sqrt())


def walk(x, start, end, seed=0):
    g = torch.Generator().manual_seed(seed)
    for t in range(start + 1, end + 1):
        x = q_step(x, t, BETAS, g)
    return x


def agrees(x, mean, variance):
    """Mean and variance of independent draws, each within four standard errors."""
    n = len(x)
    return abs(x.mean() - mean) < 4 * (variance / n) ** 0.5 and abs(x.var() / variance - 1) < 4 * (2 / n) ** 0.5


@pytest.mark.equation("1.1")
def test_a_step_shrinks_by_one_root_and_adds_noise_of_the_other():
    x = torch.full((N,), 0.7, dtype=torch.float64)
    for t in 1, 7, T:
        beta = BETAS[t].item()
        stepped = q_step(x, t, BETAS, torch.Generator().manual_seed(t))
        assert agrees(stepped, (1 - beta) ** 0.5 * 0.7, beta)
        noise = (stepped - (1 - beta) ** 0.5 * 0.7) / beta**0.5
        assert abs((noise**4).mean() - 3) < 4 * (96 / N) ** 0.5  # the fourth moment of a Gaussian


@pytest.mark.equation("1.2")
@pytest.mark.parametrize("v_0", [0.0, 0.3, 1.0, 4.0])
def test_the_variance_of_a_walk_follows_its_recursion_towards_1(v_0):
    x, v = v_0**0.5 * draws(N, seed=1), v_0
    for t in range(1, T + 1):
        x = q_step(x, t, BETAS, torch.Generator().manual_seed(100 + t))
        distance = 1 - v
        v = (1 - BETAS[t].item()) * v + BETAS[t].item()
        assert math.isclose(1 - v, (1 - BETAS[t].item()) * distance, abs_tol=1e-15)
        assert abs(x.var() / v - 1) < 4 * (2 / N) ** 0.5
    assert abs(1 - v) <= abs(1 - v_0) * 0.05


@pytest.mark.equation("1.3")
def test_alpha_bar_is_one_at_0_and_a_running_product():
    product = 1.0
    for t in range(T + 1):
        product *= 1 - BETAS[t].item()
        assert math.isclose(ALPHA_BAR[t], product, rel_tol=1e-14)
    assert ALPHA_BAR[0] == 1


@pytest.mark.equation("1.4")
@pytest.mark.parametrize("t", [1, 2, 5, T])
def test_a_walk_of_t_steps_has_the_distribution_of_the_jump(t):
    walked = walk(torch.full((N,), 0.7, dtype=torch.float64), 0, t, seed=t)
    mean, variance = ALPHA_BAR[t].sqrt() * 0.7, 1 - ALPHA_BAR[t]
    assert agrees(walked, mean, variance)
    jumped = q_sample(torch.full((N,), 0.7, dtype=torch.float64), t, draws(N, seed=50 + t), ALPHA_BAR)
    assert agrees(jumped, mean, variance)
    for c in -1.0, 0.0, 1.0:  # the whole distribution function, not two moments
        share = normal().cdf(torch.tensor(c, dtype=torch.float64))
        below = (walked < mean + c * variance.sqrt()).double().mean()
        assert abs(below - share) < 4 * (share * (1 - share) / N) ** 0.5


@pytest.mark.equation("1.4")
def test_two_noises_of_the_derivation_add_up_to_one():
    a1, a2 = 0.7, 0.4
    two = (a2 * (1 - a1)) ** 0.5 * draws(N, 1) + (1 - a2) ** 0.5 * draws(N, 2)
    assert agrees(two, 0, 1 - a1 * a2)


@pytest.mark.equation("1.5")
@pytest.mark.parametrize("s, t", [(0, 4), (3, 4), (5, 17)])
def test_a_walk_from_the_middle_has_the_distribution_of_the_jump_from_the_middle(s, t):
    ratio = ALPHA_BAR[t] / ALPHA_BAR[s]
    assert agrees(walk(torch.full((N,), -1.3, dtype=torch.float64), s, t), ratio.sqrt() * -1.3, 1 - ratio)
    assert torch.isclose(ratio * (1 - ALPHA_BAR[s]) + 1 - ratio, 1 - ALPHA_BAR[t], rtol=1e-13)


@pytest.mark.equation("1.6")
@pytest.mark.parametrize("t", [1, 6, T])
def test_snr_is_measured_power_of_the_picture_over_measured_power_of_the_noise(t):
    x0, eps = draws(N, 1), draws(N, 2)
    signal = q_sample(x0, t, 0 * eps, ALPHA_BAR).square().mean() / x0.square().mean()
    noise = q_sample(0 * x0, t, eps, ALPHA_BAR).square().mean() / eps.square().mean()
    assert torch.isclose(signal / noise, snr(ALPHA_BAR)[t], rtol=1e-12)
    assert snr(ALPHA_BAR)[0] == math.inf


@pytest.mark.equation("1.7")
def test_cosine_betas_are_those_of_a_squared_cosine_up_to_the_clip():
    def f(t):
        return math.cos((t / 1000 + 0.008) / 1.008 * math.pi / 2) ** 2

    betas, alpha_bar = cosine_betas(), alpha_bar_of(cosine_betas())
    for t in 1, 2, 500, 998, 999:
        assert math.isclose(alpha_bar[t], f(t) / f(0), rel_tol=1e-9)
        assert math.isclose(betas[t], 1 - f(t) / f(t - 1), rel_tol=1e-9)
    assert f(1000) < 1e-30 and betas[1000] == 0.999


@pytest.mark.equation("1.8")
@pytest.mark.parametrize("m, v", [(0.0, 1.0), (0.5, 0.8), (-2.0, 0.1), (1.0, 3.0)])
def test_kl_to_a_standard_normal_is_the_integral_of_its_definition(m, v):
    x = m + v**0.5 * torch.linspace(-12, 12, 20_001, dtype=torch.float64)
    q, p = normal(m, v), normal()
    integral = torch.trapezoid(q.log_prob(x).exp() * (q.log_prob(x) - p.log_prob(x)), x)
    assert math.isclose(0.5 * (v + m**2 - 1 - math.log(v)), integral, abs_tol=1e-9)


@pytest.mark.equation("1.9")
@pytest.mark.parametrize("a", [2.4e-9, 4.7e-3, 0.3, 0.99])
def test_what_is_left_at_T_is_that_divergence(a):
    x0 = torch.linspace(-1, 1, 9, dtype=torch.float64)
    library = torch.distributions.kl_divergence(normal(a**0.5 * x0, 1 - a + 0 * x0), normal(0 * x0, 1 + 0 * x0))
    assert torch.allclose(prior_kl(x0, a), library, rtol=1e-9, atol=1e-15)


@pytest.mark.equation("1.10")
def test_for_little_left_the_mean_counts_and_the_variance_does_not():
    x0 = torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64)
    errors = [(prior_kl(x0, a) - (a * x0**2 / 2 + a**2 / 4)).abs().max() / a**3 for a in (1e-2, 1e-3)]
    assert all(abs(error - 1 / 6) < 0.01 for error in errors)  # the next term is a^3 / 6


@pytest.mark.equation("1.11")
@pytest.mark.parametrize("a", [4.66e-3, 0.13, 0.6])
def test_the_coordinate_of_brightness_has_variance_v_and_every_other_only_noise(a):
    d, sd, n = 49, 0.5, 40_000
    table = torch.tensor([1.0, a], dtype=torch.float64)
    b = (sd * draws(n, 1))[:, None].expand(n, d)
    x_T = q_sample(b, 1, draws(n * d, 2).reshape(n, d), table)
    turned = torch.linalg.qr(torch.cat([torch.ones(d, 1), torch.eye(d)[:, 1:]], dim=1).double())[0]
    y = x_T @ turned
    assert agrees(y[:, 0], 0, a * d * sd**2 + 1 - a) and agrees(y[:, 1], 0, 1 - a) and agrees(y[:, -1], 0, 1 - a)


def two_ways_back(a, s2):
    """v, and the two perfect ways back as functions of y_T (the random one also of a standard normal draw)."""
    v = a * s2 + 1 - a
    return (v, lambda y: (s2 / v) ** 0.5 * y,
            lambda y, z: a**0.5 * s2 / v * y + (s2 * (1 - a) / v) ** 0.5 * z)


@pytest.mark.equation("1.12")
@pytest.mark.parametrize("betas, ratio", [(scaled_linear_betas(), 0.724), (linear_betas(), 0.996),
                                          (linear_betas(200), 0.193)])
def test_the_deterministic_way_back_is_right_from_the_true_start_and_loses_spread_from_pure_noise(betas, ratio):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        a, s2 = alpha_bar_of(betas)[-1].item(), 784 * 0.25
    v, ode, _ = two_ways_back(a, s2)
    assert agrees(ode(v**0.5 * draws(N)), 0, s2)
    assert agrees(ode(draws(N)), 0, s2 * brightness_ratio(a, 784, 0.5) ** 2)
    assert brightness_ratio(a, 784, 0.5) == pytest.approx(ratio, abs=5e-4)


@pytest.mark.equation("1.12")
def test_the_map_of_the_deterministic_way_back_keeps_ranks():
    v, ode, _ = two_ways_back(0.3, 9.0)
    y = torch.linspace(-4, 4, 41, dtype=torch.float64)
    assert torch.allclose(normal(0, v).cdf(y), normal(0, 9).cdf(ode(y)), atol=1e-12)


@pytest.mark.equation("1.13")
@pytest.mark.parametrize("betas, ratio", [(scaled_linear_betas(), 0.879), (linear_betas(200), 0.262)])
def test_the_random_way_back_loses_less(betas, ratio):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        a, s2 = alpha_bar_of(betas)[-1].item(), 784 * 0.25
    v, _, back = two_ways_back(a, s2)
    formula = (a * s2 / v**2 + (1 - a) / v) ** 0.5
    assert agrees(back(v**0.5 * draws(N, 1), draws(N, 2)), 0, s2)
    assert agrees(back(draws(N, 1), draws(N, 2)), 0, s2 * formula**2)
    assert formula == pytest.approx(ratio, abs=5e-4) and brightness_ratio(a, 784, 0.5) < formula < 1


@pytest.mark.equation("1.13")
def test_the_random_way_back_draws_from_what_bayes_says_on_a_grid():
    a, s2, y_T = 0.2, 4.0, 1.5
    y_0 = torch.linspace(-15, 15, 30_001, dtype=torch.float64)
    density = torch.exp(-y_0**2 / (2 * s2) - (y_T - a**0.5 * y_0) ** 2 / (2 * (1 - a)))
    density = density / torch.trapezoid(density, y_0)
    mean = torch.trapezoid(density * y_0, y_0)
    variance = torch.trapezoid(density * (y_0 - mean) ** 2, y_0)
    _, _, back = two_ways_back(a, s2)
    assert math.isclose(back(y_T, 0), mean, rel_tol=1e-9)
    assert math.isclose((back(y_T, 1) - back(y_T, 0)) ** 2, variance, rel_tol=1e-9)


def test_three_steps_by_hand():
    """The smallest example: betas 1/2, 1/3, 1/4 leave 1/2, 1/3, 1/4."""
    with pytest.warns(UserWarning):
        alpha_bar = alpha_bar_of(as_table(torch.tensor([1 / 2, 1 / 3, 1 / 4], dtype=torch.float64)))
    assert alpha_bar.tolist() == pytest.approx([1, 1 / 2, 1 / 3, 1 / 4])
