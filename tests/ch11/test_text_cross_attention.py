"""Cross-attention: equal to softmax attention by hand, blind to the order of keys and to padding; its maps."""

from functools import partial

import pytest
import torch

from minidiff.models.cross_attention import (CrossAttention2d, JointAttention2d, TextAttention2d, attention_maps)
from minidiff.models.text_encoder import TextEncoder
from minidiff.models.text_unet import READERS, TextUNet
from minidiff.models.unet import UNet

KINDS = [CrossAttention2d, JointAttention2d, TextAttention2d]


def layer_of(kind, width=12):
    torch.manual_seed(0)
    layer = kind(16, width, 4).double()
    for p in layer.parameters():  # the output projection starts at zero
        torch.nn.init.normal_(p, std=0.3)
    return layer


def given(length=5, kept=3):
    x = torch.randn(2, 16, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    tokens = torch.randn(2, length, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    return x, tokens, torch.stack([torch.arange(length) < kept, torch.arange(length) < length])


@pytest.mark.parametrize("kind", [CrossAttention2d, JointAttention2d])
def test_it_is_attention_place_by_place_and_head_by_head(kind):
    layer = layer_of(kind)
    x, tokens, mask = given()
    got = layer(x, (tokens, mask))
    places = layer.norm(x).flatten(2).transpose(1, 2)
    for b in range(2):
        keys, values = layer.k(tokens[b, mask[b]]), layer.v(tokens[b, mask[b]])
        if kind is JointAttention2d:
            own_keys, own_values = layer.own(places[b]).split(16, dim=1)
            keys, values = torch.cat([own_keys, keys]), torch.cat([own_values, values])
        out = []
        for head in range(4):
            part = slice(4 * head, 4 * head + 4)
            weights = (layer.q(places[b])[:, part] @ keys[:, part].T / 2).exp()
            out.append(weights @ values[:, part] / weights.sum(dim=1, keepdim=True))
        expected = x[b] + layer.o(torch.cat(out, dim=1)).T.view(16, 3, 4)
        torch.testing.assert_close(got[b], expected)


@pytest.mark.parametrize("kind", KINDS)
def test_the_order_of_the_keys_does_not_matter(kind):
    layer, (x, tokens, mask) = layer_of(kind), given()
    order = torch.tensor([4, 2, 0, 3, 1])
    torch.testing.assert_close(layer(x, (tokens[:, order], mask[:, order])), layer(x, (tokens, mask)))


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_leaks_from_padding(kind):
    layer, (x, tokens, mask) = layer_of(kind), given()
    tokens.requires_grad_()
    out = layer(x, (tokens, mask))
    out.square().sum().backward()
    assert (tokens.grad[~mask] == 0).all()
    assert (tokens.grad[mask].abs().amax(dim=1) > 1e-6).all()
    torch.testing.assert_close(layer(x[:1], (tokens[:1, :3], mask[:1, :3])), out[:1])


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_layer_is_the_identity_and_learns_from_the_first_step(kind):
    layer = kind(16, 12, 4).double()
    x, tokens, mask = given()
    out = layer(x, (tokens, mask))
    torch.testing.assert_close(out, x, rtol=0, atol=0)
    out.square().sum().backward()
    ends = layer.text.o if kind is TextAttention2d else layer.o
    assert ends.weight.grad.abs().max() > 1e-3


@pytest.mark.parametrize("kind", [CrossAttention2d, JointAttention2d])
def test_maps_are_the_weights_of_the_tokens(kind):
    layer, (x, tokens, mask) = layer_of(kind), given()
    maps = layer.maps(x, (tokens, mask))
    assert maps.shape == (2, 4, 3, 4, 5) and (maps >= 0).all() and (maps[0, ..., 3:] == 0).all()
    if kind is CrossAttention2d:
        torch.testing.assert_close(maps.sum(dim=-1), torch.ones(2, 4, 3, 4, dtype=torch.float64))
        values = layer.v(tokens).unflatten(2, (4, 4))  # (B, L, heads, c)
        mixed = torch.einsum("bhyxl,blhc->byxhc", maps, values).flatten(3)
        torch.testing.assert_close(layer(x, (tokens, mask)), x + layer.o(mixed).permute(0, 3, 1, 2))
    else:
        assert (maps.sum(dim=-1) < 1).all()


def text_unet(reads="self+cross"):
    torch.manual_seed(0)
    unet = UNet(3, (8, 16), width=16, patch=2, attention=(1,), make_attention=partial(READERS[reads], width=12))
    net = TextUNet(TextEncoder(20, 12, 1, 4, 6), 12, unet, 16).double()
    for p in net.parameters():
        torch.nn.init.normal_(p, std=0.2)
    return net


@pytest.mark.parametrize("reads", READERS)
def test_a_unet_that_reads(reads):
    net = text_unet(reads)
    x, t = torch.randn(2, 3, 8, 8, dtype=torch.float64), torch.tensor([3.0, 700.0])
    tokens = torch.tensor([[1, 5, 6, 2, 0, 0], [1, 6, 5, 7, 8, 2]])
    out = net(x, t, tokens=tokens)
    assert out.shape == x.shape
    torch.testing.assert_close(net(x[:1], t[:1], tokens=tokens[:1, :4]), out[:1])  # padding is not read
    other = tokens.clone()
    other[1, 1] = 9
    assert (net(x, t, tokens=other)[1] - out[1]).abs().max() > 1e-4
    torch.testing.assert_close(net(x, t, tokens=other)[0], out[0])
    with pytest.raises(TypeError, match="takes the conditions"):
        net(x, t, tokens=tokens, label=t)


@pytest.mark.parametrize("reads", READERS)
def test_maps_of_a_whole_net_are_collected_while_asked_for(reads):
    net = text_unet(reads)
    given = torch.randn(2, 3, 8, 8, dtype=torch.float64), torch.tensor([3.0, 700.0])
    tokens = torch.tensor([[1, 5, 6, 2, 0, 0], [1, 6, 5, 7, 8, 2]])
    with attention_maps(net) as maps:
        out = net(*given, tokens=tokens)
    net(*given, tokens=tokens)
    assert [m.shape for m in maps] == [(2, 4, 2, 2, 6)] * 3  # down, the middle, up
    torch.testing.assert_close(out, net(*given, tokens=tokens))


def test_wrong_sizes_are_named():
    for kind in KINDS:
        with pytest.raises(ValueError, match="multiple of heads, got 16 and 3"):
            kind(16, 12, 3)
