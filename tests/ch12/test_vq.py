"""Codes in place of numbers: the nearest one, the gradient around the rounding, and codes that nobody chooses."""

import math
from dataclasses import replace

import pytest
import torch

from minidiff.models.vq import VQVAE, VectorQuantiser, codes_in_use, straight_through
from minidiff.process.autoencoding import vq_loss
from minidiff.recipes import emoji_vq
from minidiff.recipes.recipe import build
from minidiff.training.fit import fit
from tests.nets import normal


def test_each_place_takes_the_nearest_of_all_codes():
    torch.manual_seed(0)
    codes = VectorQuantiser(7, 3)
    z = normal(2, 3, 4, 5)
    q, indices = codes(z)
    assert q.shape == z.shape and indices.shape == (2, 4, 5)
    for b, i, j in ((0, 0, 0), (1, 3, 2), (0, 2, 4)):
        far = [float((z[b, :, i, j] - code).square().sum()) for code in codes.codes.detach()]
        assert int(indices[b, i, j]) == far.index(min(far))
        assert torch.equal(q[b, :, i, j], codes.codes[indices[b, i, j]])


def test_distances_are_not_rounded_under_autocast():
    codes = VectorQuantiser(2, 1)
    with torch.no_grad():
        codes.codes.copy_(torch.tensor([[1.0], [1.001]]))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert codes.nearest(torch.full((1, 1, 1, 1), 1.0008)).item() == 1


def test_the_gradient_goes_straight_through_unchanged():
    z, q = normal(2, 3).requires_grad_(), normal(2, 3, seed=2).requires_grad_()
    y, slope = straight_through(z, q), normal(2, 3, seed=3)
    torch.testing.assert_close(y, q)
    y.backward(slope)
    assert torch.equal(z.grad, slope) and q.grad is None


def test_what_the_decoder_asks_for_reaches_the_encoder_and_no_code():
    torch.manual_seed(0)
    net = VQVAE(3, codes=5, latent=2, channels=(8,), patch=2)
    picture, z, q, _ = net(normal(2, 3, 6, 10))
    picture.square().sum().backward()
    assert net.encoder[1].weight.grad.abs().sum() > 0 and net.quantiser.codes.grad is None
    assert picture.shape == (2, 3, 6, 10) and z.shape == q.shape == (2, 2, 3, 5)


def test_the_loss_moves_codes_to_latents_and_a_quarter_as_hard_latents_to_codes():
    z, q = torch.tensor([[1.0, 2.0]]).requires_grad_(), torch.tensor([[0.0, 0.0]]).requires_grad_()
    x, picture = torch.zeros(1, 4), torch.full((1, 4), 2.0)
    loss, logs = vq_loss(picture, x, z, q)
    assert float(loss.detach()) == 4 + 1.25 * 2.5 and float(logs["mse"]) == 4 and float(logs["committed"]) == 2.5
    loss.backward()
    assert q.grad.tolist() == [[-1, -2]] and z.grad.tolist() == [[0.25, 0.5]]


def test_the_pictures_of_indices_are_those_of_the_forward_pass():
    torch.manual_seed(0)
    net = VQVAE(3, codes=5, latent=2, channels=(8,), patch=2).eval()
    picture, *_, indices = net(normal(2, 3, 6, 10))
    torch.testing.assert_close(net.decode(indices), picture, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("indices, share, perplexity", [
    ([0, 1, 2, 3] * 5, 1.0, 4.0), ([2] * 9, 0.25, 1.0), ([0, 0, 1, 1], 0.5, 2.0), ([0, 0, 0, 1], 0.5, 1.7548)])
def test_the_perplexity_of_a_code(indices, share, perplexity):
    found = codes_in_use(torch.tensor(indices), 4)
    assert found == pytest.approx((share, perplexity), rel=1e-4)
    assert math.log2(found[1]) <= 2


def test_dead_codes_are_moved_to_places_of_the_batch_and_the_others_stay():
    torch.manual_seed(0)
    codes = VectorQuantiser(4, 2)
    with torch.no_grad():
        codes.codes.copy_(torch.tensor([[0.0, 0.0], [1.0, 1.0], [50.0, 50.0], [-70.0, 0.0]]))
    z = normal(3, 2, 4, 4)
    before, moved = codes.codes.detach().clone(), []
    for step in range(300):
        _, indices = codes(z)
        moved.append(codes.revive(z, indices, torch.Generator().manual_seed(step)))
    assert sum(moved[:100]) == 0  # a code has some batches to show what it is good for: 0.99^230 is a tenth
    assert moved[229] == 2 and torch.equal(codes.codes[:2], before[:2])
    places = z.movedim(1, 3).reshape(-1, 2)
    assert all((places == code).all(dim=1).any() for code in codes.codes.detach()[2:])
    assert codes_in_use(codes(z)[1], 4)[0] == 1.0


def test_reviving_depends_on_the_generator_alone():
    def codes(seed):
        torch.manual_seed(0)
        made = VectorQuantiser(50, 2)
        z = normal(2, 2, 4, 4)
        made.revive(z, made(z)[1], torch.Generator().manual_seed(seed), decay=0.0)
        return made.codes.detach()
    assert torch.equal(codes(1), codes(1)) and not torch.equal(codes(1), codes(2))


TINY = {"net": {"codes": 64, "latent": 4, "channels": [8, 16], "blocks": 1, "patch": 2}, "batch": 16,
        "fit": {"lr": 5e-3, "warmup": 3}}


def test_the_recipe_learns_and_revived_codes_are_used():
    figures = {}
    for revive in (True, False):
        run = build(replace(emoji_vq.RECIPE, presets={"cpu": TINY}), revive=revive)
        batch = run.batch_at(0)
        fitted = fit(run.net, run.loss_fn, run.batch_at, steps=50, **run.fit)
        figures[revive] = emoji_vq.figures(fitted.net)
        assert sum(fitted.losses[-5:]) < 0.7 * sum(fitted.losses[:5])
        assert figures[revive]["bits a picture"] == 64 * 6
        run.net.eval()
        before = run.net.quantiser.use.clone()
        run.loss_fn(run.net, batch, torch.Generator().manual_seed(0))
        assert torch.equal(run.net.quantiser.use, before)  # only training moves codes
    assert figures[True]["codes"] == 64 and figures[True]["perplexity"] <= 64 * figures[True]["in use"]
