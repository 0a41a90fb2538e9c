"""Each numbered equation of chapter 07, checked with numbers."""

import math

import pytest
import torch

from minidiff.evaluation.convergence import exact_flow, mixture_denoiser
from minidiff.evaluation.likelihood import decoder_nats, exact_trace, hutchinson, uniform_nats
from minidiff.evaluation.mixture import Mixture
from minidiff.process.continuous import lambda_of, vp_path
from minidiff.process.posterior import posterior
from minidiff.process.sde import drift_and_diffusion, pf_ode_rhs, reverse_drift
from minidiff.samplers.ddim import ddim, invert, slerp
from minidiff.samplers.step import ddim_step
from tests.ch07.worlds import MIXTURE, PATHS, generator, normal, times_of

VP = vp_path()
LINE = Mixture([0.7, 0.3], [[0.8], [-0.9]], [0.3, 0.2])
S, T = (torch.tensor(u, dtype=torch.float64) for u in (0.3, 0.6))


def levels(*times, path=VP):
    return [u for t in times for u in (path.alpha(t), path.sigma(t))]


def markov_q(eta=1.0):
    alpha_s, sigma_s, alpha_t, sigma_t = levels(S, T)
    return eta * sigma_s / sigma_t * (sigma_t**2 - (alpha_t / alpha_s) ** 2 * sigma_s**2).sqrt()


def noised(t, mixture=LINE, path=VP):
    return mixture.noised(path.alpha(t), path.sigma(t))


def rates(t, path=VP, h=1e-5):
    """alpha' and sigma' by differences."""
    return [(u(t + h) - u(t - h)) / (2 * h) for u in (path.alpha, path.sigma)]


@pytest.mark.equation("7.1")
@pytest.mark.equation("7.2")
@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_every_member_of_the_family_has_the_marginal_of_s(share):
    alpha_s, sigma_s, alpha_t, sigma_t = levels(S, T)
    q, x0, n = share * sigma_s, 0.7, 200_000
    x_t = alpha_t * x0 + sigma_t * normal(n)
    mean = alpha_s * x0 + (sigma_s**2 - q**2).sqrt() * (x_t - alpha_t * x0) / sigma_t
    x_s = mean + q * normal(n, seed=2)
    assert abs(x_s.mean() - alpha_s * x0) < 4 * sigma_s / n**0.5
    assert abs(x_s.var() - sigma_s**2) < 4 * sigma_s**2 * (2 / n) ** 0.5
    skew = ((x_s - x_s.mean()) / x_s.std()).pow(3).mean()
    assert abs(skew) < 4 * (15 / n) ** 0.5


@pytest.mark.equation("7.3")
def test_eta_of_one_has_the_spread_of_the_posterior():
    alpha_bar = torch.stack([torch.ones((), dtype=torch.float64), *(VP.alpha(u) ** 2 for u in (S, T))])
    _, variance = posterior(normal(3), normal(3, seed=2), 2, alpha_bar, 1)
    assert float(markov_q()) == pytest.approx(float(variance.sqrt()), rel=1e-12)
    assert float(markov_q(0.3)) == pytest.approx(0.3 * float(variance.sqrt()), rel=1e-12)


