"""Equations 10.1 to 10.9: Bayes for scores, guidance, and what a guided walk draws from; the rules are beside it."""

import pytest
import torch

from minidiff.evaluation.convergence import mixture_denoiser
from minidiff.evaluation.mixture import Mixture
from minidiff.process.continuous import vp_path
from minidiff.process.flow import flow_path
from minidiff.process.guidance import cfg, interval
from minidiff.process.guidance_rules import rescaled
from minidiff.process.likelihood_guidance import classifier_guided
from minidiff.samplers.flow import heun_flow, sde_flow
from minidiff.samplers.step import final_sample

WORLD = Mixture([0.3, 0.7], [[-1.0, 0.5], [1.0, 0.0]], [0.4, 0.6])
SECOND = Mixture([1.0], [[1.0, 0.0]], [0.6])
BOTH, RIGHT = Mixture([0.5, 0.5], [[-1.0], [1.0]], [0.5, 0.5]), Mixture([1.0], [[1.0]], [0.5])
PATHS = {"flow": flow_path(), "vp": vp_path()}
LINE = torch.linspace(-6, 6, 1201, dtype=torch.float64)

every_path = pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
each_time = pytest.mark.parametrize("t", [0.1, 0.45, 0.9])


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def log_share(x, t, path, world=WORLD, part=1):
    """log q(part | x_t), exactly."""
    return world.noised(path.alpha(t), path.sigma(t)).share(x)[:, part].log()


def gradient(log_prob, x):
    x = x.clone().requires_grad_()
    return torch.autograd.grad(log_prob(x).sum(), x)[0]


@pytest.mark.equation("10.1")
@every_path
@each_time
def test_bayes_rule_for_scores(path, t):
    x, (alpha, sigma) = randn(50, 2), (path.alpha(t), path.sigma(t))
    left = SECOND.noised(alpha, sigma).score(x)
    right = WORLD.noised(alpha, sigma).score(x) + gradient(lambda x: log_share(x, t, path), x)
    torch.testing.assert_close(left, right, rtol=1e-9, atol=1e-9)


@pytest.mark.equation("10.2")
@every_path
@each_time
@pytest.mark.parametrize("w", [1.0, 4.0])
def test_the_noise_moves_against_the_gradient(path, t, w):
    x, t = randn(50, 2), torch.tensor(t)
    pull = gradient(lambda x: log_share(x, t, path), x)
    plain, led = mixture_denoiser(WORLD, path), classifier_guided(
        mixture_denoiser(WORLD, path), lambda x, t: log_share(x, t, path), path, w)
    torch.testing.assert_close(led(x, t)[1], plain(x, t)[1] - w * float(path.sigma(t)) * pull, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(path.mix(*led(x, t), t), x, rtol=1e-6, atol=1e-7)


@pytest.mark.equation("10.3")
@every_path
@each_time
def test_two_answers_hold_a_classifier(path, t):
    x, t = randn(50, 2), torch.tensor(t)
    inside = -(mixture_denoiser(SECOND, path)(x, t)[1] - mixture_denoiser(WORLD, path)(x, t)[1]) / path.sigma(t)
    torch.testing.assert_close(inside, gradient(lambda x: log_share(x, t, path), x), rtol=1e-6, atol=1e-6)


@pytest.mark.equation("10.4")
@every_path
@pytest.mark.parametrize("w", [0.3, 1.7, 5.0])
def test_guidance_without_a_classifier_is_guidance_with_that_one(path, w):
    x, t = randn(50, 2), torch.tensor(0.5)
    free = cfg(lambda x, t, label: mixture_denoiser(SECOND if label else WORLD, path)(x, t), w, lambda c: {"label": 0})
    led = classifier_guided(mixture_denoiser(WORLD, path), lambda x, t: log_share(x, t, path), path, w)
    for ours, theirs in zip(free(x, t, label=1), led(x, t)):
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-6)


# --- the two bells -------------------------------------------------------------------------------------------------

def tilted(w):
    """The density (10.5) on LINE, summing to 1, and its mean and standard deviation."""
    p = torch.softmax(BOTH.log_density(LINE[:, None]) + w * BOTH.share(LINE[:, None])[:, 1].log(), dim=0)
    mean = (p * LINE).sum()
    return p, float(mean), float((p * (LINE - mean) ** 2).sum().sqrt())


def mean_given(x_t, t, path, f):
    """E[f(x0) | x_t] of the two bells, by a sum over LINE: x_t (B, 1) -> (B,)."""
    log_p = BOTH.log_density(LINE[:, None]) - (x_t - path.alpha(t) * LINE) ** 2 / (2 * path.sigma(t) ** 2)
    return (torch.softmax(log_p, dim=1) * f).sum(dim=1)


def guided(w, path=PATHS["flow"]):
    def denoiser(x, t, label):
        return mixture_denoiser(RIGHT if label else BOTH, path)(x, t)
    ask = cfg(denoiser, w, lambda cond: {"label": 0})
    return lambda x, t: ask(x, t, label=1)


def walked(denoiser, n=4000, g2=None):
    times = torch.cat([torch.linspace(0.999, 0.002, 150 if g2 is None else 400), torch.zeros(1)]).double()
    walk = heun_flow(denoiser, randn(n, 1), times, PATHS["flow"]) if g2 is None else sde_flow(
        denoiser, randn(n, 1), times, PATHS["flow"], lambda t: g2 * t, torch.Generator().manual_seed(1))
    x = final_sample(walk)
    return float(x.mean()), float(x.std())


