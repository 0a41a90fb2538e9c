"""Equations 10.20 to 10.30: editing, inpainting, measurements, views of one picture, and what a net need not read."""

import math

import pytest
import torch

from minidiff.evaluation.convergence import exact_flow, mixture_denoiser
from minidiff.evaluation.gaussian import Gaussian
from minidiff.evaluation.mixture import Mixture
from minidiff.evaluation.restoration import measured_spread, psnr
from minidiff.process.continuous import vp_path
from minidiff.process.flow import flow_path
from minidiff.process.likelihood_guidance import linear_log_likelihood, reconstruction_guided
from minidiff.process.measurements import blurred, shrunk
from minidiff.process.views import averaged, hybrid, upright, upside_down
from minidiff.samplers.edit import half_way, inpaint, noised_again
from minidiff.samplers.flow import heun_flow
from minidiff.samplers.step import ddim_step, final_sample

STRAIGHT, VP = flow_path(), vp_path()
WORLD = Mixture([0.3, 0.5, 0.2], [[1.0, 0.5], [-0.8, 0.3], [0.2, -1.0]], [0.25, 0.35, 0.3])


def gen(seed=0):
    return torch.Generator().manual_seed(seed)


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=gen(seed), dtype=torch.float64)


def falling(n):
    return torch.linspace(1, 0, n + 1, dtype=torch.float64)


def bell_denoiser(bell, path):
    def denoise(x, t):
        alpha, sigma = path.alpha(t), path.sigma(t)
        x0 = bell.denoise(x, alpha, sigma)
        return x0, (x - alpha * x0) / sigma
    return denoise


@pytest.mark.equation("10.20")
def test_an_edit_starts_at_the_noised_picture():
    y = randn(3, 1, 4, 4)
    x, times = half_way(y, falling(10), STRAIGHT, 0.6, gen(1))
    assert times[0] == pytest.approx(0.6) and len(times) == 7
    torch.testing.assert_close(x, 0.4 * y + 0.6 * randn(3, 1, 4, 4, seed=1))


@pytest.mark.equation("10.21")
def test_decibels():
    y = randn(5, 1, 4, 4)
    torch.testing.assert_close(psnr(y + 0.2, y), torch.full((5,), 20.0).double())  # 4 / 0.04 is a hundred
    one, ten = psnr(y + 0.1, y), psnr(y + 0.1 / math.sqrt(10), y)
    torch.testing.assert_close(ten - one, torch.full((5,), 10.0).double())


@pytest.mark.equation("10.22")
def test_a_step_of_inpainting_pastes_the_picture_at_the_time_of_arrival():
    x, y, m = randn(4, 2), randn(4, 2, seed=1), torch.tensor([1.0, 0.0]).double()
    t, s = torch.tensor([0.8, 0.5]).double()
    (_, found, _), = inpaint(mixture_denoiser(WORLD, VP), x, torch.stack([t, s]), VP, y, m, gen(2))
    dice = gen(2)
    new = ddim_step(*mixture_denoiser(WORLD, VP)(x, t), t, s, VP, 1.0, dice)
    eps = torch.randn(4, 2, generator=dice, dtype=torch.float64)
    torch.testing.assert_close(found, m * (VP.alpha(s) * y + VP.sigma(s) * eps) + (1 - m) * new)


@pytest.mark.equation("10.23")
def test_the_way_up_has_the_law_of_the_forward_process():
    s, t = torch.tensor([0.3, 0.6]).double()
    x_s, ratio = randn(5, 2), VP.alpha(t) / VP.alpha(s)
    up = noised_again(x_s, s, t, VP, gen(1))
    spread = (VP.sigma(t) ** 2 - ratio**2 * VP.sigma(s) ** 2).sqrt()
    torch.testing.assert_close(up, ratio * x_s + spread * randn(5, 2, seed=1))
    assert float(ratio**2 * VP.sigma(s) ** 2 + spread**2) == pytest.approx(float(VP.sigma(t) ** 2))


@pytest.mark.equation("10.24")
@pytest.mark.parametrize("t", [0.2, 0.6])
def test_the_pull_of_a_measurement_is_the_gradient_through_the_denoiser(t):
    """By central differences, coordinate by coordinate."""
    x, y, t, h = randn(4, 2), randn(4, 1, seed=1), torch.tensor(t).double(), 1e-5
    ask = mixture_denoiser(WORLD, VP)

    def cost(x):
        return -(y - ask(x, t)[0].sum(dim=1, keepdim=True)).square().sum(dim=1) / (2 * 0.3)

    gradient = torch.stack([(cost(x + h * e) - cost(x - h * e)) / (2 * h) for e in torch.eye(2).double()], dim=1)
    likelihood = linear_log_likelihood(y, lambda x0: x0.sum(dim=1, keepdim=True), 0.3)
    _, eps = reconstruction_guided(ask, likelihood, VP)(x, t)
    torch.testing.assert_close(eps, ask(x, t)[1] - VP.sigma(t) * gradient, rtol=1e-6, atol=1e-7)


