"""The losses of denoising: the times they draw, and what they equal after reweighting."""

import pytest
import torch

from minidiff.process.losses import denoising_loss, draw_times, dsm_loss
from minidiff.process.path import discrete_path
from minidiff.process.schedules import alpha_bar_of, linear_betas
from minidiff.process.score import score_from_eps, tweedie
from minidiff.process.targets import EPS, V, X0, from_target, predict_x0

ALPHA_BAR = alpha_bar_of(linear_betas())
PATH = discrete_path(ALPHA_BAR)


def gen(seed=0):
    return torch.Generator().manual_seed(seed)


def points(n=64, seed=0, dtype=torch.float32):
    return torch.randn(n, 2, generator=gen(seed), dtype=dtype)


@pytest.mark.parametrize("T", [1, 2, 7, 1000])
def test_draw_times_visits_exactly_1_to_T_with_both_ends(T):
    assert torch.equal(draw_times(20 * T + 200 if T < 1000 else 20_000, T, gen()).unique(), torch.arange(1, T + 1))


def test_draw_times_is_uniform():
    counts = torch.bincount(draw_times(100_000, 10, gen()), minlength=11)[1:]
    assert float(((counts - 10_000) ** 2 / 10_000).sum()) < 27.9  # chi2 with 9 degrees of freedom at 0.1 %


def test_a_loss_draws_times_then_noise_from_its_generator_alone():
    x0, seen = points(), {}

    def net(x, t):
        seen.update(x=x, t=t)
        return torch.zeros_like(x)

    torch.manual_seed(0)
    state = torch.get_rng_state()
    loss, logs = denoising_loss(net, x0, PATH, EPS, gen(5))
    assert torch.equal(torch.get_rng_state(), state)
    g = gen(5)
    t, eps = draw_times(64, 1000, g), torch.randn(64, 2, generator=g)
    a = ALPHA_BAR[t][:, None].float()
    assert torch.equal(seen["t"], t) and torch.equal(logs["t"], t)
    torch.testing.assert_close(seen["x"], a.sqrt() * x0 + (1 - a).sqrt() * eps)
    torch.testing.assert_close(loss, eps.square().mean())


def test_the_loss_of_the_perfect_answer_is_zero_for_every_target():
    x0 = points()
    for target in (EPS, X0, V):
        def net(x, t):
            alpha, sigma = (u(t)[:, None].float() for u in (PATH.alpha, PATH.sigma))
            eps = (x - alpha * x0) / sigma
            return {"eps": eps, "x0": x0, "v": alpha * eps - sigma * x0}[target.name]
        assert float(denoising_loss(net, x0, PATH, target, gen())[0]) < 1e-6


def test_each_is_the_loss_of_one_point_and_carries_no_gradient():
    net = torch.nn.Linear(2, 2)
    loss, logs = denoising_loss(lambda x, t: net(x), points(), PATH, EPS, gen())
    assert loss.requires_grad and not logs["each"].requires_grad and logs["each"].shape == (64,)
    assert float(logs["each"].mean()) == pytest.approx(float(loss.detach()), rel=1e-6)


def test_the_error_in_x0_is_the_error_in_eps_over_the_snr():
    """|x0 error|^2 = (sigma / d)^2 |output error|^2, for the three targets."""
    x0, t = points(dtype=torch.float64), torch.arange(1, 65) * 15
    alpha, sigma = PATH.alpha(t), PATH.sigma(t)
    eps, wrong = points(seed=1, dtype=torch.float64), points(seed=2, dtype=torch.float64)
    x_t = alpha[:, None] * x0 + sigma[:, None] * eps
    for target in (EPS, X0, V):
        A, B = target.A(alpha, sigma), target.B(alpha, sigma)
        out = A[:, None] * x0 + B[:, None] * eps
        x0_hat, _ = from_target(target, out + wrong, x_t, alpha, sigma)
        weight = (sigma / (alpha * B - sigma * A)) ** 2
        torch.testing.assert_close((x0_hat - x0) ** 2, weight[:, None] * wrong**2, rtol=1e-8, atol=1e-10)


def test_dsm_is_the_loss_on_eps_of_the_same_net():
    """With eps_hat = -sigma score, weighted denoising score matching is L_simple, draw by draw."""
    def score(x, t):
        return torch.tanh(x) - t[:, None].to(x) / 1000

    def net(x, t):
        return -PATH.sigma(t)[:, None].to(x) * score(x, t)

    x0, g = points(), gen(3)
    t, eps = draw_times(64, 1000, g), torch.randn(64, 2, generator=g)
    loss, _ = denoising_loss(net, x0, PATH, EPS, gen(3))
    torch.testing.assert_close(dsm_loss(score, x0, t, eps, PATH), loss)


def test_dsm_is_the_weighted_squared_distance_to_the_score_of_the_noise():
    x0, eps, t = points(dtype=torch.float64), points(seed=1, dtype=torch.float64), torch.arange(1, 65) * 15
    a = ALPHA_BAR[t][:, None]
    x_t = (a.sqrt() * x0 + (1 - a).sqrt() * eps).requires_grad_()
    log_q = torch.distributions.Normal(a.sqrt() * x0, (1 - a).sqrt()).log_prob(x_t).sum()
    target = torch.autograd.grad(log_q, x_t)[0]
    expected = ((1 - a) * (torch.sin(x_t.detach()) - target) ** 2).mean()
    torch.testing.assert_close(dsm_loss(lambda x, t: torch.sin(x), x0, t, eps, PATH), expected)


def test_tweedie_of_the_score_of_a_noise_is_the_picture_of_that_noise():
    x_t, eps, t = points(dtype=torch.float64), points(seed=1, dtype=torch.float64), torch.arange(1, 65) * 15
    ours = tweedie(x_t, score_from_eps(eps, t, PATH), t, PATH)
    torch.testing.assert_close(ours, predict_x0(x_t, t, eps, ALPHA_BAR))


def test_tweedie_undoes_the_noise_when_it_is_told_where_it_came_from():
    x0, eps, t = points(dtype=torch.float64), points(seed=1, dtype=torch.float64), torch.arange(1, 65) * 15
    a = ALPHA_BAR[t][:, None]
    x_t = a.sqrt() * x0 + (1 - a).sqrt() * eps
    torch.testing.assert_close(tweedie(x_t, (a.sqrt() * x0 - x_t) / (1 - a), t, PATH), x0)
