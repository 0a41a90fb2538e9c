"""Edits: what is kept stays, to the bit; what is new agrees with it; strength says how much is new."""

import pytest
import torch

from minidiff.process.continuous import vp_path
from minidiff.samplers.ddim import ddim
from minidiff.samplers.edit import half_way, inpaint, noised_again, tail
from minidiff.samplers.step import final_sample

PATH = vp_path()
TIMES = torch.cat([torch.linspace(1, 0.01, 40, dtype=torch.float64), torch.zeros(1).double()])
RHO = 0.9  # of two pixels that are alike: x0 ~ N(0, [[1, RHO], [RHO, 1]])


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def pair_denoiser(x, t):
    """The exact denoiser of two correlated pixels."""
    alpha, sigma = PATH.alpha(t), PATH.sigma(t)
    cov = torch.tensor([[1.0, RHO], [RHO, 1.0]], dtype=torch.float64)
    gain = alpha * cov @ torch.linalg.inv(alpha**2 * cov + sigma**2 * torch.eye(2).double())
    x0 = x @ gain.T
    return x0, (x - alpha * x0) / sigma


def filled(repeats, n=3000, value=1.5):
    picture = torch.full((n, 2), value, dtype=torch.float64)
    mask = torch.tensor([1.0, 0.0], dtype=torch.float64)
    x = torch.randn(n, 2, generator=generator(), dtype=torch.float64)
    return final_sample(inpaint(pair_denoiser, x, TIMES, PATH, picture, mask, generator(1), repeats))


def test_the_kept_pixels_are_the_pictures_own_to_the_bit():
    assert (filled(1, n=10)[:, 0] == 1.5).all()


def test_pasting_alone_does_not_make_the_regions_agree_and_repeats_do():
    """Given x_1 = 1.5, the exact mean of x_2 is RHO * 1.5; pasting alone stays short of it, repeats come near."""
    once, often = (float(filled(repeats)[:, 1].mean()) for repeats in (1, 10))
    assert abs(often - RHO * 1.5) < 0.06
    assert RHO * 1.5 - once > 2 * abs(often - RHO * 1.5)


def test_going_up_has_the_law_of_the_forward_process():
    s, t = torch.tensor([0.3, 0.6], dtype=torch.float64)
    x0 = torch.full((200_000,), 0.7, dtype=torch.float64)
    x_s = PATH.mix(x0, torch.randn(200_000, generator=generator(), dtype=torch.float64), s)
    x_t = noised_again(x_s, s, t, PATH, generator(1))
    assert float(x_t.mean()) == pytest.approx(float(0.7 * PATH.alpha(t)), abs=0.01)
    assert float(x_t.var()) == pytest.approx(float(PATH.sigma(t) ** 2), rel=0.02)


@pytest.mark.parametrize("strength, steps", [(1.0, 40), (0.5, 20), (0.001, 1)])
def test_strength_is_the_share_of_the_steps_that_are_walked(strength, steps):
    assert torch.equal(tail(TIMES, strength), TIMES[40 - steps:])


def test_starting_half_way_is_the_tail_of_the_full_run():
    x = torch.randn(5, 2, generator=generator(), dtype=torch.float64)
    states = [x, *(x for _, x, _ in ddim(pair_denoiser, x, TIMES, PATH))]
    assert torch.equal(final_sample(ddim(pair_denoiser, states[20], tail(TIMES, 0.5), PATH)), states[-1])


def test_more_strength_leaves_less_of_the_picture():
    picture = torch.randn(4000, 2, generator=generator(3), dtype=torch.float64)
    left = []
    for strength in (0.2, 0.6, 1.0):
        x, times = half_way(picture, TIMES, PATH, strength, generator(4))
        end = final_sample(ddim(pair_denoiser, x, times, PATH))
        left.append(float(torch.corrcoef(torch.stack([end.flatten(), picture.flatten()]))[0, 1]))
    assert left[0] > 0.7 > 0.3 > left[1] > 0.08 > 0.05 > abs(left[2])


@pytest.mark.parametrize("wrong", [0, -0.1, 1.1, float("nan")])
def test_a_strength_out_of_range_is_refused(wrong):
    with pytest.raises(ValueError, match=r"strength must lie in \(0, 1\]"):
        tail(TIMES, wrong)


def test_no_repeats_at_all_are_refused():
    with pytest.raises(ValueError, match="repeats must be at least 1, got 0"):
        filled(0, n=2)
