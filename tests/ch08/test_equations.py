"""Each numbered equation of chapter 08 up to the solvers (8.15), checked with numbers."""

import math

import pytest
import torch

from minidiff.evaluation.convergence import exact_flow, mixture_denoiser
from minidiff.process.continuous import cosine_path, lambda_of, time_of, vp_path
from minidiff.samplers.exponential import exponential_step, phi
from minidiff.samplers.heun import heun
from minidiff.samplers.lambda_grids import lambda_grid
from minidiff.samplers.lms import adams_weights
from minidiff.samplers.multistep import value_2m, value_3m
from minidiff.samplers.singlestep import dpm2_step
from minidiff.samplers.unipc import corrected_value
from tests.ch08.worlds import MIXTURE, normal

PATHS = {"vp": vp_path(), "cosine": cosine_path()}
every_path = pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)


def flow(path, lams, n=20):
    """Points of the exact flow of the mixture at the times of some near lambdas, and the denoiser's answers there."""
    times = time_of(path, torch.as_tensor(lams, dtype=torch.float64))
    x = [MIXTURE.noised(path.alpha(times[0]), path.sigma(times[0])).sample(n, torch.Generator().manual_seed(0))]
    for t, s in zip(times[:-1], times[1:]):
        x.append(exact_flow(MIXTURE, x[-1], path, t, s, steps=2))
    answers = [mixture_denoiser(MIXTURE, path)(x_t, t) for x_t, t in zip(x, times)]
    return times, x, *zip(*answers)


def slope_of(path, scale, lam, d=1e-3):
    """The derivative of x / scale by lambda at the middle of three points of the flow, by a central difference."""
    times, x, x0, eps = flow(path, [lam - d, lam, lam + d])
    return (x[2] / scale(times[2]) - x[0] / scale(times[0])) / (2 * d), x0[1], eps[1]


@pytest.mark.equation("8.1")
@every_path
@pytest.mark.parametrize("lam", [-1.0, 0.5, 2.0])
def test_the_ode_in_noises(path, lam):
    slope, _, eps = slope_of(path, path.alpha, lam)
    torch.testing.assert_close(slope, -math.exp(-lam) * eps, rtol=1e-4, atol=1e-5)


@pytest.mark.equation("8.2")
@every_path
@pytest.mark.parametrize("lam", [-1.0, 0.5, 2.0])
def test_the_ode_in_pictures(path, lam):
    slope, x0, _ = slope_of(path, path.sigma, lam)
    torch.testing.assert_close(slope, math.exp(lam) * x0, rtol=1e-4, atol=1e-5)


@pytest.mark.equation("8.3")
@every_path
def test_the_exact_solution_is_an_integral_over_the_pictures(path):
    lam = torch.linspace(-0.5, 1.0, 301, dtype=torch.float64)
    times, x, x0, _ = flow(path, lam, n=5)
    integral = torch.trapezoid(lam.exp()[:, None, None] * torch.stack(x0), lam, dim=0)
    expected = path.sigma(times[-1]) / path.sigma(times[0]) * x[0] + path.sigma(times[-1]) * integral
    torch.testing.assert_close(x[-1], expected, rtol=1e-4, atol=1e-4)


def numbers(path, t, s):
    return path.alpha(t), path.sigma(t), path.alpha(s), path.sigma(s), lambda_of(path, s) - lambda_of(path, t)


@pytest.mark.equation("8.4")
@every_path
def test_a_step_with_a_constant_picture(path):
    x, D = normal(3, 2), normal(3, 2, seed=2)
    alpha_t, sigma_t, alpha_s, sigma_s, h = numbers(path, 0.8, 0.3)
    expected = sigma_s / sigma_t * x + alpha_s * (1 - torch.exp(-h)) * D
    torch.testing.assert_close(exponential_step(x, D, 0.8, 0.3, path), expected)
    lam = torch.linspace(float(lambda_of(path, 0.8)), float(lambda_of(path, 0.3)), 10_001, dtype=torch.float64)
    torch.testing.assert_close(sigma_s * torch.trapezoid(lam.exp(), lam), alpha_s * (1 - torch.exp(-h)), rtol=1e-6,
                               atol=0)