def after(y, mean, variance, noise):
    """The posterior of a bell: (m', v')."""
    v = 1 / (1 / variance + 1 / noise)
    return v * (mean / variance + y / noise), v


@pytest.mark.equation("10.25")
def test_the_posterior_of_a_bell_by_bayes_rule_on_a_grid():
    x = torch.linspace(-8, 8, 20_001, dtype=torch.float64)
    p = torch.softmax(-(x - 0.3) ** 2 / (2 * 0.8) - (1.4 - x) ** 2 / (2 * 0.05), dim=0)
    mean = (p * x).sum()
    m, v = after(1.4, 0.3, 0.8, 0.05)
    assert float(mean) == pytest.approx(m, abs=1e-8)
    assert float((p * (x - mean) ** 2).sum()) == pytest.approx(v, abs=1e-8)


@pytest.mark.equation("10.26")
@pytest.mark.parametrize("t", [0.1, 0.5, 0.9])
def test_with_what_is_left_open_the_pull_is_exact(t):
    """The guided denoiser of p(x0) is the denoiser of p(x0 | y)."""
    x, t, y = randn(20, 1), torch.tensor(t).double(), torch.full((20, 1), 1.4).double()
    bell = Gaussian(0.3, 0.8)
    likelihood = linear_log_likelihood(y, lambda x0: x0, lambda t: 0.05 + bell.error(VP.alpha(t) ** 2))
    ours = reconstruction_guided(bell_denoiser(bell, VP), likelihood, VP)(x, t)
    for mine, exact in zip(ours, bell_denoiser(Gaussian(*after(1.4, 0.3, 0.8, 0.05)), VP)(x, t)):
        torch.testing.assert_close(mine, exact, rtol=1e-6, atol=1e-7)


def test_what_is_left_open_can_be_measured():
    """On pictures from a bell, against its closed form; between two times it is interpolated."""
    bell, times = Gaussian(0.3, 0.8), torch.tensor([0.2, 0.5, 0.8]).double()
    pictures = bell.sample(40_000, gen())[:, None]
    left = measured_spread(bell_denoiser(bell, VP), pictures, lambda x: x, times, VP, gen(1))
    for t in times:
        assert left(t) == pytest.approx(float(bell.error(VP.alpha(t) ** 2)), rel=0.03)
    assert left(0.35) == pytest.approx((left(0.2) + left(0.5)) / 2, rel=1e-6)
    assert left(1.0) == pytest.approx(left(0.8), rel=1e-6)


def quarter(x):
    return torch.stack([-x[:, 1], x[:, 0]], dim=1)


def back(x):
    return torch.stack([x[:, 1], -x[:, 0]], dim=1)


@pytest.mark.equation("10.27")
@pytest.mark.parametrize("t", [0.2, 0.5, 0.9])
def test_one_view_is_exact_if_it_turns_and_not_if_it_stretches(t):
    x, t = randn(50, 2), torch.tensor(t).double()
    ask = mixture_denoiser(WORLD, STRAIGHT)
    turned = mixture_denoiser(Mixture(WORLD.weights, back(WORLD.means), WORLD.stds), STRAIGHT)
    for mine, exact in zip(averaged([ask], [(quarter, back)])(x, t), turned(x, t)):
        torch.testing.assert_close(mine, exact, rtol=1e-9, atol=1e-9)
    stretched = averaged([ask], [(lambda x: 2 * x, lambda x: x / 2)])(x, t)[0]
    halved = mixture_denoiser(Mixture(WORLD.weights, WORLD.means / 2, WORLD.stds / 2), STRAIGHT)(x, t)[0]
    assert (stretched - halved).abs().max() > 0.05


@pytest.mark.equation("10.27")
def test_what_two_views_make_together_still_adds_up_to_x():
    x, t = randn(50, 2), torch.tensor(0.4).double()
    ask = mixture_denoiser(WORLD, STRAIGHT)
    x0, eps = averaged([ask, ask], [(upright, upright), (quarter, back)])(x, t)
    torch.testing.assert_close(0.6 * x0 + 0.4 * eps, x)
    torch.testing.assert_close(x0, (ask(x, t)[0] + back(ask(quarter(x), t)[0])) / 2)
    assert torch.equal(upside_down(upside_down(x[None, None])), x[None, None])


