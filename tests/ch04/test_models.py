"""The layers of the U-Net, one by one: the time embedding, the blocks and attention."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from minidiff.models.classifier import Classifier
from minidiff.models.embedding import Embedding, sin_embed
from minidiff.models.layers import Attention2d, Downsample, GroupNorm, ResBlock, Upsample
from tests.nets import awake, normal


# --- the time -------------------------------------------------------------------------------------------------------

@given(t=st.floats(0, 1000, width=32), half=st.integers(1, 64))
def test_the_embedding_is_the_published_one_cosines_first(t, half):
    angles = [t * 10_000 ** (-i / half) for i in range(half)]  # DiT and ADM: divided by half, not by half - 1
    expected = [math.cos(a) for a in angles] + [math.sin(a) for a in angles]
    torch.testing.assert_close(sin_embed(torch.tensor(t), 2 * half), torch.tensor(expected), rtol=0, atol=2e-4)


def test_the_embedding_is_that_of_diffusers():
    embeddings = pytest.importorskip("diffusers.models.embeddings")
    t = torch.tensor([0.0, 1.0, 2.5, 500.0, 999.0, 1000.0])
    theirs = embeddings.get_timestep_embedding(t, 64, flip_sin_to_cos=True, downscale_freq_shift=0)
    torch.testing.assert_close(sin_embed(t, 64), theirs, rtol=0, atol=1e-6)
    other = embeddings.get_timestep_embedding(t, 64, flip_sin_to_cos=True, downscale_freq_shift=1)
    assert (sin_embed(t, 64) - other).abs().max() > 0.5


@given(t=st.integers(0, 500), other=st.integers(0, 500), shift=st.integers(0, 500))
def test_the_inner_product_of_two_times_depends_on_their_distance_alone(t, other, shift):
    a, b, c, d = sin_embed(torch.tensor([t, other, t + shift, other + shift]), 64)
    assert float(a @ b) == pytest.approx(float(c @ d), abs=5e-3)


def test_the_embedding_takes_one_time_or_many_whole_or_not():
    many = sin_embed(torch.tensor([3, 7]), 8)
    assert many.shape == (2, 8) and many.dtype == torch.float32
    assert torch.equal(sin_embed(torch.tensor(7.0, dtype=torch.float64), 8), many[1])
    with pytest.raises(ValueError, match="even.*got 7"):
        sin_embed(torch.tensor(1), 7)


def test_999_and_1000_stay_two_times_under_bfloat16():
    assert torch.tensor(999.0).bfloat16() == 1000
    embed = Embedding(32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        vectors = embed(torch.tensor([999, 1000]))
    assert vectors.dtype == torch.float32
    assert torch.equal(vectors, embed(torch.tensor([999, 1000])))
    assert (vectors[0] - vectors[1]).abs().max() > 1e-3


def test_conditions_are_added_to_the_time_by_name():
    embed, t, label = Embedding(16), torch.tensor([5, 6]), torch.tensor([1, 2])
    plain = embed(t)
    embed.extra["label"], embed.extra["rate"] = torch.nn.Embedding(10, 16), Embedding(16)
    expected = embed.extra["label"](label) + embed.extra["rate"](t + 1)
    torch.testing.assert_close(embed(t, rate=t + 1, label=label) - plain, expected)


def test_a_condition_that_the_net_does_not_know_and_one_that_the_caller_forgot_are_errors():
    embed, t, label = Embedding(16), torch.tensor([5, 6]), torch.tensor([1, 2])
    with pytest.raises(TypeError, match=r"takes the conditions \[\], got \['label'\]"):
        embed(t, label=label)
    embed.extra["label"] = torch.nn.Embedding(10, 16)
    for given in ({}, {"lable": label}, {"label": label, "rate": t}):
        with pytest.raises(TypeError, match=r"takes the conditions \['label'\], got"):
            embed(t, **given)


# --- residual block -------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("channels", [16, 24])
def test_a_new_residual_block_is_its_skip(channels):
    block, x = ResBlock(16, channels, 8), normal(2, 16, 5, 7)
    assert torch.equal(block(x, normal(2, 8)), block.skip(x))
    assert (channels == 16) == isinstance(block.skip, torch.nn.Identity)


def test_the_time_of_an_image_changes_that_image_and_no_other():
    block, x, vector = awake(ResBlock(16, 16, 8)), normal(3, 16, 5, 5), normal(3, 8)
    before, vector = block(x, vector), vector.clone()
    vector[1] += 1
    changed = (block(x, vector) - before).flatten(1).abs().amax(dim=1)
    assert changed[0] == changed[2] == 0 and changed[1] > 1e-2


def test_a_residual_block_is_two_convolutions_with_scale_and_shift_between_them():
    block, x, vector = awake(ResBlock(16, 24, 8)), normal(2, 16, 5, 5), normal(2, 8)
    h = block.conv1(F.silu(F.group_norm(x, 8, block.norm1.weight, block.norm1.bias)))
    both = block.time(vector * torch.sigmoid(vector))
    h = F.group_norm(h, 8, block.norm2.weight, block.norm2.bias)
    h = torch.stack([h[b] * (1 + both[b, :24, None, None]) + both[b, 24:, None, None] for b in range(2)])
    torch.testing.assert_close(block(x, vector), block.skip(x) + block.conv2(F.silu(h)))


def test_dropout_acts_in_training_alone():
    block, x, vector = awake(ResBlock(16, 16, 8, dropout=0.5)), normal(2, 16, 5, 5), normal(2, 8)
    assert torch.equal(block.eval()(x, vector), block(x, vector))
    assert not torch.equal(block.train()(x, vector), block(x, vector))


# --- attention ------------------------------------------------------------------------------------------------------

def test_a_new_attention_layer_is_the_identity():
    x = normal(2, 16, 3, 4)
    assert torch.equal(Attention2d(16)(x), x)


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_attention_is_a_softmax_over_all_positions_head_by_head(heads):
    layer, x = awake(Attention2d(16, heads)), normal(2, 16, 3, 4)
    tokens = F.group_norm(x, 8, layer.norm.weight, layer.norm.bias).flatten(2).mT
    width, out = 16 // heads, []
    for part in range(heads):
        q, k, v = (f(tokens)[..., part * width:(part + 1) * width] for f in (layer.q, layer.k, layer.v))
        weights = torch.exp(q @ k.mT / width**0.5)
        out.append(weights / weights.sum(dim=-1, keepdim=True) @ v)
    expected = x + layer.o(torch.cat(out, dim=-1)).mT.reshape(x.shape)
    torch.testing.assert_close(layer(x), expected)
    assert (layer(x) - x).abs().max() > 1e-2


def test_attention_does_not_know_where_a_position_is():
    layer, x = awake(Attention2d(16)), normal(2, 16, 3, 4)
    order = torch.randperm(12, generator=torch.Generator().manual_seed(0))

    def shuffle(h):
        return h.flatten(2)[..., order].reshape(h.shape)
    torch.testing.assert_close(layer(shuffle(x)), shuffle(layer(x)))


def test_attention_refuses_heads_that_do_not_divide_the_channels():
    with pytest.raises(ValueError, match="24 and 5"):
        Attention2d(24, heads=5)


# --- normalisation and resolution -----------------------------------------------------------------------------------

def test_group_norm_computes_in_float32_under_autocast_and_gives_back_what_it_got(monkeypatch):
    norm, x, seen = GroupNorm(4, 16), normal(2, 16, 5, 5) + 1000, []
    plain = F.group_norm
    monkeypatch.setattr(F, "group_norm", lambda x, *rest: seen.append(x.dtype) or plain(x, *rest))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert norm(x.bfloat16()).dtype == torch.bfloat16
        single = norm(x)
    torch.testing.assert_close(single, plain(x, 4), rtol=0, atol=1e-3)  # in bfloat16, x is a multiple of 4
    assert seen == [torch.float32, torch.float32]


@given(height=st.integers(1, 9), width=st.integers(1, 9))
def test_up_undoes_the_sizes_of_down_odd_ones_too(height, width):
    x = normal(1, 8, height, width)
    small = Downsample(8)(x)
    assert small.shape[-2:] == (math.ceil(height / 2), math.ceil(width / 2))
    assert Upsample(8)(small, size=x.shape[-2:]).shape == x.shape


def test_the_classifier_gives_64_features_and_10_logits_that_depend_on_its_own_image_alone():
    net, x = Classifier().eval(), normal(3, 1, 28, 28)
    assert net.features(x).shape == (3, 64) and net(x).shape == (3, 10)
    torch.testing.assert_close(net(x)[1:2], net(x[1:2]))
    assert round(sum(p.numel() for p in net.parameters()), -3) == 115_000
