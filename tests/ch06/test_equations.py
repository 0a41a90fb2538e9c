"""Each numbered equation of chapter 06, checked with numbers."""

import math

import pytest
import torch

from minidiff.evaluation.gaussian import Gaussian
from minidiff.process.continuous import cosine_path, interpolated_path, lambda_of, time_of, vp_path
from minidiff.process.elbo import kl_gauss
from minidiff.process.forward import expand_like, q_sample, snr
from minidiff.process.posterior import posterior, posterior_variance
from minidiff.process.path import discrete_path
from minidiff.process.schedules import alpha_bar_of, as_table, cosine_betas, linear_betas
from minidiff.process.targets import EPS, V, X0, Target, from_target, to_target
from minidiff.process.variance import hybrid_loss, learned_variance, vlb_term
from minidiff.process.weighted_loss import logit_normal_times
from minidiff.process.weights import loss_weight, min_snr
from minidiff.process.zero_snr import zero_snr

FLOW = Target("flow", lambda alpha, sigma: 0 * alpha - 1, lambda alpha, sigma: 0 * alpha + 1)
every_target = pytest.mark.parametrize("target", [EPS, X0, V, FLOW], ids=lambda target: target.name)
WORLD = Gaussian(0.1, 0.3)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


def numbers(*values):
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.equation("6.1")
@pytest.mark.parametrize("T", [10, 1000])
def test_the_cosine_table_is_the_curve_until_its_last_step(T):
    table = alpha_bar_of(cosine_betas(T))
    f = [math.cos((t / T + 0.008) / 1.008 * math.pi / 2) ** 2 for t in range(T + 1)]
    assert table[:T].tolist() == pytest.approx([u / f[0] for u in f[:T]], rel=1e-9)
    assert float(table[T]) == pytest.approx(float(table[T - 1]) / 1000, rel=1e-9)


