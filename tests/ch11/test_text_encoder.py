"""The text encoder: who sees whom, proven by gradients; one layer by hand; a bag of words."""

import pytest
import torch
import torch.nn.functional as F

from minidiff.models.text_encoder import TextEncoder, join_heads, pool_last, pool_mean, split_heads


def encoder(seed=0, **options):
    torch.manual_seed(seed)
    return TextEncoder(50, **{"width": 16, "depth": 2, "heads": 4, "length": 8} | options).double()


def texts(*lengths):
    """Random tokens and masks of texts that are so long."""
    tokens = torch.randint(4, 50, (len(lengths), 8), generator=torch.Generator().manual_seed(1))
    return tokens, torch.arange(8) < torch.tensor(lengths)[:, None]


def influence(net, mask):
    """(L, L): how large the gradient of the vector of token i is with respect to the embedding of token j."""
    tokens, _ = texts(8)
    found = torch.zeros(8, 8)
    for i in range(8):
        table = net.token(tokens).detach().requires_grad_()
        hook = net.token.register_forward_hook(lambda *_, table=table: table)
        (net(tokens, mask)[0, i] * torch.linspace(-1, 2, 16)).sum().backward()  # a plain sum is 0 after a norm
        hook.remove()
        found[i] = table.grad[0].abs().amax(dim=1)
    return found


@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("causal", [True, False])
def test_a_token_sees_what_it_may_and_nothing_else(causal, norm_first):
    _, mask = texts(6)
    found = influence(encoder(causal=causal, norm_first=norm_first), mask)
    inside = torch.zeros(8, 8, dtype=torch.bool)
    inside[:6, :6] = torch.ones(6, 6).tril().bool() if causal else True
    assert (found[inside] > 1e-6).all()
    assert (found[~inside] == 0).all()


@pytest.mark.parametrize("causal", [True, False])
def test_a_text_is_read_alike_alone_and_beside_longer_ones(causal):
    net = encoder(causal=causal)
    tokens, mask = texts(3, 8)
    torch.testing.assert_close(net(tokens, mask)[:1, :3], net(tokens[:1, :3], mask[:1, :3]))
    assert (net(tokens, mask)[0, 3:] == 0).all()


def test_a_post_norm_layer_is_that_of_torch():
    """BERT's order of things; torch keeps the three projections in one matrix."""
    net = encoder(norm_first=False, hidden=40)
    theirs = torch.nn.TransformerEncoderLayer(16, 4, 40, 0.0, "gelu", batch_first=True, dtype=torch.float64)
    mine, tokens, mask = net.layers[0], *texts(5, 8)
    with torch.no_grad():
        for side in ("weight", "bias"):
            getattr(theirs.self_attn, f"in_proj_{side}").copy_(torch.cat([getattr(f, side) for f in
                                                                         (mine.q, mine.k, mine.v)]))
    pairs = [(theirs.self_attn.out_proj, mine.o), (theirs.linear1, mine.mlp[0]), (theirs.linear2, mine.mlp[2]),
             (theirs.norm1, mine.norm1), (theirs.norm2, mine.norm2)]
    for to, of in pairs:
        to.load_state_dict(of.state_dict())
    h = torch.randn(2, 8, 16, dtype=torch.float64)
    expected = theirs(h, src_key_padding_mask=~mask)
    torch.testing.assert_close(mine(h, mask[:, None, None, :])[mask], expected[mask])


@pytest.mark.parametrize("norm_first", [True, False])
def test_a_bag_of_words_knows_no_order_and_a_transformer_does(norm_first):
    bag = encoder(depth=0, positions=False, norm_first=norm_first)
    tokens, mask = texts(5)
    order = torch.tensor([3, 1, 4, 0, 2, 5, 6, 7])
    torch.testing.assert_close(bag(tokens[:, order], mask), bag(tokens, mask)[:, order], rtol=0, atol=0)
    net = encoder(norm_first=norm_first)
    assert (net(tokens[:, order], mask) - net(tokens, mask)[:, order]).abs().max() > 1e-3


def test_pooling_takes_the_mean_or_the_last_token_of_the_text():
    h = torch.arange(24.0).view(2, 4, 3)
    mask = torch.tensor([[True, True, False, False], [True, True, True, True]])
    torch.testing.assert_close(pool_mean(h, mask), torch.stack([h[0, :2].mean(0), h[1].mean(0)]))
    torch.testing.assert_close(pool_last(h, mask), torch.stack([h[0, 1], h[1, 3]]))
    assert (pool_mean(h, torch.zeros(2, 4, dtype=torch.bool)) == 0).all()


def test_heads_are_split_and_joined_again():
    h = torch.randn(2, 5, 12)
    torch.testing.assert_close(join_heads(split_heads(h, 3)), h, rtol=0, atol=0)
    torch.testing.assert_close(split_heads(h, 3)[1, 2, 4], h[1, 4, 8:], rtol=0, atol=0)


def test_wrong_sizes_are_named():
    with pytest.raises(ValueError, match="texts may have 8 tokens, got 9"):
        encoder()(torch.zeros(1, 9, dtype=torch.long), torch.ones(1, 9, dtype=torch.bool))
    with pytest.raises(ValueError, match="multiple of heads, got 16 and 3"):
        encoder(heads=3)


def test_attention_is_softmax_of_scaled_products():
    """Vaswani et al. 2017, eq. 1, written out for one head."""
    net = encoder(heads=1)
    layer, h = net.layers[0], torch.randn(1, 4, 16, dtype=torch.float64)
    seen = torch.tensor([True, True, True, False])[None, None, None]
    scores = (layer.q(h) @ layer.k(h).transpose(1, 2) / 16**0.5).masked_fill(~seen[0], -torch.inf)
    torch.testing.assert_close(layer.attend(h, seen), layer.o(F.softmax(scores, dim=-1) @ layer.v(h)))
