"""Equations 11.11 to 11.18: the loss of captioned pictures, parts and wholes, swapped words, maps, unCLIP."""

import json
from itertools import product
from math import prod

import pytest
import torch

from minidiff.data.shapes_words import understand
from minidiff.evaluation.attention import map_iou
from minidiff.evaluation.mixture import Mixture
from minidiff.evaluation.shapes_judge import obeys
from minidiff.evaluation.shapes_read import Reading, Seen
from minidiff.process.contrastive import caption_log_likelihood
from minidiff.process.flow import FLOW, flow_path
from minidiff.process.likelihood_guidance import reconstruction_guided
from minidiff.process.targets import X0
from minidiff.process.weighted_loss import weighted_loss
from minidiff.recipes.captions import caption_loss
from tests.conftest import ROOT

STRAIGHT = flow_path()


def gen(seed=0):
    return torch.Generator().manual_seed(seed)


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=gen(seed), dtype=torch.float64)


@pytest.mark.equation("11.11")
def test_the_loss_is_the_error_of_the_picture_over_the_time():
    config = {"target": "x0", "least_time": 0.2, "uncaptioned": 0.0, "words": ["red", "star"], "length": 5}
    batch, seen = {"x": randn(64, 3, 4, 4).float(), "tokens": torch.full((64, 5), 4)}, {}

    def net(x_t, t, tokens):
        seen.update(x_t=x_t, t=t, tokens=tokens)
        return 0.3 * x_t

    loss, _ = caption_loss(config)(net, batch, gen(1))
    t = seen["t"].double() / 1000
    errors = (0.3 * seen["x_t"] - batch["x"]).double().square().flatten(1).mean(dim=1)
    assert float(loss) == pytest.approx(float((errors / t.clamp(min=0.2)).mean()), rel=1e-5)
    eps = (seen["x_t"].double() - (1 - t)[:, None, None, None] * batch["x"]) / t[:, None, None, None]
    assert abs(eps[t > 0.1].std() - 1) < 0.05 and torch.equal(seen["tokens"], batch["tokens"])


@pytest.mark.equation("11.11")
def test_the_plain_loss_of_the_velocity_weighs_the_picture_by_one_over_t_squared():
    x, times = randn(40, 5), lambda n, generator: torch.linspace(0.1, 1, n, dtype=torch.float64)
    _, of_x0 = weighted_loss(lambda x_t, t: 0.3 * x_t, x, STRAIGHT, X0, gen(2), times)
    _, of_v = weighted_loss(lambda x_t, t: 700 * x_t / t[:, None], x, STRAIGHT, FLOW, gen(2), times)
    torch.testing.assert_close(of_v["each"].double(), of_x0["each"].double() / of_x0["t"] ** 2, rtol=1e-4, atol=1e-6)


@pytest.mark.equation("11.12")
def test_with_a_wrong_number_of_objects_the_judge_finds_no_part_right():
    caption = understand("a small red circle left of a large blue square")
    one, other = Seen("red", "circle", "small", 8.0, 16.0), Seen("blue", "square", "large", 24.0, 16.0)
    lost = obeys(Reading((one,), frozenset()), caption)
    assert not (lost.objects or lost.colours or lost.sizes or lost.relations)
    assert obeys(Reading((one, other), frozenset()), caption).whole


@pytest.mark.equation("11.12")
def test_the_plain_product_counts_a_lost_object_once_for_each_part():
    """By adding up over all outcomes of a count and four parts that err independently once it is right."""
    P_n, parts = 0.6, (0.9, 0.8, 0.7, 0.5)
    outcomes = [((0,) * 4, 1 - P_n)] + [
        (right, P_n * prod(p if r else 1 - p for p, r in zip(parts, right, strict=True)))
        for right in product((0, 1), repeat=4)]
    assert sum(p for _, p in outcomes) == pytest.approx(1)
    whole = sum(p for right, p in outcomes if all(right))
    single = [sum(p for right, p in outcomes if right[k]) for k in range(4)]
    assert whole == pytest.approx(P_n * prod(parts))
    assert prod(single) == pytest.approx(P_n**4 * prod(parts)) and whole > 4 * prod(single)


@pytest.mark.equation("11.13")
@pytest.mark.parametrize("t", [0.3, 0.7])
def test_a_perfect_denoiser_loses_what_the_words_change(t):
    """Two captions, one bell each; D is told the other one. By adding up over a grid of pictures and noises."""
    line = torch.linspace(-7, 7, 1201, dtype=torch.float64)
    bell = torch.softmax(-line**2 / 2, dim=0)
    of = {0: (-0.6, 0.3), 1: (0.9, 0.8)}  # mean and standard deviation

    def D(x_t, c):
        m, s = of[c]
        gain = (1 - t) * s**2 / ((1 - t) ** 2 * s**2 + t**2)
        return m + gain * (x_t - (1 - t) * m)

    for c, other in ((0, 1), (1, 0)):
        m, s = of[c]
        x0 = (m + s * line)[:, None]
        x_t, weight = (1 - t) * x0 + t * line, bell[:, None] * bell

        def mean(square, weight=weight):
            return float((weight * square).sum())
        more = mean((D(x_t, other) - x0) ** 2) - mean((D(x_t, c) - x0) ** 2)
        assert more == pytest.approx(mean((D(x_t, other) - D(x_t, c)) ** 2), rel=1e-6) and more > 0.05