@pytest.mark.equation("7.4")
@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_the_step(eta):
    x0, eps, z, q = normal(4, 2), normal(4, 2, seed=2), normal(4, 2, seed=3), markov_q(eta)
    alpha_s, sigma_s = levels(S)
    expected = alpha_s * x0 + (sigma_s**2 - q**2).sqrt() * eps + q * z
    torch.testing.assert_close(ddim_step(x0, eps, T, S, VP, eta, generator(3)), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.equation("7.5")
def test_ddim_is_euler_in_the_straight_coordinates():
    x, denoiser = normal(6, 2), mixture_denoiser(MIXTURE, VP)
    (_, x_s, _), = ddim(denoiser, x, torch.stack([T, S]), VP)
    alpha_s, sigma_s, alpha_t, sigma_t = levels(S, T)
    euler = x / alpha_t + (sigma_s / alpha_s - sigma_t / alpha_t) * denoiser(x, T)[1]
    torch.testing.assert_close(x_s / alpha_s, euler, rtol=1e-11, atol=1e-11)


@pytest.mark.equation("7.6")
def test_the_exact_flow_has_the_noise_as_its_slope():
    x, h = normal(6, 2), 1e-4
    early, late = (exact_flow(MIXTURE, x, VP, T, u, steps=20) / VP.alpha(u) for u in (T - h, T + h))
    change = VP.sigma(T + h) / VP.alpha(T + h) - VP.sigma(T - h) / VP.alpha(T - h)
    _, eps = mixture_denoiser(MIXTURE, VP)(x, T)
    torch.testing.assert_close((late - early) / change, eps, rtol=1e-6, atol=1e-6)


@pytest.mark.equation("7.7")
@pytest.mark.parametrize("name", PATHS)
def test_drift_and_diffusion_are_the_limit_of_one_forward_step(name):
    path, t, h = PATHS[name], times_of(name, 3)[1], 1e-6
    alpha, sigma, alpha_later, sigma_later = levels(t, t + h, path=path)
    f, g2 = drift_and_diffusion(path, t)
    assert float((alpha_later / alpha - 1) / h) == pytest.approx(float(f), rel=1e-4, abs=1e-8)
    added = (sigma_later**2 - (alpha_later / alpha) ** 2 * sigma**2) / h
    assert float(added) == pytest.approx(float(g2), rel=1e-4)


@pytest.mark.equation("7.8")
def test_small_steps_of_the_forward_sde_give_the_marginals():
    n, steps, x = 20_000, 400, torch.full((20_000,), 0.7, dtype=torch.float64)
    times = torch.linspace(0, 0.6, steps + 1, dtype=torch.float64)
    f, g2 = drift_and_diffusion(VP, (times[1:] + times[:-1]) / 2)
    for i, h in enumerate(times.diff()):
        x = x + f[i] * x * h + (g2[i] * h).sqrt() * normal(n, seed=i)
    alpha, sigma = levels(T)
    assert abs(x.mean() - alpha * 0.7) < 4 * sigma / n**0.5 + 2e-3
    assert abs(x.var() - sigma**2) < 4 * sigma**2 * (2 / n) ** 0.5 + 2e-3


@pytest.mark.equation("7.9")
def test_the_density_of_the_mixture_solves_fokker_and_planck():
    x, h = torch.linspace(-2, 2, 401, dtype=torch.float64)[:, None], 1e-4
    f, g2 = drift_and_diffusion(VP, T)

    def q(t, x=x):
        return noised(t).log_density(x).exp()
    in_time = (q(T + h) - q(T - h)) / (2 * h)
    transport = ((x + h)[:, 0] * q(T, x + h) - (x - h)[:, 0] * q(T, x - h)) / (2 * h)
    diffusion = (q(T, x + h) - 2 * q(T) + q(T, x - h)) / h**2
    torch.testing.assert_close(in_time, -f * transport + g2 / 2 * diffusion, rtol=1e-5, atol=1e-5)


@pytest.mark.equation("7.10")
def test_the_density_solves_the_transport_along_the_ode():
    x, h = torch.linspace(-2, 2, 401, dtype=torch.float64)[:, None], 1e-4
    f, g2 = drift_and_diffusion(VP, T)

    def current(x):
        velocity = f * x - g2 / 2 * noised(T).score(x)
        _, eps = mixture_denoiser(LINE, VP)(x, T)
        torch.testing.assert_close(velocity, pf_ode_rhs(eps, x, T, VP), rtol=1e-9, atol=1e-9)
        return velocity[:, 0] * noised(T).log_density(x).exp()
    in_time = (noised(T + h).log_density(x).exp() - noised(T - h).log_density(x).exp()) / (2 * h)
    torch.testing.assert_close(in_time, -(current(x + h) - current(x - h)) / (2 * h), rtol=1e-5, atol=1e-5)


@pytest.mark.equation("7.11")
@pytest.mark.parametrize("name", PATHS)
def test_the_ode_has_the_rates_of_the_path(name):
    path, t, x = PATHS[name], times_of(name, 3)[1], normal(6, 2)
    x0, eps = mixture_denoiser(MIXTURE, path)(x, t)
    alpha_rate, sigma_rate = rates(t, path)
    torch.testing.assert_close(pf_ode_rhs(eps, x, t, path), alpha_rate * x0 + sigma_rate * eps, rtol=1e-6, atol=1e-6)


@pytest.mark.equation("7.12")
@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_the_density_solves_the_backward_equation_of_every_eta(eta):
    x, h = torch.linspace(-2, 2, 401, dtype=torch.float64)[:, None], 1e-4
    _, g2 = drift_and_diffusion(VP, T)

    def q(x):
        return noised(T).log_density(x).exp()

    def current(x):
        return reverse_drift(mixture_denoiser(LINE, VP)(x, T)[1], x, T, VP, eta)[:, 0] * q(x)
    in_time = (noised(T + h).log_density(x).exp() - noised(T - h).log_density(x).exp()) / (2 * h)
    transport = (current(x + h) - current(x - h)) / (2 * h)
    diffusion = (q(x + h) - 2 * q(x) + q(x - h)) / h**2
    # for a falling time both signs turn: dq/dtau = -dq/dt, drift -> -drift, and the noise spreads forward in tau
    torch.testing.assert_close(-in_time, transport + eta**2 * g2 / 2 * diffusion, rtol=1e-5, atol=1e-5)


@pytest.mark.equation("7.13")
def test_the_step_up():
    x, denoiser = normal(6, 2), mixture_denoiser(MIXTURE, VP)
    (_, x_t, eps), = invert(denoiser, x, torch.stack([S, T]), VP)
    alpha_s, sigma_s, alpha_t, sigma_t = levels(S, T)
    expected = alpha_t / alpha_s * x + (sigma_t - alpha_t / alpha_s * sigma_s) * denoiser(x, S)[1]
    torch.testing.assert_close(x_t, expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(eps, denoiser(x, S)[1])


@pytest.mark.equation("7.14")
def test_slerp():
    a, b = normal(784), normal(784, seed=2)
    theta = torch.arccos(a @ b / (a.norm() * b.norm()))
    for w in (0.0, 0.3, 1.0):
        expected = torch.sin((1 - w) * theta) / torch.sin(theta) * a + torch.sin(w * theta) / torch.sin(theta) * b
        torch.testing.assert_close(slerp(a, b, w), expected, rtol=1e-9, atol=1e-9)
    assert float(slerp(a, b, 0.5).norm()) == pytest.approx(28, abs=1) and float((a + b).norm() / 2) < 21


@pytest.mark.equation("7.15")
def test_the_density_at_a_moving_point_falls_by_the_divergence():
    x, h = normal(6, 2), 1e-4
    later, earlier = (exact_flow(MIXTURE, x, VP, T, u, steps=20) for u in (T + h, T - h))
    change = (noised(T + h, MIXTURE).log_density(later) - noised(T - h, MIXTURE).log_density(earlier)) / (2 * h)

    def velocity(x):
        return pf_ode_rhs(mixture_denoiser(MIXTURE, VP)(x, T)[1], x, T, VP)
    torch.testing.assert_close(change, -exact_trace(velocity, x)[1], rtol=1e-5, atol=1e-5)


@pytest.mark.equation("7.16")
def test_the_rate_of_the_density_in_lambda_and_the_two_ends():
    x, h = normal(6, 2), 1e-4

    def straight(t, x):  # the log density of x / alpha
        return noised(t, MIXTURE).log_density(x) + 2 * VP.alpha(t).log()
    ends = [(u, exact_flow(MIXTURE, x, VP, T, u, steps=20)) for u in (T - h, T + h)]
    change = straight(*ends[0]) - straight(*ends[1])
    rate = change / (lambda_of(VP, T - h) - lambda_of(VP, T + h))
    trace = exact_trace(lambda x: mixture_denoiser(MIXTURE, VP)(x, T)[1], x)[1]
    torch.testing.assert_close(rate, VP.sigma(T) * trace, rtol=1e-5, atol=1e-5)


@pytest.mark.equation("7.17")
def test_signs_give_the_trace_in_the_mean():
    J, x = normal(8, 8, seed=3), torch.zeros(40_000, 8, dtype=torch.float64)
    _, guesses = hutchinson(lambda x: x @ J.T, x, generator())
    symmetric = (J + J.T) / 2
    variance = 2 * (symmetric.square().sum() - symmetric.diagonal().square().sum())
    assert abs(guesses.mean() - J.trace()) < 4 * (variance / 40_000).sqrt()
    assert float(guesses.var() / variance) == pytest.approx(1, abs=0.05)


@pytest.mark.equation("7.18")
@pytest.mark.parametrize("std, least, most", [(0.5, 0.005, 0.3), (5.0, -1e-3, 1e-3)])
def test_uniform_dequantisation_is_a_bound_and_tight_where_the_density_is_flat(std, least, most):
    greys = torch.tensor([[-1.0], [-0.5], [0.0], [0.5], [1.0]], dtype=torch.float64)
    density = torch.distributions.Normal(torch.tensor(0.2, dtype=torch.float64), std)
    mass = density.cdf(greys + 0.25) - density.cdf(greys - 0.25)
    nats = uniform_nats(lambda x: density.log_prob(x)[:, 0], greys.repeat(20_000, 1), generator(), 5).reshape(-1, 5)
    gap, error = nats.mean(dim=0) + mass[:, 0].log(), nats.std(dim=0) / 20_000**0.5
    assert (gap > least - 4 * error).all() and (gap < most).all()


@pytest.mark.equation("7.19")
def test_the_bridge_of_noise_and_decoder_costs_what_the_decoder_does_not_know():
    greys, levels_, t = torch.tensor([-1.0, 0.0, 1.0], dtype=torch.float64), 3, 0.05
    weights, (alpha, sigma) = torch.tensor([0.5, 0.2, 0.3], dtype=torch.float64), levels(t)
    x0 = greys[torch.multinomial(weights, 40_000, True, generator=generator())][:, None]

    def parts(x):
        return weights.log() - (x - alpha * greys) ** 2 / (2 * sigma**2)

    def log_p(x):
        return parts(x).logsumexp(dim=1) - math.log(math.sqrt(2 * math.pi) * sigma)

    def denoise(x, t):
        x0 = (parts(x).softmax(dim=1) * greys).sum(dim=1, keepdim=True)
        return x0, (x - alpha * x0) / sigma
    nats = decoder_nats(log_p, denoise, x0, VP, t, 0.15, generator(), levels_)
    entropy, error = -(weights * weights.log()).sum(), nats.std() / 200
    assert -4 * error < nats.mean() - entropy < 0.01 + 4 * error