@pytest.mark.equation("8.5")
@every_path
def test_a_step_with_a_constant_noise(path):
    x, E = normal(3, 2), normal(3, 2, seed=2)
    alpha_t, sigma_t, alpha_s, sigma_s, h = numbers(path, 0.8, 0.3)
    expected = alpha_s / alpha_t * x - sigma_s * (torch.exp(h) - 1) * E
    torch.testing.assert_close(exponential_step(x, E, 0.8, 0.3, path, "eps"), expected)
    torch.testing.assert_close(sigma_s * torch.exp(h), alpha_s * sigma_t / alpha_t)


@pytest.mark.equation("8.6")
@every_path
def test_the_grid_even_in_lambda(path):
    n, first, last = 7, 0.95, 0.02
    lam, end = lambda_of(path, first), lambda_of(path, last)
    times = lambda_grid(path, n, first, last)
    for i in range(n):
        assert float(lambda_of(path, times[i])) == pytest.approx(float(lam + i / (n - 1) * (end - lam)), rel=1e-6)
    assert times[n] == 0 and len(times) == n + 1


def mean_over_a_step(f, h, sign):
    """The mean of f(r h), r in 0..1, with the weight e^(sign r h): + for pictures, - for noises."""
    r = torch.linspace(0, 1, 20_001, dtype=torch.float64)
    weight = torch.exp(sign * r * h)
    return float(torch.trapezoid(weight * f(r * h), r) / torch.trapezoid(weight, r))


@pytest.mark.equation("8.7")
@pytest.mark.parametrize("h", [0.1, 1.3])
@pytest.mark.parametrize("sign", [1, -1])
def test_the_mean_of_an_answer_that_changes(h, sign):
    value, slope, curve = 0.7, -1.2, 2.5
    z = -sign * h
    exact = mean_over_a_step(lambda u: value + slope * u + curve * u**2 / 2, h, sign)
    D = value + h * phi(2, z) / phi(1, z) * slope + h**2 * phi(3, z) / phi(1, z) * curve
    assert D == pytest.approx(exact, rel=1e-7)


@pytest.mark.equation("8.8")
@pytest.mark.parametrize("z", [-4.0, -0.5, 0.5, 4.0])
def test_phi_functions(z):
    u = torch.linspace(0, 1, 20_001, dtype=torch.float64)
    for k in (1, 2, 3):
        integral = torch.trapezoid(torch.exp((1 - u) * z) * u ** (k - 1) / math.factorial(k - 1), u)
        assert phi(k, z) == pytest.approx(float(integral), rel=1e-7)
        assert phi(k + 1, z) == pytest.approx((phi(k, z) - 1 / math.factorial(k)) / z, rel=1e-10)
    assert phi(1, z) == pytest.approx((math.exp(z) - 1) / z)


@pytest.mark.equation("8.9")
@pytest.mark.parametrize("form", ["x0", "eps"])
def test_the_answer_of_the_middle(form):
    path, index = PATHS["vp"], ("x0", "eps").index(form)
    denoiser, t, s = mixture_denoiser(MIXTURE, path), torch.tensor(0.7).double(), torch.tensor(0.4).double()
    m = time_of(path, (lambda_of(path, t) + lambda_of(path, s)) / 2)
    x = normal(4, 2)
    x_m = exponential_step(x, denoiser(x, t)[index], t, m, path, form)
    expected = exponential_step(x, denoiser(x_m, m)[index], t, s, path, form)
    assert torch.equal(dpm2_step(denoiser(x, t)[index], denoiser, x, t, m, s, path, form), expected)


