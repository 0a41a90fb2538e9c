"""Stable Diffusion's U-Net: what diffusers computes with the same weights, what it reads, and where it counts from."""

import pytest
import torch

from minidiff.models.sd_unet import GEGLU, Attention, CountsFrom0, SpatialTransformer
from tests.ch12.sd_oracles import BOTH, oracle
from tests.ch12.small_sd import KEYS, SMALL, random_net
from tests.nets import normal


@pytest.fixture(scope="module")
def net():
    return random_net("unet", SMALL["unet"])


def test_it_answers_in_the_shape_of_its_input_odd_sizes_too(net):
    context = normal(2, 7, 24)
    for size in ((8, 8), (9, 13)):
        assert net(normal(2, 4, *size), torch.tensor([3, 500]), context).shape == (2, 4, *size)
    assert len(net.state_dict()) == KEYS["unet"]


def test_the_levels_that_attend_read_the_text_and_the_lowest_has_none(net):
    """Rombach et al.'s configuration: attention at full, half and quarter resolution and in the middle."""
    reads = {name for name, layer in net.named_modules() if isinstance(layer, SpatialTransformer)}
    assert reads == {"middle.0.attend", *(f"down.{n}.attend" for n in (1, 2, 4, 5, 7, 8)),
                     *(f"up.{n}.attend" for n in (4, 5, 6, 8, 9, 10, 12, 13, 14))}
    x, context = normal(2, 4, 8, 8), normal(2, 7, 24)
    moved = context.clone()
    moved[1, 3] += 1
    change = (net(x, 10, moved) - net(x, 10, context)).flatten(1).abs().amax(dim=1)
    assert change[0] < 1e-6 < 1e-4 < change[1]


def test_one_time_serves_a_whole_batch_and_each_picture_may_have_its_own(net):
    x, context = normal(2, 4, 8, 8), normal(2, 7, 24)
    torch.testing.assert_close(net(x, 10, context), net(x, torch.tensor([10, 10]), context))
    apart = net(x, torch.tensor([10, 900]), context)
    torch.testing.assert_close(apart[:1], net(x[:1], 10, context[:1]), rtol=0, atol=1e-5)
    assert (apart[1] - net(x, 10, context)[1]).abs().max() > 1e-4


def test_residuals_are_added_to_the_skips_and_the_middle(net):
    x, context = normal(1, 4, 8, 8), normal(1, 7, 24)
    sizes = [(32, 8)] * 3 + [(32, 4)] + [(64, 4)] * 2 + [(64, 2)] + [(96, 2)] * 2 + [(96, 1)] * 3 + [(96, 1)]
    nothing = [torch.zeros(1, c, s, s) for c, s in sizes]
    plain = net(x, 10, context)
    assert torch.equal(net(x, 10, context, residuals=nothing), plain)
    for k in range(13):
        some = [r + (i == k) * normal(*r.shape) for i, r in enumerate(nothing)]
        assert (net(x, 10, context, residuals=some) - plain).abs().max() > 1e-3, k
    with pytest.raises(ValueError, match="shorter"):
        net(x, 10, context, residuals=[*nothing[:11], nothing[12]])


def test_a_published_net_is_asked_one_step_earlier_than_the_course_counts(net):
    x, context = normal(1, 4, 8, 8), normal(1, 7, 24)
    ours = CountsFrom0(net)
    assert torch.equal(ours(x, torch.tensor(1000), context=context), net(x, 999, context))
    assert torch.equal(ours(x, 1, context=context), net(x, 0, context))


def test_attention_is_a_softmax_head_by_head():
    torch.manual_seed(0)
    layer, h, context = Attention(24, 16, heads=4), normal(2, 5, 24), normal(2, 7, 16, seed=2)
    out = []
    for part in range(4):
        q, k, v = (f[..., part * 6:(part + 1) * 6] for f in (layer.q(h), layer.k(context), layer.v(context)))
        weights = torch.exp(q @ k.mT / 6**0.5)
        out.append(weights / weights.sum(dim=-1, keepdim=True) @ v)
    torch.testing.assert_close(layer(h, context), layer.o(torch.cat(out, dim=-1)))
    with pytest.raises(ValueError, match="32 and 5"):
        SpatialTransformer(32, 16, heads=5)


def test_the_first_half_of_a_geglu_is_gated_by_the_second():
    layer = GEGLU(3, 2)
    with torch.no_grad():
        layer.weight.zero_()
        layer.bias.copy_(torch.tensor([3.0, -2.0, 0.0, 10.0]))  # values 3 and -2, gates gelu(0) = 0 and gelu(10) = 10
    assert layer(normal(1, 3)).tolist() == [[0.0, -20.0]]


@BOTH["unet"]
def test_it_computes_what_diffusers_computes(shape):
    own = random_net("unet", shape)
    theirs = oracle("unet", own, shape)
    x, context, t = normal(1, 4, 8, 8), normal(1, 77, shape["width"], seed=2), torch.tensor([981])
    answer = own(x, t, context)
    torch.testing.assert_close(answer, theirs(x, t, context).sample, rtol=0, atol=5e-6)
    assert 0.05 < answer.std() < 10
