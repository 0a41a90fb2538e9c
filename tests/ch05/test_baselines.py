"""The recipes of chapter 05 on a handful of strokes, and what their losses must be."""

import math
from dataclasses import replace

import pytest
import torch

from minidiff.data.load import load
from minidiff.recipes.recipe import sample
from minidiff.recipes.accuracy_score import classification_accuracy_score
from minidiff.recipes.baselines import KINDS, build, draw, enlarged, gan_loss, small, vae_loss
from minidiff.training.fit import fit


@pytest.fixture(scope="module")
def strokes():
    return load("strokes", "train", n=1200)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_small_pictures_are_means_of_four_pixels_and_enlarged_ones_have_their_size(strokes):
    x = strokes[0][:3]
    assert torch.allclose(small(x)[:, :, 2, 5], x[:, :, 4:6, 10:12].mean(dim=(2, 3)))
    assert enlarged(small(x)).shape == x.shape
    assert torch.allclose(enlarged(torch.full((1, 1, 14, 14), 0.3)), torch.tensor(0.3))


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_trains_and_draws(kind, strokes, monkeypatch):
    tiny = {"net": {"channels": [8, 8], "patch": 2, "width": 8}, "batch": 16, "fit": {"lr": 3e-3}}
    monkeypatch.setitem(KINDS, "diffusion", replace(KINDS["diffusion"], presets={"cpu": tiny}))
    run = build(kind, small(strokes[0]))
    fitted = fit(run.net, run.loss_fn, run.batch_at, steps=12, **run.fit | {"warmup": 2})
    assert len(set(fitted.losses)) == 12
    assert run.config.items() >= {"recipe": kind, "seed": 0, "data": "given"}.items()
    x = draw(kind, fitted.ema, 6, seed=1, steps=3)
    assert x.shape == (6, 1, 14, 14) and x.abs().max() <= 1 and not x.requires_grad
    assert torch.equal(x, draw(kind, fitted.ema, 6, seed=1, steps=3))
    assert not torch.equal(x, draw(kind, fitted.ema, 6, seed=2, steps=3))
    torch.testing.assert_close(draw(kind, fitted.ema, 2, seed=1, steps=3), x[:2], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind, evaluations", [("vae", 1), ("gan", 1), ("diffusion", 3)])
def test_what_a_picture_costs(kind, evaluations):
    class Counting(torch.nn.Module):
        asked = 0

        def forward(self, x, *rest):
            self.asked += 1
            return torch.zeros(len(x), 196).view(-1, *((1, 14, 14) if kind == "diffusion" else (196,)))
        decode = draw = forward
    net = Counting()
    assert sample(KINDS[kind], net, 4, steps=3 if kind == "diffusion" else None).shape == (4, 1, 14, 14)
    assert net.asked == evaluations


def test_the_kinds_learn_small_pictures_of_the_data_that_they_are_told_to(few_strokes):
    images, _ = KINDS["gan"].data({"data": "strokes"})
    assert images.shape == (256, 1, 14, 14) and images.abs().max() <= 1


def test_another_kind_is_refused(strokes):
    with pytest.raises(ValueError, match="one of vae, gan, diffusion, got 'flow'"):
        build("flow", strokes[0])


def test_the_vae_learns_to_code(strokes):
    run = build("vae", small(strokes[0]))
    fitted = fit(run.net, run.loss_fn, run.batch_at, steps=150, **run.fit | {"warmup": 20})
    assert fitted.losses[-1] < fitted.losses[0] - 50  # nats a picture


def test_a_critic_that_knows_nothing_costs_three_log_two():
    class Blind(torch.nn.Module):
        def forward(self, x, z):
            nothing = 0 * x.flatten(1).sum(dim=1, keepdim=True)
            return nothing, nothing, nothing
    loss, _ = gan_loss(Blind(), torch.ones(4, 1, 14, 14), generator())
    assert loss.item() == pytest.approx(3 * math.log(2))


def test_the_penalty_is_the_squared_slope_at_real_pictures():
    class Steep(torch.nn.Module):
        def forward(self, x, z):
            slope = 3 * x.flatten(1).sum(dim=1, keepdim=True)
            return slope, 0 * slope, 0 * slope
    x = torch.zeros(4, 1, 2, 2)
    assert gan_loss(Steep(), x, generator(), penalty=0.0)[0].item() == pytest.approx(3 * math.log(2), rel=1e-5)
    assert gan_loss(Steep(), x, generator(), penalty=2.0)[0].item() == pytest.approx(3 * math.log(2) + 9 * 4, rel=1e-5)


def test_the_loss_of_the_vae_is_nats_a_picture_whatever_the_batch():
    class Fixed(torch.nn.Module):
        def forward(self, x, eps):
            return x + 0.1, torch.ones_like(eps), torch.zeros_like(eps)
    for B in (2, 50):
        loss, logs = vae_loss(Fixed(), torch.zeros(B, 1, 14, 14), generator())
        assert loss.item() == pytest.approx(98 * math.log(0.01) + 16 / 2, rel=1e-5)
        assert logs["kl"] == pytest.approx(8) and logs["mse"] == pytest.approx(0.01, rel=1e-5)


def test_the_accuracy_score_is_high_for_real_digits_and_chance_for_wrong_labels(strokes):
    images, labels = strokes
    test = load("strokes", "test", n=300)
    assert classification_accuracy_score(images, labels, *test, steps=60) > 0.6
    assert classification_accuracy_score(images, (labels + 1) % 10, *test, steps=60) < 0.2