@pytest.mark.equation("10.28")
def test_the_mean_of_two_bells_is_walked_to_the_product_of_their_widths():
    c1, c2, x = 1.0, 0.2, randn(500, 1)
    bells = [mixture_denoiser(Mixture([1.0], [[0.0]], [c]), STRAIGHT) for c in (c1, c2)]
    times = torch.linspace(1, 0, 401, dtype=torch.float64)
    end = final_sample(heun_flow(averaged(bells, [(upright, upright)] * 2), x, times, STRAIGHT))
    torch.testing.assert_close(end, math.sqrt(c1 * c2) * x, rtol=5e-3, atol=1e-3)
    line = torch.linspace(-8, 8, 20_001, dtype=torch.float64)
    root = torch.softmax(-line**2 / 4 * (1 / c1**2 + 1 / c2**2), dim=0)
    assert float((root * line**2).sum()) == pytest.approx(2 / (1 / c1**2 + 1 / c2**2))
    alike = averaged([bells[1]] * 2, [(upright, upright)] * 2)
    start, t, s = randn(20, 1), torch.tensor(0.7).double(), torch.tensor(0.1).double()
    walked = final_sample(heun_flow(alike, start, torch.linspace(0.7, 0.1, 301).double(), STRAIGHT))
    exact = exact_flow(Mixture([1.0], [[0.0]], [c2]), start, STRAIGHT, t, s)
    torch.testing.assert_close(walked, exact, rtol=1e-3, atol=1e-4)


@pytest.mark.equation("10.29")
def test_a_hybrid_has_the_coarse_part_of_one_and_the_rest_of_the_other():
    x, t = randn(3, 1, 8, 8), torch.tensor(0.4).double()

    def says(shift):
        def denoise(x, t):
            x0 = torch.tanh(x + shift)
            return x0, (x - 0.6 * x0) / 0.4
        return denoise

    def smooth(x):
        return shrunk(x, 4).repeat_interleave(4, -1).repeat_interleave(4, -2)
    x0, eps = hybrid(says(0.5), says(-0.5), smooth)(x, t)
    torch.testing.assert_close(smooth(x0), smooth(says(0.5)(x, t)[0]))
    torch.testing.assert_close(x0 - smooth(x0), says(-0.5)(x, t)[0] - smooth(says(-0.5)(x, t)[0]))
    torch.testing.assert_close(0.6 * x0 + 0.4 * eps, x)


@pytest.mark.equation("10.30")
def test_if_either_message_tells_the_class_the_best_denoiser_needs_no_second():
    """Label and tag each pick one part of a mixture: Bayes' rule with one of them, with the other, and with both."""
    x, t = randn(30, 2), torch.tensor(0.6).double()
    noised = WORLD.noised(STRAIGHT.alpha(t), STRAIGHT.sigma(t))
    for k in range(3):
        message = torch.eye(3).double()[k]  # p(message | part): 1 for part k alone
        means = []
        for likelihood in (message, message, message * message):
            share = noised.share(x) * likelihood
            share = share / share.sum(dim=1, keepdim=True)
            parts = [mixture_denoiser(Mixture([1.0], WORLD.means[i:i + 1], WORLD.stds[i:i + 1]), STRAIGHT)(x, t)[0]
                     for i in range(3)]
            means.append(sum(share[:, i:i + 1] * part for i, part in enumerate(parts)))
        torch.testing.assert_close(means[0], means[2], rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(means[1], means[2], rtol=1e-9, atol=1e-9)


# --- the cameras ----------------------------------------------------------------------------------------------------

def test_a_blur_keeps_greys_and_is_linear_and_spreads_as_wide_as_it_says():
    x, y = randn(2, 3, 12, 12), randn(2, 3, 12, 12, seed=1)
    torch.testing.assert_close(blurred(2 * x - y, 1.5), 2 * blurred(x, 1.5) - blurred(y, 1.5))
    torch.testing.assert_close(blurred(torch.full_like(x, 0.3), 1.5), torch.full_like(x, 0.3))
    point = torch.zeros(1, 1, 41, 41).double()
    point[..., 20, 20] = 1
    across = blurred(point, 2.0)[0, 0].sum(dim=0)
    place = torch.arange(41).double() - 20
    assert float((across * place**2).sum()) == pytest.approx(4.0, rel=0.03)


def test_fewer_pixels_are_means_of_squares():
    x = randn(2, 1, 8, 8)
    torch.testing.assert_close(shrunk(x, 4)[:, :, 1, 0], x[:, :, 4:, :4].mean(dim=(2, 3)))
    with pytest.raises(ValueError, match="squares of 3 x 3 do not fill 8 x 8 pixels"):
        shrunk(x, 3)


def test_a_denoiser_without_a_view_is_refused():
    with pytest.raises(ValueError, match="got 2 denoisers and 1 views"):
        averaged([upright, upright], [(upright, upright)])
