"""The contrastive loss, the two towers, and how they are trained."""

import math

import pytest
import torch
import torch.nn.functional as F

from minidiff.models.clip import MOST, Block, Clip, PictureEncoder
from minidiff.models.text_encoder import TextEncoder
from minidiff.process.contrastive import caption_log_likelihood, info_nce, info_nce_floor, matches
from minidiff.process.flow import flow_path
from minidiff.process.likelihood_guidance import reconstruction_guided


def unit(*shape, seed=0):
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


def small_clip(**encoder):
    torch.manual_seed(0)
    return Clip(TextEncoder(20, width=16, depth=1, heads=2, length=6, **encoder), dim=8, channels=(8, 16), size=8)


TOKENS = torch.tensor([[1, 5, 6, 2, 0, 0], [1, 7, 2, 0, 0, 0], [1, 5, 6, 9, 9, 2]])


# --- the loss -------------------------------------------------------------------------------------------------------

def test_without_repeats_the_loss_is_two_cross_entropies_against_the_diagonal():
    pictures, texts, ids = unit(5, 4), unit(5, 4, seed=1), torch.tensor([3, 1, 4, 0, 9])
    logits = 7.0 * pictures @ texts.T
    right = torch.arange(5)
    expected = (F.cross_entropy(logits, right) + F.cross_entropy(logits.T, right)) / 2
    assert torch.allclose(info_nce(pictures, texts, 7.0, ids), expected, atol=1e-6)


def test_nothing_known_costs_the_logarithm_of_the_batch():
    same = unit(1, 4).expand(6, 4)
    assert math.isclose(float(info_nce(same, same, 10.0, torch.arange(6))), math.log(6), abs_tol=1e-5)


def test_equal_captions_may_be_exchanged_and_the_floor_can_be_reached():
    """Two pictures of one caption: with the identity as target the loss could not fall to the floor."""
    ids = torch.tensor([0, 0, 1, 2])
    places = torch.eye(3)[ids]
    assert torch.allclose(matches(ids).sum(dim=1), torch.ones(4)) and matches(ids)[0].tolist() == [0.5, 0.5, 0, 0]
    assert torch.allclose(info_nce(places, places, 100.0, ids), info_nce_floor(ids), atol=1e-6)
    assert math.isclose(float(info_nce_floor(ids)), 2 * math.log(2) / 4, abs_tol=1e-6)
    pictures, texts, swap = unit(4, 3), unit(4, 3, seed=1), [1, 0, 2, 3]
    as_it_was = info_nce(pictures, texts, 5.0, ids)
    assert torch.allclose(info_nce(pictures, texts[swap], 5.0, ids), as_it_was, atol=1e-6)
    assert not torch.allclose(info_nce(pictures, texts[swap], 5.0, torch.arange(4)),
                              info_nce(pictures, texts, 5.0, torch.arange(4)), atol=1e-3)


def test_both_directions_count_alike():
    pictures, texts, ids = unit(5, 4), unit(5, 4, seed=1), torch.tensor([0, 0, 1, 2, 2])
    assert torch.allclose(info_nce(pictures, texts, 9.0, ids), info_nce(texts, pictures, 9.0, ids), atol=1e-6)


@pytest.mark.parametrize(("pictures", "texts", "ids"), [((3, 4), (4, 4), 3), ((3, 4), (3, 5), 3), ((3, 4), (3, 4), 2)])
def test_shapes_that_do_not_fit_are_named(pictures, texts, ids):
    with pytest.raises(ValueError, match=r"must be \(N, D\)"):
        info_nce(unit(*pictures), unit(*texts), 1.0, torch.arange(ids))


# --- the towers -----------------------------------------------------------------------------------------------------

def test_both_towers_give_unit_vectors_and_padding_changes_nothing():
    clip = small_clip().eval()
    pictures, texts, scale = clip(torch.randn(3, 3, 8, 8), TOKENS)
    for vectors in (pictures, texts):
        assert vectors.shape == (3, 8) and torch.allclose(vectors.norm(dim=1), torch.ones(3), atol=1e-5)
    assert math.isclose(float(scale.detach()), 1 / 0.07, rel_tol=1e-5)
    assert torch.allclose(clip.encode_texts(TOKENS[:1, :4]), texts[:1], atol=1e-6)


