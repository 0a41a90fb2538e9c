"""The learned variance, the terms of the bound with it, and which gradient reaches which answer of the network."""

import math

import pytest
import torch

from minidiff.process.elbo import discretized_loglik, elbo_terms, kl_gauss, step_kl
from minidiff.process.forward import expand_like, q_sample
from minidiff.process.posterior import posterior, posterior_variance
from minidiff.process.path import discrete_path
from minidiff.process.schedules import alpha_bar_of, as_table, cosine_betas, linear_betas
from minidiff.process.targets import predict_x0
from minidiff.process.variance import hybrid_loss, learned_variance, vlb_estimate, vlb_term

T = 20
ALPHA_BAR = alpha_bar_of(as_table(torch.linspace(0.05, 0.5, T, dtype=torch.float64)))
PATH = discrete_path(ALPHA_BAR)
BETA = 1 - ALPHA_BAR[1:] / ALPHA_BAR[:-1]
EVERY_T = torch.arange(1, T + 1)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


def grey(*shape, seed=0):
    return torch.randint(0, 256, shape, generator=generator(seed)).double() * 2 / 255 - 1


def test_a_mix_of_0_and_1_are_the_two_fixed_variances():
    zero, one = torch.zeros(T, 1, 2, 2).double(), torch.ones(T, 1, 2, 2).double()
    torch.testing.assert_close(learned_variance(one, EVERY_T, PATH)[:, 0, 0, 0], BETA, rtol=1e-12, atol=0)
    low = learned_variance(zero, EVERY_T, PATH)[:, 0, 0, 0]
    torch.testing.assert_close(low[1:], posterior_variance(EVERY_T[1:], ALPHA_BAR), rtol=1e-12, atol=0)
    assert low[0] == pytest.approx(float(posterior_variance(torch.tensor(2), ALPHA_BAR)))


def test_half_way_is_the_geometric_mean_and_the_mix_may_go_beyond_both_ends():
    t = torch.arange(2, T + 1)
    at = [learned_variance(torch.full((T - 1, 3), mix).double(), t, PATH) for mix in (0, 0.5, 1, 1.5)]
    torch.testing.assert_close(at[1] ** 2, at[0] * at[2], rtol=1e-12, atol=0)
    torch.testing.assert_close(at[3] / at[2], at[1] / at[0], rtol=1e-12, atol=0)
    assert (at[3] > at[2]).all()


def test_the_variance_keeps_float32_and_a_batch_as_wide_as_its_images_apart():
    mix = normal(8, 1, 8, 8).float()
    t = torch.arange(1, 9)
    whole = learned_variance(mix, t, PATH)
    assert whole.dtype == torch.float32 and whole.shape == mix.shape
    for i in range(8):
        assert torch.allclose(whole[i:i + 1], learned_variance(mix[i:i + 1], t[i:i + 1], PATH))


def test_with_the_posteriors_variance_a_term_is_that_of_chapter_2():
    t = torch.arange(2, T + 1)
    x0, x_t, x0_hat = grey(T - 1, 5), normal(T - 1, 5), normal(T - 1, 5, seed=1)
    exact = expand_like(posterior_variance(t, ALPHA_BAR), x0).expand_as(x0)
    torch.testing.assert_close(vlb_term(x0, x_t, x0_hat, exact, t, PATH), step_kl(x0, x0_hat, t, ALPHA_BAR),
                               rtol=1e-9, atol=1e-12)


def test_the_term_of_step_1_is_the_decoders_and_all_others_are_kls():
    x0, x_t, x0_hat = grey(T, 5), normal(T, 5), normal(T, 5, seed=1)
    variance = 0.1 + torch.rand(T, 5, generator=generator()).double()
    got = vlb_term(x0, x_t, x0_hat, variance, EVERY_T, PATH)
    torch.testing.assert_close(got[0], -discretized_loglik(x0[0], x0_hat[0], variance[0].sqrt()), rtol=1e-9, atol=0)
    for t in range(2, T + 1):
        mean, exact = posterior(x_t[t - 1], x0[t - 1], t, ALPHA_BAR)
        mean_hat, _ = posterior(x_t[t - 1], x0_hat[t - 1], t, ALPHA_BAR)
        torch.testing.assert_close(got[t - 1], kl_gauss(mean, exact, mean_hat, variance[t - 1]), rtol=1e-9, atol=1e-12)


