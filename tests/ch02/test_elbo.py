"""The bound: its terms, its decoder, how tight it is, and what real digits cost at least."""

import lzma
import math

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minidiff.data.load import available, load
from minidiff.evaluation.gaussian import Gaussian
from minidiff.process.elbo import bits_per_dim, discretized_loglik, elbo_terms, eps_weight, kl_gauss, step_kl
from minidiff.process.forward import prior_kl, q_sample
from minidiff.process.posterior import posterior
from minidiff.process.schedules import alpha_bar_of, linear_betas
from minidiff.process.targets import predict_x0
from tests.ch02.worlds import Chain, even, line

ALPHA_BAR = alpha_bar_of(linear_betas())
GREY = torch.linspace(-1, 1, 256, dtype=torch.float64)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


# the terms ------------------------------------------------------------------------------------------------------------

def test_kl_is_never_negative_and_zero_only_for_equals():
    mean, variance = normal(50), normal(50, seed=1).exp()
    assert torch.equal(kl_gauss(mean, variance, mean, variance), torch.zeros(50, dtype=torch.float64))
    assert (kl_gauss(mean, variance, mean + 0.01, variance) > 0).all()
    assert (kl_gauss(mean, variance, mean, 1.01 * variance) > 0).all()


def test_step_kl_is_the_kl_of_two_posteriors_and_the_weighted_error_of_the_noise():
    t = torch.tensor([2, 3, 50, 999, 1000])
    x_t, x0, eps_hat = normal(3, 5, 1, 4, 4)
    x0_hat = predict_x0(x_t, t, eps_hat, ALPHA_BAR)
    eps = predict_x0(x_t, t, torch.zeros_like(x_t), ALPHA_BAR) - x0  # x_t / alpha - x0 = (sigma / alpha) eps
    eps = eps * (ALPHA_BAR[t] / (1 - ALPHA_BAR[t])).sqrt().reshape(-1, 1, 1, 1)
    (mean, variance), (mean_hat, _) = posterior(x_t, x0, t, ALPHA_BAR), posterior(x_t, x0_hat, t, ALPHA_BAR)
    variance = variance.reshape(-1, 1, 1, 1)
    kl = step_kl(x0, x0_hat, t, ALPHA_BAR)
    assert torch.allclose(kl, kl_gauss(mean, variance, mean_hat, variance), rtol=1e-6)
    weight = eps_weight(t, ALPHA_BAR).reshape(-1, 1, 1, 1)
    assert torch.allclose(kl, weight * (eps - eps_hat) ** 2, rtol=1e-6)


@pytest.mark.parametrize("t", [1, 0, torch.tensor([5, 1])])
def test_the_term_of_t_1_is_the_decoders_and_no_kl(t):
    with pytest.raises(ValueError, match="the term of t = 1 is the decoder's"):
        step_kl(normal(2, 3), normal(2, 3), t, ALPHA_BAR)
    x0 = GREY[torch.tensor([[0, 100], [255, 3]])]
    terms = elbo_terms(lambda x_t, t: 0.9 * x0, x0, line(25), generator())
    std = (1 - line(25)[1]).sqrt()
    assert terms[0].item() == pytest.approx(-discretized_loglik(x0, 0.9 * x0, std).mean().item(), rel=1e-12)


def test_terms_of_a_gaussian_are_what_draws_give():
    """With bins that are narrow beside the decoder, L_0 is the continuous one minus the log of the bin's width."""
    alpha_bar, world = line(30), Gaussian(-0.2, 0.05)
    x0 = world.sample(400_000, generator(1))[:, None].clamp(-1, 1)
    x0 = ((x0 + 1) * 127.5).round() / 127.5 - 1

    def denoise(x_t, t):
        return world.denoise(x_t, alpha_bar[t].sqrt(), (1 - alpha_bar[t]).sqrt())

    drawn = elbo_terms(denoise, x0, alpha_bar, generator(2), decoder_std=world.error(alpha_bar[1]).sqrt())
    exact = world.elbo_terms(alpha_bar)
    exact[0] -= math.log(2 / 255)
    assert torch.allclose(drawn, exact, rtol=0.015, atol=1e-6)


def test_elbo_terms_draw_only_from_their_generator_and_know_every_step_once():
    asked, before = [], torch.random.get_rng_state()

    def half(x_t, t):
        asked.append((x_t.shape, t.tolist(), x_t.dtype))
        return x_t / 2

    x0 = GREY[torch.randint(0, 256, (3, 1, 2, 2), generator=generator())].float()
    first, again = (elbo_terms(half, x0, line(25), generator(5)) for _ in range(2))
    assert torch.equal(first, again) and not torch.equal(first, elbo_terms(half, x0, line(25), generator(6)))
    assert asked[:25] == [((3, 1, 2, 2), [t] * 3, torch.float32) for t in range(1, 26)]
    assert torch.equal(before, torch.random.get_rng_state())
    assert first[-1].item() == pytest.approx(prior_kl(x0, line(25)[-1]).mean().item())


