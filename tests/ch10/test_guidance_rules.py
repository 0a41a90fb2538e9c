"""Rules for two answers: where each of them must agree with classifier-free guidance, and what it changes elsewhere."""

import pytest
import torch

from minidiff.evaluation.convergence import mixture_denoiser
from minidiff.evaluation.mixture import Mixture
from minidiff.process.continuous import cosine_path, vp_path
from minidiff.process.flow import flow_path
from minidiff.process.guidance_rules import (cfg_plus_plus, cfg_zero_star, guided, inner, length, linear, projected,
                                             rescaled, spread, thresholded)
from minidiff.samplers.ddim import ddim
from minidiff.samplers.step import final_sample

STRAIGHT = flow_path()


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


COND, FREE = randn(5, 3, 4, 4), randn(5, 3, 4, 4, seed=1)


def two_answers(x, t, label):
    """A denoiser that knows two conditions: its picture is COND for label 1 and FREE for 0."""
    x0 = (COND if label else FREE)[:len(x)]
    alpha, sigma = STRAIGHT.at(t, x)
    return x0, (x - alpha * x0) / sigma


def none(cond):
    return {"label": 0}


def test_a_rule_gets_both_pictures_and_the_noise_follows_from_what_it_says():
    x, t = randn(5, 3, 4, 4, seed=2), torch.tensor(0.3)
    for rule in (lambda c, f: linear(c, f, 3.0), lambda c, f: rescaled(c, f, 3.0), lambda c, f: projected(c, f, 3.0)):
        x0, eps = guided(two_answers, STRAIGHT, none, rule)(x, t, label=1)
        assert torch.equal(x0, rule(COND, FREE))
        torch.testing.assert_close(STRAIGHT.mix(x0, eps, t), x)


@pytest.mark.parametrize("w", [1.0, 2.0, 5.0])
def test_rescaling_keeps_the_contrast_of_the_conditional_picture(w):
    torch.testing.assert_close(spread(rescaled(COND, FREE, w, share=1.0)), spread(COND))
    assert torch.equal(rescaled(COND, FREE, w, share=0.0), linear(COND, FREE, w))


def test_thresholding_leaves_a_picture_in_range_alone_and_brings_others_back():
    tame, wild = COND / COND.abs().max(), 4 * COND
    assert torch.equal(thresholded(tame), tame)
    assert thresholded(wild).abs().max() == 1 and thresholded(wild).abs().mean() > 0.2
    alone = torch.cat([thresholded(x[None]) for x in wild])
    assert torch.equal(thresholded(wild), alone)  # each picture by its own quantile


def test_projection_is_the_linear_rule_when_nothing_is_damped_and_the_condition_at_w_1():
    torch.testing.assert_close(projected(COND, FREE, 3.0, along=1.0), linear(COND, FREE, 3.0))
    assert torch.equal(projected(COND, FREE, 1.0), COND)


def test_what_projection_adds_is_orthogonal_to_the_conditional_picture_and_no_longer_than_asked():
    added = projected(COND, FREE, 2.0, along=0.0) - COND
    assert inner(added, COND).abs().max() < 1e-10
    short = projected(COND, FREE, 2.0, along=1.0, longest=0.5) - COND
    torch.testing.assert_close(length(short), torch.full_like(length(short), 0.5))


def test_projection_is_not_the_same_rule_on_the_noise():
    """With sigma eps = x - alpha x0, the linear rule commutes with going from x0 to eps; projection does not."""
    x, t = randn(5, 3, 4, 4, seed=2), torch.tensor(0.3)
    alpha, sigma = STRAIGHT.at(t, x)
    to_eps = lambda x0: (x - alpha * x0) / sigma  # noqa: E731
    torch.testing.assert_close(to_eps(linear(COND, FREE, 3.0)), linear(to_eps(COND), to_eps(FREE), 3.0))
    gap = to_eps(projected(COND, FREE, 3.0)) - projected(to_eps(COND), to_eps(FREE), 3.0)
    assert gap.abs().mean() > 0.1


def test_cfg_zero_star_is_cfg_for_equal_answers_and_compares_orthogonally():
    x, t = randn(5, 3, 4, 4, seed=2), torch.tensor(0.6)
    x0, _ = cfg_zero_star(two_answers, STRAIGHT, lambda cond: cond, 4.0)(x, t, label=1)
    torch.testing.assert_close(x0, COND)
    u, u_free = ((x - picture) / t for picture in (COND, FREE))
    fitting = inner(u, u_free) / inner(u_free, u_free) * u_free
    assert inner(u - fitting, u_free).abs().max() < 1e-9
    x0, eps = cfg_zero_star(two_answers, STRAIGHT, none, 4.0)(x, t, label=1)
    torch.testing.assert_close(eps - x0, fitting + 4 * (u - fitting))
    torch.testing.assert_close(STRAIGHT.mix(x0, eps, t), x)


def test_zero_init_stands_still_in_the_first_steps():
    x = randn(5, 3, 4, 4, seed=2)
    x0, eps = cfg_zero_star(two_answers, STRAIGHT, none, 4.0, still_above=0.9)(x, torch.tensor(0.95), label=1)
    torch.testing.assert_close(x0, eps)


def test_cfg_plus_plus_goes_back_with_the_free_noise():
    x, t = randn(5, 3, 4, 4, seed=2), torch.tensor(0.5)
    x0, eps = cfg_plus_plus(two_answers, none, 0.6)(x, t, label=1)
    torch.testing.assert_close(x0, 0.4 * FREE + 0.6 * COND)
    assert torch.equal(eps, two_answers(x, t, 0)[1])


@pytest.mark.parametrize("path", [vp_path(), cosine_path(), STRAIGHT], ids=["vp", "cosine", "straight"])
def test_cfg_does_not_sample_the_tilted_density(path):
    """Two Gaussians at -1 and 1, sd 0.5, w = 2: mean 1.31 and sd 0.35 on every path; p(x) p(c|x)^2 has 1.04, 0.47."""
    both = mixture_denoiser(Mixture([0.5, 0.5], [[-1.0], [1.0]], [0.5, 0.5]), path)
    one = mixture_denoiser(Mixture([1.0], [[1.0]], [0.5]), path)

    def denoiser(x, t, label):
        return (one if label else both)(x, t)

    first = 0.9999 * path.T
    times = torch.cat([torch.linspace(first, 0.002 * path.T, 200, dtype=torch.float64), torch.zeros(1).double()])
    ask = guided(denoiser, path, none, lambda c, f: linear(c, f, 2.0))
    x = final_sample(ddim(lambda x, t: ask(x, t, label=1), randn(20_000, 1), times, path))
    assert float(x.mean()) == pytest.approx(1.31, abs=0.02) and float(x.std()) == pytest.approx(0.35, abs=0.02)
    grid = torch.linspace(-4, 4, 4001, dtype=torch.float64)[:, None]
    mixture = Mixture([0.5, 0.5], [[-1.0], [1.0]], [0.5, 0.5])
    tilted = mixture.log_density(grid).exp() * mixture.share(grid)[:, 1] ** 2
    mean = (tilted * grid[:, 0]).sum() / tilted.sum()
    sd = ((tilted * (grid[:, 0] - mean) ** 2).sum() / tilted.sum()).sqrt()
    assert float(mean) == pytest.approx(1.04, abs=0.01) and float(sd) == pytest.approx(0.47, abs=0.01)