def test_the_best_constant_variance_is_exact_plus_what_the_guess_adds():
    """The KL in the variance has its minimum at exact + (mu - mu_hat)^2: what the mix has to learn."""
    t, x0, x_t, x0_hat = torch.tensor([7]), grey(1, 1), normal(1, 1), normal(1, 1, seed=1)
    mean, exact = posterior(x_t, x0, t, ALPHA_BAR)
    best = exact + (mean - posterior(x_t, x0_hat, t, ALPHA_BAR)[0]) ** 2
    at_best = vlb_term(x0, x_t, x0_hat, best, t, PATH)
    assert all(at_best < vlb_term(x0, x_t, x0_hat, best * f, t, PATH) for f in (0.5, 0.99, 1.01, 2))


def test_an_estimate_is_T_times_one_term():
    """Over all t its mean is the sum of `elbo_terms` without the prior's, if the network looks at the clock alone."""
    x0 = grey(4, 1, 3, 3)
    total, mix = torch.zeros(()).double(), 0.0 * x0

    def eps_of(x_t, t):
        return 0 * x_t + 0.3 * torch.sin(expand_like(t.double(), x_t))

    g = generator()
    for t in range(1, T + 1):
        times = torch.full((4,), t)
        eps = torch.randn(x0.shape, generator=g, dtype=x0.dtype)
        x_t = q_sample(x0, times, eps, ALPHA_BAR)
        total += vlb_estimate(x0, x_t, eps_of(x_t, times), mix, times, PATH).mean() / T
    low = posterior_variance(torch.tensor(2), ALPHA_BAR).sqrt()
    terms = elbo_terms(lambda x_t, t: predict_x0(x_t, t, eps_of(x_t, t), ALPHA_BAR), x0, ALPHA_BAR, generator(), low)
    assert float(total) == pytest.approx(float(terms[:-1].sum()), rel=1e-9)


class TwoAnswers(torch.nn.Module):
    """One number for the noise and one for mix, whatever the picture."""

    def __init__(self):
        super().__init__()
        self.eps, self.mix = (torch.nn.Parameter(torch.tensor(u, dtype=torch.float64)) for u in (0.1, 0.4))

    def forward(self, x, t):
        return torch.cat([self.eps + 0 * x, self.mix + 0 * x], dim=1)


def gradients(x0, t, eps, **kwargs):
    net = TwoAnswers()
    hybrid_loss(net, x0, t, eps, PATH, **kwargs).backward()
    return float(net.eps.grad), float(net.mix.grad)


def test_the_bound_moves_the_variance_and_not_the_noise():
    """The stop-gradient: what the noise learns is L_simple to the last bit, whatever the weight of the bound."""
    x0, eps = grey(T, 1, 3, 3), normal(T, 1, 3, 3)
    of_simple = 2 * float((0.1 - eps).mean())
    for vlb_weight in (0.0, 1e-3, 10.0):
        of_eps, of_mix = gradients(x0, EVERY_T, eps, vlb_weight=vlb_weight)
        assert of_eps == pytest.approx(of_simple, rel=1e-12)
        assert of_mix == pytest.approx(vlb_weight * gradients(x0, EVERY_T, eps, vlb_weight=1.0)[1], rel=1e-12)
    assert gradients(x0, EVERY_T, eps)[1] != 0


def test_the_hybrid_loss_is_simple_plus_a_thousandth_of_the_bound():
    net, x0, eps = TwoAnswers(), grey(T, 1, 3, 3), normal(T, 1, 3, 3)
    x_t = q_sample(x0, EVERY_T, eps, ALPHA_BAR)
    vlb = vlb_estimate(x0, x_t, 0.1 + 0 * x0, 0.4 + 0 * x0, EVERY_T, PATH).mean()
    expected = (0.1 - eps).square().mean() + 1e-3 * vlb
    assert float(hybrid_loss(net, x0, EVERY_T, eps, PATH).detach()) == pytest.approx(float(expected), rel=1e-12)


@pytest.mark.parametrize("betas", [linear_betas, cosine_betas])
def test_all_gradients_are_finite_at_every_step_of_a_long_float32_table(betas):
    """Where step 1 has its decoder, all others have a KL: the one that is not used must not spoil the gradient."""
    table, t = alpha_bar_of(betas()), torch.tensor([1, 2, 3, 10, 500, 990, 1000])
    x0 = grey(len(t), 1, 6, 6).float()
    weight = torch.nn.Parameter(torch.full((2,), 0.3))
    loss = hybrid_loss(lambda x, t: torch.cat([weight[0] * x, weight[1] * x.sin()], dim=1), x0, t,
                       normal(*x0.shape).float(), discrete_path(table))
    loss.backward()
    assert math.isfinite(loss.item()) and weight.grad.isfinite().all() and (weight.grad != 0).all()