@pytest.mark.equation("8.10")
def test_the_line_through_the_last_two_answers():
    now, before = normal(3, 2), normal(3, 2, seed=2)
    past = [(torch.tensor(0.4), now), (torch.tensor(-0.3), before)]
    expected = now + 0.5 / 2 * (now - before) / 0.7
    torch.testing.assert_close(value_2m(past, torch.tensor(0.9)), expected, rtol=1e-6, atol=1e-6)


LAM = (0.9, 0.4, -0.3)


def differences(f):
    first, second = (f[0] - f[1]) / (LAM[0] - LAM[1]), (f[1] - f[2]) / (LAM[1] - LAM[2])
    return first, (first - second) / (LAM[0] - LAM[2])


@pytest.mark.equation("8.11")
def test_the_second_divided_difference_is_half_of_the_second_derivative():
    for a, b, c in ((1.0, -2.0, 0.5), (0.0, 0.0, 1.0)):
        _, second = differences([a + b * u + c * u**2 for u in LAM])
        assert second == pytest.approx(c)  # and the second derivative is 2 c


@pytest.mark.equation("8.12")
@pytest.mark.parametrize("form", ["x0", "eps"])
def test_the_value_of_3m(form):
    f, h = normal(3, 2), 0.6
    first, second = differences(f)
    z = -h if form == "x0" else h
    slope = first + (LAM[0] - LAM[1]) * second
    to_slope, to_curve = h * phi(2, z) / phi(1, z), h**2 * phi(3, z) / phi(1, z)
    past = [(torch.tensor(u, dtype=torch.float64), answer) for u, answer in zip(LAM, f)]
    for published, curve in ((False, 2 * second), (True, second)):
        value = value_3m(past, torch.tensor(LAM[0] + h, dtype=torch.float64), form, published)
        torch.testing.assert_close(value, f[0] + to_slope * slope + to_curve * curve)


@pytest.mark.equation("8.13")
@pytest.mark.parametrize("p", [2, 3])
def test_the_weights_of_the_corrector(p):
    h, lams = 0.8, [torch.tensor(u, dtype=torch.float64) for u in LAM[:p]]
    end = lams[0] + h
    units = torch.eye(p + 1, dtype=torch.float64)  # one answer is 1, the others 0: the value is its weight
    weights = corrected_value(list(zip(lams, units[:p])), (end, units[p]))
    r = torch.stack([(u - lams[0]) / h for u in (*lams, end)])
    for m in range(p + 1):
        assert float(weights @ r**m) == pytest.approx(math.factorial(m) * phi(m + 1, -h) / phi(1, -h))
        assert float(weights @ r**m) == pytest.approx(mean_over_a_step(lambda u: (u / h) ** m, h, 1), rel=1e-6)


@pytest.mark.equation("8.14")
def test_a_step_of_heun():
    path = PATHS["vp"]
    denoiser, x = mixture_denoiser(MIXTURE, path), normal(4, 2)
    t, s = torch.tensor([0.7, 0.4], dtype=torch.float64)
    eps = denoiser(x, t)[1]
    tried = exponential_step(x, eps, t, s, path, "eps")
    expected = exponential_step(x, (eps + denoiser(tried, s)[1]) / 2, t, s, path, "eps")
    _, x_s, _ = next(heun(denoiser, x, (t, s), path))
    torch.testing.assert_close(x_s, expected)


@pytest.mark.equation("8.15")
def test_the_weights_of_lms():
    levels, end = [2.0, 2.9, 4.5, 5.0], 1.1
    k = torch.linspace(levels[0], end, 20_001, dtype=torch.float64)
    for j, weight in enumerate(adams_weights(levels, end)):
        line = torch.ones_like(k)
        for m, other in enumerate(levels):
            if m != j:
                line = line * (k - other) / (levels[j] - other)
        assert weight == pytest.approx(float(torch.trapezoid(line, k)) / (end - levels[0]), rel=1e-6)
