"""What a denoiser hands on: picture and noise that make x again, clipped or not, and what the net is told."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minidiff.process.denoiser import clipped, denoiser_of
from minidiff.process.path import discrete_path
from minidiff.process.schedules import alpha_bar_of, as_table
from minidiff.process.targets import EPS, V, X0
from tests.ch04.test_samplers import LONG, PATH, T, normal


@pytest.mark.parametrize("target", [EPS, X0, V], ids=lambda target: target.name)
@pytest.mark.parametrize("clip", [False, True])
@given(t=st.integers(1, T))
@settings(max_examples=20)
def test_picture_and_noise_of_a_denoiser_always_make_x_again(target, clip, t):
    x = 3 * normal(4, 1, 3, 3)
    denoiser = denoiser_of(lambda x, t: normal(4, 1, 3, 3, seed=5), PATH, target)
    x0, eps = clipped(denoiser, PATH)(x, t) if clip else denoiser(x, t)
    torch.testing.assert_close(PATH.alpha(t) * x0 + PATH.sigma(t) * eps, x, rtol=1e-9, atol=1e-9)
    if clip:
        assert x0.min() >= -1 and x0.max() <= 1


def test_clipping_changes_what_is_sampled_only_where_the_picture_leaves_the_range():
    x = torch.tensor([0.1, 5.0], dtype=torch.float64)
    denoiser = denoiser_of(lambda x, t: 0 * x, PATH, EPS)
    plain, kept = denoiser(x, 10), clipped(denoiser, PATH)(x, 10)
    assert torch.equal(plain[0][0], kept[0][0]) and torch.allclose(plain[1][0], kept[1][0], atol=1e-15)
    assert plain[0][1] > 1 and kept[0][1] == 1 and kept[1][1] > 0


def test_a_clipped_denoiser_takes_other_bounds_and_hands_every_condition_on():
    heard = []
    kept = clipped(lambda x, t, **cond: heard.append(cond) or (3 * x, x), PATH, low=-0.5, high=2.0)
    x0, _ = kept(torch.tensor([-1.0, 0.1, 1.0]), 10, label=7)
    torch.testing.assert_close(x0, torch.tensor([-0.5, 0.3, 2.0]))
    assert heard == [{"label": 7}]


def test_a_network_is_told_the_time_on_the_scale_of_1000_and_every_condition():
    heard = {}

    def net(x, t, **cond):
        heard.update(cond, t=t)
        return x
    denoiser_of(net, PATH, EPS)(normal(2, 3), 15, label=7)
    assert float(heard["t"]) == pytest.approx(500) and heard["label"] == 7
    denoiser_of(net, LONG, EPS)(normal(2, 3), torch.tensor([1, 1000]))
    assert heard["t"].tolist() == [1, 1000]


def test_predicting_noise_from_pure_noise_is_refused_and_predicting_v_is_not():
    with_nothing_left = discrete_path(alpha_bar_of(as_table(torch.tensor([0.1, 0.5, 1.0]))))
    with pytest.raises(ValueError, match="eps .*alpha = 0"):
        denoiser_of(lambda x, t: x, with_nothing_left, EPS)(normal(2, 3), 3)
    x0, eps = denoiser_of(lambda x, t: -x, with_nothing_left, V)(normal(2, 3), 3)
    assert torch.equal(x0, normal(2, 3)) and torch.equal(eps, normal(2, 3))