# the decoder ----------------------------------------------------------------------------------------------------------

@given(mean=st.floats(-3, 3), log_std=st.floats(-8, 5), levels=st.sampled_from([2, 8, 256, 1024]))
def test_bins_sum_to_1_whatever_the_bell(mean, log_std, levels):
    x = torch.linspace(-1, 1, levels, dtype=torch.float64)
    log_p = discretized_loglik(x, torch.tensor(mean).double(), torch.tensor(log_std).double().exp(), levels)
    assert log_p.exp().sum().item() == pytest.approx(1, abs=1e-12)
    assert log_p.isfinite().all() and (log_p <= 0).all()


@pytest.mark.parametrize("mean, std, k", [(0.0, 0.01, 140), (-0.9, 0.01, 250), (0.9, 0.01, 3), (0.0, 0.01, 255),
                                          (1.0, 0.02, 0), (0.2, 0.3, 100), (0.0, 1e-3, 128), (0.5, 40.0, 7)])
def test_bins_are_exact_far_out_in_both_tails(mean, std, k):
    mpmath.mp.dps = 60
    x = GREY[k].item()
    low = -mpmath.inf if k == 0 else (mpmath.mpf(x) - mpmath.mpf(1) / 255 - mean) / std
    high = mpmath.inf if k == 255 else (mpmath.mpf(x) + mpmath.mpf(1) / 255 - mean) / std
    if low > 0:
        low, high = -high, -low
    exact = mpmath.log((mpmath.erfc(-high / mpmath.sqrt(2)) - mpmath.erfc(-low / mpmath.sqrt(2))) / 2)
    args = (torch.tensor(u, dtype=torch.float64) for u in (x, mean, std))
    assert discretized_loglik(*args).item() == pytest.approx(float(exact), rel=1e-9)


def test_the_decoder_can_be_trained():
    mean, std = torch.zeros(256, dtype=torch.float64), torch.full((256,), 0.02, dtype=torch.float64)
    torch.autograd.gradcheck(lambda m, s: discretized_loglik(GREY, m, s), (mean.requires_grad_(), std.requires_grad_()))


def test_float32_pictures_give_float32_likelihoods():
    log_p = discretized_loglik(GREY.float(), torch.tensor(0.1), torch.tensor(0.01))
    exact = discretized_loglik(GREY.float().double(), torch.tensor(0.1).double(), torch.tensor(0.01).double())
    assert log_p.dtype == torch.float32 and torch.allclose(log_p.double(), exact, rtol=1e-4, atol=1e-6)


# how tight ------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("alpha_bar", [line(25), even(7), even(30, first=4.0, last=-2.0)])
@pytest.mark.parametrize("m, v", [(0.0, 1.0), (-0.3, 0.25), (0.8, 3.0)])
def test_terms_of_a_gaussian_sum_to_the_bound_of_its_joint_gaussians(alpha_bar, m, v):
    world, chain = Gaussian(m, v), Chain(m, v, alpha_bar)
    total = world.elbo_terms(alpha_bar).sum()
    assert total.item() == pytest.approx(chain.bound().item(), abs=1e-6)
    assert total.item() == pytest.approx((chain.nll() + chain.gap()).item(), abs=1e-6)
    assert chain.nll() >= world.entropy() - 1e-9


@pytest.mark.parametrize("v", [0.05, 0.25, 1.0])
def test_gap_to_the_exact_likelihood_halves_when_the_steps_double(v):
    world, counts = Gaussian(-0.3, v), [256, 512, 1024, 2048, 4096]
    gaps = [(world.elbo_terms(even(T, 9, -16)).sum() - world.entropy()).item() for T in counts]
    ratios = [a / b for a, b in zip(gaps, gaps[1:])]
    assert all(ratio == pytest.approx(2, abs=0.05) for ratio in ratios) and ratios[-1] == pytest.approx(2, abs=0.01)
    slope = np.polyfit(np.log(counts), np.log(gaps), 1)[0]
    assert slope == pytest.approx(-1, abs=0.02)