@pytest.mark.equation("11.14")
def test_iou_follows_from_the_hits_and_a_map_that_knows_nothing_has_its_share():
    masks = torch.zeros(300, 20, 20, dtype=torch.bool)
    masks[:, 3:9, 5:15] = True
    maps = torch.rand(300, 20, 20, generator=gen(3))
    k = masks[0].sum()
    chosen = torch.stack([m >= m.flatten().topk(int(k)).values[-1] for m in maps])
    hits = (chosen & masks).flatten(1).sum(dim=1)
    torch.testing.assert_close(map_iou(maps, masks), hits / (2 * k - hits))
    f = float(k) / 400
    assert float(map_iou(maps, masks).mean()) == pytest.approx(f / (2 - f), rel=0.03)


@pytest.mark.equation("11.15")
def test_clip_pulls_the_noise_by_the_gradient_of_its_cosine():
    """By central differences through the denoiser, number by number."""
    f = torch.nn.functional.normalize(randn(3, 5, seed=4), dim=1)
    W, x, t, s, h = randn(6, 5, seed=5), randn(3, 6), torch.tensor(0.4).double(), 7.0, 1e-6

    def encode(x0):
        return torch.nn.functional.normalize(torch.tanh(x0) @ W, dim=1)

    def denoiser(x, t):
        x0 = torch.sin(x) + 0.2 * x
        return x0, (x - (1 - t) * x0) / t

    def cosine(x):
        return (encode(denoiser(x, t)[0]) * f).sum(dim=1)

    gradient = torch.stack([(cosine(x + h * e) - cosine(x - h * e)) / (2 * h) for e in torch.eye(6).double()], dim=1)
    x0, eps = reconstruction_guided(denoiser, caption_log_likelihood(encode, f, s), STRAIGHT)(x, t)
    torch.testing.assert_close(eps, denoiser(x, t)[1] - t * s * gradient, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close((1 - t) * x0 + t * eps, x)


P_E, CENTRES, SPREADS = [0.5, 0.3, 0.2], [-1.0, 0.5, 2.0], [0.3, 0.2, 0.5]  # p(e | c), and a decoder's bell for each e


def two_steps(n, seed=0):
    """n draws: first e from the prior, then x from the decoder."""
    e = torch.multinomial(torch.tensor(P_E), n, replacement=True, generator=gen(seed))
    return torch.tensor(CENTRES).double()[e] + torch.tensor(SPREADS).double()[e] * randn(n, seed=seed + 1)


@pytest.mark.equation("11.16")
def test_two_draws_in_a_row_draw_from_the_integral():
    """The share below each of some points is that of the mixture, within four standard errors."""
    n, line = 40_000, torch.linspace(-6, 8, 14_001, dtype=torch.float64)
    density = Mixture(P_E, [[m] for m in CENTRES], SPREADS).log_density(line[:, None]).exp()
    below = (density * (line[1] - line[0])).cumsum(dim=0)
    x = two_steps(n)
    for point in (-1.2, -0.8, 0.4, 0.7, 1.5, 2.4):
        p = float(below[(line <= point).sum() - 1])
        assert abs(float((x <= point).double().mean()) - p) < 4 * (p * (1 - p) / n) ** 0.5 + 1e-3


@pytest.mark.equation("11.17")
def test_a_map_loses_the_variance_that_the_vector_decides():
    p, m, s = (torch.tensor(v).double() for v in (P_E, CENTRES, SPREADS))
    within, between = float((p * s**2).sum()), float((p * m**2).sum() - (p * m).sum() ** 2)
    x = two_steps(200_000, seed=7)
    assert float(x.var()) == pytest.approx(within + between, rel=0.02) and between > 4 * within
    mapped = float((p * m).sum()) + float((p * s**2).sum().sqrt()) * randn(200_000, seed=9)  # one e for the caption
    assert float(mapped.var()) == pytest.approx(within, rel=0.02)


@pytest.mark.equation("11.18")
def test_a_draw_is_less_like_another_draw_than_like_their_mean():
    e = torch.nn.functional.normalize(randn(5, 4) + torch.tensor([1.0, 0.5, 0.0, 0.0]).double(), dim=1)
    p = torch.tensor([0.1, 0.3, 0.2, 0.25, 0.15]).double()
    m = p @ e
    pairs, to_mean = float(p @ (e @ e.T) @ p), float(p @ (e @ m) / m.norm())
    assert pairs == pytest.approx(float(m.norm() ** 2)) and to_mean == pytest.approx(float(m.norm()))
    assert pairs < to_mean
    table = json.loads((ROOT / "benchmarks" / "clip.json").read_text())["prior"]["held out"]
    one, many = table["one sample"]["cosine"], table["mean of 16 samples"]["cosine"]
    assert one < many < one**0.5 + 0.01