@pytest.mark.equation("6.2")
def test_uniform_times_on_the_cosine_are_a_bump_of_lambda():
    t = torch.linspace(0.02, 0.98, 97, dtype=torch.float64)
    lam, h = lambda_of(cosine_path(), t), 1e-5
    rate = (lambda_of(cosine_path(), t + h) - lambda_of(cosine_path(), t - h)).abs() / (2 * h)
    torch.testing.assert_close(lam, -torch.log(torch.tan(math.pi * t / 2)), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(1 / rate, 1 / (math.pi * torch.cosh(lam)), rtol=1e-6, atol=0)


@pytest.mark.equation("6.3")
@every_target
def test_the_error_of_an_answer_is_an_error_of_x0(target):
    angle = numbers(0.05, 0.6, 1.2, 1.5)
    alpha, sigma = angle.cos(), angle.sin()
    x0, eps, error = normal(3, 4, 6)
    x_t = expand_like(alpha, x0) * x0 + expand_like(sigma, x0) * eps
    x0_hat, _ = from_target(target, to_target(target, x0, eps, alpha, sigma) + error, x_t, alpha, sigma)
    d = alpha * target.B(alpha, sigma) - sigma * target.A(alpha, sigma)
    plain = expand_like((d / sigma) ** 2, x0) * (x0 - x0_hat) ** 2
    torch.testing.assert_close(plain, error**2, rtol=1e-8, atol=0)


@pytest.mark.equation("6.3")
def test_the_plain_losses_are_snr_one_and_their_sum():
    angle = numbers(0.05, 0.6, 1.2, 1.5)
    alpha, sigma = angle.cos(), angle.sin()
    for target, expected in ((EPS, (alpha / sigma) ** 2), (X0, 0 * alpha + 1), (V, (alpha / sigma) ** 2 + 1)):
        d = alpha * target.B(alpha, sigma) - sigma * target.A(alpha, sigma)
        torch.testing.assert_close((d / sigma) ** 2, expected, rtol=1e-12, atol=0)


@pytest.mark.equation("6.4")
@pytest.mark.parametrize("path", [vp_path(), interpolated_path(alpha_bar_of(linear_betas()))], ids=["vp", "table"])
def test_a_mean_over_times_is_an_integral_over_lambda(path):
    t = torch.linspace(0, 1, 200_001, dtype=torch.float64)[1:] * path.T
    lam, snrs = lambda_of(path, t), (path.alpha(t) / path.sigma(t)) ** 2
    height = min_snr(snrs) * WORLD.error(path.alpha(t) ** 2)
    h = 1e-6 * path.T  # the density of lambda from the slope of lambda(t), at an even grid of lambdas
    at = torch.linspace(float(lam[-1]) + 1e-3, 5.0, 5001, dtype=torch.float64)
    t_at = time_of(path, at)
    slope = (lambda_of(path, t_at - h) - lambda_of(path, t_at + h)) / (2 * h)
    product = min_snr(torch.exp(2 * at)) / (slope * path.T) * WORLD.error(torch.sigmoid(2 * at))
    late = lam <= 5  # the rest of the times, near clean data, is counted as it is
    by_lambda = product.sum() * (at[1] - at[0]) + (height * ~late).mean()
    assert float(by_lambda) == pytest.approx(float(height.mean()), rel=2e-3)


@pytest.mark.equation("6.4")
def test_only_the_product_of_density_and_weight_counts():
    """Logit-normal times without weight, and uniform times weighted by their density: one expectation."""
    path, z = vp_path(), torch.linspace(-9, 9, 20_001, dtype=torch.float64)
    t = torch.sigmoid(z)
    height = min_snr((path.alpha(t) / path.sigma(t)) ** 2) * WORLD.error(path.alpha(t) ** 2)
    normal_density = torch.exp(-z**2 / 2) / math.sqrt(2 * math.pi)
    by_times = (normal_density * height).sum() * (z[1] - z[0])
    uniform = torch.linspace(0, 1, 400_002, dtype=torch.float64)[1:-1]
    weight = torch.exp(-torch.logit(uniform) ** 2 / 2) / math.sqrt(2 * math.pi) / (uniform * (1 - uniform))
    height = min_snr((path.alpha(uniform) / path.sigma(uniform)) ** 2) * WORLD.error(path.alpha(uniform) ** 2)
    assert float((weight * height).mean()) == pytest.approx(float(by_times), rel=1e-4)


@pytest.mark.equation("6.5")
def test_the_bound_weighs_errors_of_x0_by_snr_over_lambda():
    lam = torch.linspace(4.5, -5, 40_001, dtype=torch.float64)
    table = torch.cat([torch.ones(1), torch.sigmoid(2 * lam)]).double()
    bound = WORLD.elbo_terms(table)[1:-1].sum()
    integral = (torch.exp(2 * lam) * WORLD.error(torch.sigmoid(2 * lam))).sum() * (lam[0] - lam[1])
    assert float(bound) == pytest.approx(float(integral), rel=1e-3)


@pytest.mark.equation("6.6")
@pytest.mark.parametrize("mean, std", [(0.0, 1.0), (0.7, 0.5)])
def test_logit_normal_times_are_normal_in_lambda_on_the_straight_path(mean, std):
    t = logit_normal_times(200_000, generator(), mean, std)
    lam = torch.log(1 - t) - torch.log(t)
    assert float(lam.mean()) == pytest.approx(-mean, abs=4 * std / 200_000**0.5)
    assert float(lam.std()) == pytest.approx(std, rel=4 / (2 * 200_000) ** 0.5)
    kurtosis = ((lam - lam.mean()) / lam.std()).pow(4).mean()
    assert float(kurtosis) == pytest.approx(3, abs=4 * (24 / 200_000) ** 0.5)


@pytest.mark.equation("6.7")
@every_target
def test_min_snr_on_any_target(target):
    angle = numbers(0.05, 0.3, 0.6, 1.2, 1.5)
    alpha, sigma = angle.cos(), angle.sin()
    d = alpha * target.B(alpha, sigma) - sigma * target.A(alpha, sigma)
    expected = torch.minimum((alpha / sigma) ** 2, 0 * alpha + 5) * sigma**2 / d**2
    torch.testing.assert_close(loss_weight(min_snr, target, alpha, sigma), expected, rtol=1e-10, atol=0)


@pytest.mark.equation("6.8")
@pytest.mark.parametrize("betas", [linear_betas, cosine_betas])
def test_the_roots_are_shifted_and_scaled(betas):
    old = alpha_bar_of(betas())
    new, root = zero_snr(old), old.sqrt()
    for t in (1, 2, 400, 999, 1000):
        expected = root[1] / (root[1] - root[1000]) * (root[t] - root[1000])
        assert float(new[t].sqrt()) == pytest.approx(float(expected), rel=1e-9, abs=1e-12)
    assert snr(new)[-1] == 0


T = 20
ALPHA_BAR = alpha_bar_of(as_table(torch.linspace(0.05, 0.5, T, dtype=torch.float64)))
PATH = discrete_path(ALPHA_BAR)


@pytest.mark.equation("6.9")
@pytest.mark.parametrize("t", [2, 9, 20])
def test_the_best_variance_adds_the_error_of_the_mean(t):
    a_t, a_s = ALPHA_BAR[t], ALPHA_BAR[t - 1]
    x0 = WORLD.sample(50_000, generator())[:, None]
    x_t = q_sample(x0, t, normal(50_000, 1, seed=1), ALPHA_BAR)
    x0_hat = WORLD.denoise(x_t, a_t.sqrt(), (1 - a_t).sqrt())
    mean, exact = posterior(x_t, x0, t, ALPHA_BAR)
    mean_hat, _ = posterior(x_t, x0_hat, t, ALPHA_BAR)
    best = exact + (mean - mean_hat).square().mean()

    def cost(variance):
        return float(kl_gauss(mean, exact, mean_hat, variance).mean())

    assert all(cost(best) < cost(best * factor) for factor in (0.9, 0.99, 1.01, 1.1))
    weight = a_s.sqrt() * (1 - a_t / a_s) / (1 - a_t)
    assert float(best) == pytest.approx(float(exact + weight**2 * WORLD.error(a_t)), rel=0.03)


@pytest.mark.equation("6.10")
@pytest.mark.parametrize("mix", [-0.3, 0.0, 0.4, 1.0, 1.2])
def test_the_learned_variance_lies_between_in_logs(mix):
    t = torch.arange(2, T + 1)
    beta, tilde = 1 - ALPHA_BAR[t] / ALPHA_BAR[t - 1], posterior_variance(t, ALPHA_BAR)
    got = learned_variance(torch.full((T - 1, 2), mix).double(), t, PATH)
    torch.testing.assert_close(got[:, 0], beta**mix * tilde ** (1 - mix), rtol=1e-7, atol=0)


@pytest.mark.equation("6.11")
@pytest.mark.parametrize("weight", [1e-3, 0.5])
def test_the_hybrid_loss_term_by_term(weight):
    x0 = torch.randint(0, 256, (T, 1, 3, 3), generator=generator()).double() * 2 / 255 - 1
    t, eps = torch.arange(1, T + 1), normal(T, 1, 3, 3)
    loss = hybrid_loss(lambda x, t: torch.cat([0.3 * x, x.cos()], dim=1), x0, t, eps, PATH, weight)
    x_t = q_sample(x0, t, eps, ALPHA_BAR)
    alpha, sigma = expand_like(ALPHA_BAR[t].sqrt(), x0), expand_like((1 - ALPHA_BAR[t]).sqrt(), x0)
    x0_hat, variance = (x_t - sigma * 0.3 * x_t) / alpha, learned_variance(x_t.cos(), t, PATH)
    bound = T * vlb_term(x0, x_t, x0_hat, variance, t, PATH).mean()
    assert float(loss) == pytest.approx(float((0.3 * x_t - eps).square().mean() + weight * bound), rel=1e-10)


@pytest.mark.equation("6.12")
@pytest.mark.parametrize("r", [0, 3, 8, 12])
def test_noise_does_not_pass_through_a_bottleneck_and_flat_data_do(r):
    D, k = 12, 3
    basis = torch.linalg.qr(normal(D, D))[0]
    eps = normal(20_000, D, seed=1)
    x0 = normal(20_000, k, seed=2) @ basis[:, :k].T
    reach = basis[:, :r]  # what r numbers and a linear last layer can say, at best
    left_of_eps = (eps - eps @ reach @ reach.T).square().mean()
    assert float(left_of_eps) == pytest.approx(1 - r / D, abs=4 * (2 / eps.numel()) ** 0.5)
    left_of_x0 = (x0 - x0 @ reach @ reach.T).square().mean()
    assert float(left_of_x0) == pytest.approx(max(0, k - r) / D, abs=0.01)
    other = torch.linalg.qr(normal(D, D, seed=3))[0][:, :r]  # no r directions do better on noise
    assert float((eps - eps @ other @ other.T).square().mean()) == pytest.approx(1 - r / D, abs=0.02)


@pytest.mark.equation("6.13")
@every_target
def test_a_step_of_ddim_multiplies_what_the_net_cannot_answer(target):
    path, x = cosine_path(), normal(50, 3)
    t, s = numbers(0.7)[0], numbers(0.5)[0]
    alpha, sigma, alpha_s, sigma_s = path.alpha(t), path.sigma(t), path.alpha(s), path.sigma(s)
    x0, eps = from_target(target, torch.zeros_like(x), x, alpha, sigma)
    A, B = target.A(alpha, sigma), target.B(alpha, sigma)
    torch.testing.assert_close(alpha_s * x0 + sigma_s * eps, (alpha_s * B - sigma_s * A) / (alpha * B - sigma * A) * x,
                               rtol=1e-12, atol=1e-14)
    factor = {"eps": alpha_s / alpha, "x0": sigma_s / sigma, "v": torch.cos((t - s) * math.pi / 2)}
    if target.name in factor:
        torch.testing.assert_close(alpha_s * x0 + sigma_s * eps, factor[target.name] * x, rtol=1e-12, atol=1e-14)