def test_the_model_variance_beta_closes_the_gap_that_the_posterior_variance_leaves():
    """The model answer of exercise 2.7: 0.4564 falls to 0.0011 at T = 1000; 0.0022 at 500; nothing for N(0, 1)."""
    def gap(world, T, wide):
        a = line(T)
        terms, beta = world.elbo_terms(a), 1 - a[2:] / a[1:-1]
        exact = (1 - a[1:-1]) / (1 - a[2:]) * beta
        kl = kl_gauss(torch.zeros(1), exact, (2 * exact * terms[1:-1]).sqrt(), beta if wide else exact)
        return (terms[0] + kl.sum() + terms[-1] - world.entropy()).item()

    world = Gaussian(-0.3, 0.25)
    assert gap(world, 1000, wide=False) == pytest.approx(0.4564, abs=5e-5)
    assert gap(world, 1000, wide=True) == pytest.approx(0.0011, abs=5e-5)
    assert gap(world, 500, wide=True) == pytest.approx(0.0022, abs=5e-5)
    assert gap(Gaussian(0, 1), 1000, wide=True) == pytest.approx(0, abs=1e-9)


def test_the_best_denoiser_is_exact_and_any_other_has_a_looser_bound():
    alpha_bar, world = line(40), Gaussian(0.1, 0.3)
    x0 = world.sample(20_000, generator())[:, None].clamp(-1, 1)
    x0 = ((x0 + 1) * 127.5).round() / 127.5 - 1

    def total(shrink):
        def denoise(x_t, t):
            return shrink * world.denoise(x_t, alpha_bar[t].sqrt(), (1 - alpha_bar[t]).sqrt())
        return elbo_terms(denoise, x0, alpha_bar, generator(1), decoder_std=0.05).sum()

    assert total(1.0) < total(0.97) and total(1.0) < total(1.03)


# bits -----------------------------------------------------------------------------------------------------------------

def test_a_uniform_model_costs_8_bits_and_a_good_one_less():
    assert bits_per_dim(math.log(256)) == pytest.approx(8)
    x0 = GREY[torch.randint(0, 256, (200, 1), generator=generator())]
    terms = elbo_terms(lambda x_t, t: x0, x0, ALPHA_BAR, generator())
    assert 0 < bits_per_dim(terms.sum()) <= 8
    assert (terms[1:-1] == 0).all()


def test_bound_of_the_histogram_denoiser_lies_between_the_histogram_and_8_bits():
    """The chapter's one-pixel denoiser on a known histogram: bits per pixel from its entropy, with the gap it has."""
    level, alpha_bar = torch.linspace(-1, 1, 256), even(300, 14, -10).float()
    p = torch.full((256,), 0.1 / 254)
    p[[0, 255]] = torch.tensor([0.7, 0.2])

    def denoise(x_t, t):
        a = alpha_bar[t][:, None]
        return torch.softmax(p.log() - (x_t - a.sqrt() * level) ** 2 / (2 * (1 - a)), dim=1) @ level[:, None]

    index = torch.multinomial(p, 1500, replacement=True, generator=generator(3))
    exact = -p[index].log2().mean().item()
    bound = bits_per_dim(elbo_terms(denoise, level[index][:, None], alpha_bar.double(), generator())).sum().item()
    assert exact < bound < exact + 0.15 < 8


@pytest.mark.skipif(not available("mnist"), reason="MNIST is not on this machine")
def test_what_mnist_costs_without_a_diffusion_model():
    """The three figures that chapter 02 quotes."""
    train, test = (((load("mnist", split)[0] + 1) * 127.5).round().long().flatten(1) for split in ("train", "test"))
    every = torch.bincount(train.flatten(), minlength=256).double() + 1
    assert -(every / every.sum()).log2()[test].mean().item() == pytest.approx(1.967, abs=2e-3)
    place = torch.bincount((torch.arange(784) * 256 + train).flatten(), minlength=784 * 256).reshape(784, 256) + 1.0
    each = -(place / place.sum(dim=1, keepdim=True)).log2()[torch.arange(784), test]
    assert each.mean().item() == pytest.approx(1.689, abs=2e-3)
    some = test[:1000].to(torch.uint8).numpy()
    assert 8 * len(lzma.compress(some.tobytes())) / some.size == pytest.approx(1.4, abs=0.05)


def test_q_sample_and_the_bound_share_one_clock():
    """At t = T the denoiser sees what q_sample makes at T: nothing of the picture."""
    seen = {}
    x0 = torch.ones(2000, 1)
    elbo_terms(lambda x_t, t: seen.setdefault(int(t[0]), x_t), x0, line(25), generator())
    assert sorted(seen) == list(range(1, 26))
    for t, x_t in seen.items():
        mean = q_sample(torch.ones(1), t, torch.zeros(1), line(25)).item()
        assert x_t.mean().item() == pytest.approx(mean, abs=4 * (1 - float(line(25)[t])) ** 0.5 / 2000**0.5)
