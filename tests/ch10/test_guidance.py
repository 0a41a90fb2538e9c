"""Classifier-free guidance, its interval, and guidance by a worse model: conventions to the bit, and exact worlds."""

import pytest
import torch

from minidiff.evaluation.convergence import mixture_denoiser
from minidiff.evaluation.mixture import Mixture
from minidiff.process.convert import convert
from minidiff.process.flow import FLOW, flow_path
from minidiff.process.guidance import autoguided, cfg, interval
from minidiff.process.targets import EPS, V, X0, from_target, to_target

PATH = flow_path()
BOTH = mixture_denoiser(Mixture([0.5, 0.5], [[-1.0], [1.0]], [0.5, 0.5]), PATH)
ONE = mixture_denoiser(Mixture([1.0], [[1.0]], [0.5]), PATH)
OTHER = mixture_denoiser(Mixture([1.0], [[-1.0]], [0.5]), PATH)


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class Asked:
    """The exact denoiser of a label, 0 for none; it remembers what it was asked."""

    def __init__(self):
        self.labels = []

    def __call__(self, x, t, label):
        self.labels.append(label)
        return {0: BOTH, 1: ONE, 2: OTHER}[label](x, t)


def none(cond):
    return cond | {"label": 0}


@pytest.mark.parametrize("label", [1, 2])
def test_w_0_is_the_free_answer_and_w_1_the_conditional_one_to_the_bit_and_at_one_evaluation(label):
    x, t = randn(20, 1), torch.tensor(0.4)
    for w, expected in ((0, BOTH(x, t)), (1, Asked()(x, t, label)), (1.0, Asked()(x, t, label))):
        ask = Asked()
        assert all(torch.equal(a, b) for a, b in zip(cfg(ask, w, none)(x, t, label=label), expected))
        assert len(ask.labels) == 1


def test_other_weights_ask_twice_and_extrapolate():
    x, t, ask = randn(20, 1), torch.tensor(0.4), Asked()
    x0, eps = cfg(ask, 3.0, none)(x, t, label=1)
    assert sorted(ask.labels) == [0, 1]
    torch.testing.assert_close(x0, BOTH(x, t)[0] + 3 * (ONE(x, t)[0] - BOTH(x, t)[0]))
    torch.testing.assert_close(PATH.mix(x0, eps, t), x)


@pytest.mark.parametrize("target", [EPS, X0, V, FLOW], ids=lambda target: target.name)
def test_it_is_the_same_whatever_the_net_predicts(target):
    x, t = randn(20, 1), torch.tensor(0.4)
    alpha, sigma = PATH.alpha(t), PATH.sigma(t)
    cond, free = (to_target(target, *pair, alpha, sigma) for pair in (ONE(x, t), BOTH(x, t)))
    expected = from_target(target, free + 2.5 * (cond - free), x, alpha, sigma)
    for ours, theirs in zip(cfg(Asked(), 2.5, none)(x, t, label=1), expected):
        torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(convert(cond, x, alpha, sigma, target, X0), ONE(x, t)[0])


def test_the_null_condition_is_asked_for_whatever_the_condition_was():
    x, t = randn(20, 1), torch.tensor(0.4)
    first, second = (cfg(Asked(), 0, none)(x, t, label=label) for label in (1, 2))
    assert torch.equal(first[0], second[0])


def test_rows_are_guided_alone():
    def denoiser(x, t, label):
        x0 = torch.tanh(x) * label[:, None]
        return x0, (x - PATH.alpha(t) * x0) / PATH.sigma(t)

    x, t, label = randn(5, 3), torch.tensor(0.4), torch.arange(5)
    ask = cfg(denoiser, 2.0, lambda cond: {"label": 0 * cond["label"]})
    whole = ask(x, t, label=label)[0]
    for i in range(5):
        torch.testing.assert_close(ask(x[i:i + 1], t, label=label[i:i + 1])[0], whole[i:i + 1])


def test_outside_of_the_interval_there_is_no_guidance_and_no_second_evaluation():
    x = randn(20, 1)
    for t, times in ((0.1, 1), (0.2, 2), (0.5, 2), (0.8, 2), (0.81, 1)):
        ask = Asked()
        cfg(ask, interval(3.0, 0.2, 0.8), none)(x, torch.tensor(t, dtype=torch.float64), label=1)
        assert len(ask.labels) == times, t


def test_an_interval_upside_down_is_refused():
    with pytest.raises(ValueError, match="from low to a higher time, got 0.8 and 0.2"):
        interval(3.0, 0.8, 0.2)


def test_autoguidance_undoes_an_error_that_the_worse_model_makes_more_of():
    """Denoisers of N(0, v) with v too wide, 1.5 and 2 times: the guided one is nearer to the truth than the better."""
    def wide(v):
        return mixture_denoiser(Mixture([1.0], [[0.0]], [v**0.5]), PATH)

    x, t = randn(200, 1), torch.tensor(0.7)
    good, worse, true = wide(1.5), wide(2.0), wide(1.0)(x, t)[0]
    guided, pair = autoguided(good, worse, 2.0)(x, t), good(x, t)
    assert (guided[0] - true).abs().mean() < 0.5 * (pair[0] - true).abs().mean()
    torch.testing.assert_close(PATH.mix(*guided, t), x)
    assert all(torch.equal(a, b) for a, b in zip(autoguided(good, worse, 1)(x, t), pair))