@pytest.mark.parametrize("causal", [True, False])
def test_a_causal_encoder_is_read_at_its_last_token(causal):
    """A change of the last word reaches the text's vector; in a causal encoder through the last token alone."""
    clip = small_clip(causal=causal).eval()
    mask = TOKENS != 0
    h = clip.encoder(TOKENS, mask)
    ends = torch.stack([row[m.sum() - 1] if causal else row[m].mean(dim=0) for row, m in zip(h, mask, strict=True)])
    assert torch.allclose(clip.encode_texts(TOKENS), F.normalize(clip.text(ends), dim=1), atol=1e-6)


def test_a_block_starts_as_the_identity_and_places_are_told_apart():
    torch.manual_seed(0)
    x = torch.randn(2, 8, 4, 4)
    assert torch.equal(Block(8)(x), x)
    net, left = PictureEncoder(8, channels=(8, 16), size=8), torch.zeros(1, 3, 8, 8)
    left[..., :4] = 1
    assert not torch.allclose(net(left), net(left.flip(-1)), atol=1e-2)


def test_the_scale_stays_below_its_bound_at_a_huge_learning_rate_and_can_come_back():
    clip = small_clip()
    ids = torch.arange(3)
    optimizer = torch.optim.SGD([clip.log_scale], lr=500.0)
    for _ in range(20):  # the towers are free to be right, so the loss wants an ever larger scale
        optimizer.zero_grad()
        right = torch.eye(3, 8)
        info_nce(right, right, clip.scale, ids).backward()
        optimizer.step()
        assert float(clip.scale.detach()) <= MOST * 1.0001
    with torch.no_grad():
        clip.log_scale.fill_(9.0)
    assert math.isclose(float(clip.scale.detach()), MOST, rel_tol=1e-4)
    wrong = torch.eye(3, 8)[[1, 2, 0]]
    info_nce(torch.eye(3, 8), wrong, clip.scale, ids).backward()
    assert clip.log_scale.grad > 0  # descent makes it smaller


# --- guidance -------------------------------------------------------------------------------------------------------

def test_clip_guidance_moves_the_picture_towards_the_text_and_scale_zero_does_not():
    path, clip = flow_path(), small_clip().eval().requires_grad_(False)
    text = clip.encode_texts(TOKENS[:1])[0]

    def denoiser(x, t):
        alpha, sigma = path.at(t, x)
        x0 = alpha * x / (alpha**2 + sigma**2)
        return x0, (x - alpha * x0) / sigma

    x, t = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0)), torch.tensor(0.6)
    plain = denoiser(x, t)

    def guided(scale):
        return reconstruction_guided(denoiser, caption_log_likelihood(clip.encode_pictures, text, scale), path)(x, t)

    assert torch.allclose(guided(0.0)[0], plain[0], atol=1e-6)
    before = clip.encode_pictures(plain[0]) @ text
    assert (clip.encode_pictures(guided(3.0)[0]) @ text > before).all()


def test_guidance_follows_the_difference_quotient_of_the_cosine():
    clip = small_clip().double().eval().requires_grad_(False)
    text, x = clip.encode_texts(TOKENS[:1])[0], torch.randn(1, 3, 8, 8, dtype=torch.float64)
    log_likelihood = caption_log_likelihood(clip.encode_pictures, text, 2.5)
    x.requires_grad_()
    gradient, = torch.autograd.grad(log_likelihood(x, None).sum(), x)
    step = torch.randn(x.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 1e-5
    quotient = (log_likelihood(x + step, None) - log_likelihood(x - step, None)) / 2
    assert torch.allclose(quotient, (gradient * step).sum(), rtol=1e-5)
    assert torch.allclose(log_likelihood(x, None), 2.5 * clip.encode_pictures(x) @ text)