@pytest.mark.equation("10.5")
def test_the_tilted_density_is_where_the_guided_score_ends():
    """At t -> 0 the guided score is the slope of the logarithm of (10.5), for every w."""
    x, t = 0.5 + randn(40, 1), torch.tensor(1e-4, dtype=torch.float64)
    for w in (1.0, 2.0, 4.0):
        score = -guided(w)(x, t)[1] / 1e-4
        slope = gradient(lambda x: BOTH.log_density(x) + w * BOTH.share(x)[:, 1].log(), x)
        torch.testing.assert_close(score, slope, rtol=1e-2, atol=1e-2)


@pytest.mark.equation("10.5")
def test_a_guided_walk_does_not_draw_from_it_but_one_with_much_noise_does():
    _, mean, sd = tilted(2)
    assert (mean, sd) == pytest.approx((1.04, 0.47), abs=0.006)
    assert walked(guided(2.0)) == pytest.approx((1.31, 0.36), abs=0.02)
    assert walked(guided(2.0), 2000, g2=64) == pytest.approx((mean, sd), abs=0.04)
    assert walked(guided(1.0), 2000, g2=64) == pytest.approx((1.0, 0.5), abs=0.04)


@pytest.mark.equation("10.6")
@every_path
@each_time
def test_the_score_of_the_tilted_density_noised(path, t):
    """The slope of log of (10.5) convolved with noise, against the formula, both by sums over a line."""
    x, t, w = 0.3 + randn(20, 1), torch.tensor(t), 2.0
    p, _, _ = tilted(w)
    power = (w * BOTH.share(LINE[:, None])[:, 1].log()).exp()

    def noised(x):
        return (p * torch.exp(-(x - path.alpha(t) * LINE) ** 2 / (2 * path.sigma(t) ** 2))).sum(dim=1).log()

    right = BOTH.noised(path.alpha(t), path.sigma(t)).score(x) + gradient(
        lambda x: mean_given(x, t, path, power).log(), x)
    torch.testing.assert_close(gradient(noised, x), right, rtol=1e-6, atol=1e-6)


@pytest.mark.equation("10.6")
def test_a_walk_along_it_ends_in_the_tilted_density():
    p, mean, sd = tilted(2)
    path = PATHS["flow"]

    def denoiser(x, t):
        q = torch.softmax(p.log() - (x - path.alpha(t) * LINE) ** 2 / (2 * path.sigma(t) ** 2), dim=1)
        x0 = (q * LINE).sum(dim=1, keepdim=True)
        return x0, (x - path.alpha(t) * x0) / path.sigma(t)

    assert walked(denoiser, 500) == pytest.approx((mean, sd), abs=0.06)


@pytest.mark.equation("10.7")
@every_path
@each_time
def test_what_guidance_follows_instead(path, t):
    x, t = 0.3 + randn(20, 1), torch.tensor(t)
    share = BOTH.share(LINE[:, None])[:, 1]
    inside = mean_given(x, t, path, share)
    torch.testing.assert_close(inside.log(), log_share(x, t, path, BOTH))
    assert (mean_given(x, t, path, share**2) > inside**2).all()  # the mean of a square, and the square of a mean
    score = BOTH.noised(path.alpha(t), path.sigma(t)).score(x) + 2 * gradient(lambda x: log_share(x, t, path, BOTH), x)
    torch.testing.assert_close(guided(2.0, path)(x, t)[1], -path.sigma(t) * score, rtol=1e-6, atol=1e-6)


@pytest.mark.equation("10.8")
def test_a_weight_for_a_while():
    weight = interval(3.0, 0.2, 0.7)
    assert [weight(t) for t in (0.1, 0.2, 0.5, 0.7, 0.71)] == [1.0, 3.0, 3.0, 3.0, 1.0]
    x = randn(10, 1)
    ask = cfg(lambda x, t, label: mixture_denoiser(RIGHT if label else BOTH, PATHS["flow"])(x, t), weight,
              lambda cond: {"label": 0})
    for t, w in ((0.1, 1.0), (0.5, 3.0)):
        assert torch.equal(ask(x, torch.tensor(t), label=1)[0], guided(w)(x, torch.tensor(t))[0])


@pytest.mark.equation("10.8a")
@each_time
def test_the_push_on_the_velocity_is_the_classifiers_slope_times_a_factor_of_the_clock(t):
    path, x, time = PATHS["flow"], randn(50, 2), torch.tensor(t, dtype=torch.float64)
    velocity = [eps - x0 for x0, eps in (mixture_denoiser(world, path)(x, time) for world in (SECOND, WORLD))]
    slope = gradient(lambda x: log_share(x, time, path), x)
    torch.testing.assert_close(velocity[0] - velocity[1], -t / (1 - t) * slope, rtol=1e-7, atol=1e-8)


@pytest.mark.equation("10.9")
@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_contrast_given_back(share):
    cond, free, w = randn(4, 1, 5, 5), randn(4, 1, 5, 5, seed=1), 3.0
    for i in range(4):
        moved = free[i] + w * (cond[i] - free[i])
        expected = share * cond[i].std() / moved.std() * moved + (1 - share) * moved
        torch.testing.assert_close(rescaled(cond, free, w, share)[i], expected)
