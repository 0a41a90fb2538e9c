"""CLIP's text tower is chapter 11's encoder with another activation: what transformers computes, and what it sees."""

import pytest
import torch
import torch.nn.functional as F

from minidiff.models.sd_clip import QuickGELU
from minidiff.models.text_encoder import TextEncoder
from tests.ch12.sd_oracles import BOTH, oracle
from tests.ch12.small_sd import KEYS, SMALL, random_net
from tests.nets import normal


def test_a_token_sees_itself_and_those_before_it_and_padding_is_not_masked():
    net = random_net("text", SMALL["text"])
    tokens = torch.randint(0, 600, (2, 10), generator=torch.Generator().manual_seed(0))
    vectors = net(tokens)
    assert vectors.shape == (2, 10, 24) and len(net.state_dict()) == KEYS["text"]
    tokens[:, 6] += 1
    moved = (net(tokens) - vectors).abs().amax(dim=(0, 2))
    assert (moved[:6] == 0).all() and (moved[6:] > 1e-4).all()
    with pytest.raises(ValueError, match="77 tokens, got 78"):
        net(torch.zeros(1, 78, dtype=torch.long))


def test_it_differs_from_chapter_11_s_encoder_in_the_activation_alone():
    shape = SMALL["text"]
    net, other = random_net("text", shape), TextEncoder(600, 24, 12, 2, 77, causal=True).eval()
    other.load_state_dict(net.state_dict())
    tokens = torch.arange(12)[None]
    assert not torch.equal(net(tokens), other(tokens, torch.ones(1, 12, dtype=torch.bool)))
    for layer in other.layers:
        layer.mlp[1] = QuickGELU()
    assert torch.equal(net(tokens), other(tokens, torch.ones(1, 12, dtype=torch.bool)))
    x = normal(1000)
    assert torch.equal(QuickGELU()(x), x * torch.sigmoid(1.702 * x))
    assert 1e-3 < (QuickGELU()(x) - F.gelu(x)).abs().max() < 0.03


@BOTH["text"]
def test_it_computes_what_transformers_computes(shape):
    net = random_net("text", shape)
    theirs = oracle("text", net, shape)
    tokens = torch.randint(0, shape["size"], (3, 77), generator=torch.Generator().manual_seed(1))
    vectors = net(tokens)
    torch.testing.assert_close(vectors, theirs(tokens).last_hidden_state, rtol=0, atol=5e-6)
    assert vectors.std() > 0.5
