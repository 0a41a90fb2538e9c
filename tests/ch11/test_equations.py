"""Equations 11.1 to 11.10: attention, masks, the contrastive loss, retrieval among few, and how a picture reads."""

from itertools import combinations, permutations, product

import pytest
import torch
import torch.nn.functional as F

from minidiff.evaluation.retrieval import retrieval_at
from minidiff.models.cross_attention import CrossAttention2d, JointAttention2d
from minidiff.models.text_encoder import Layer, TextEncoder, pad_mask, split_heads
from minidiff.process.contrastive import info_nce, info_nce_floor, matches


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def loops(q, k, v):
    """Attention one token after the other: (L, d) each."""
    out = []
    for asks in q:
        fits = torch.stack([torch.exp(asks @ key / len(key)**0.5) for key in k])
        out.append((fits / fits.sum()) @ v)
    return torch.stack(out)


def layer(heads=2):
    torch.manual_seed(0)
    return Layer(8, heads, 32, norm_first=True, eps=1e-5).double()


@pytest.mark.equation("11.1")
def test_a_layer_attends_as_the_sum_says():
    made, h = layer(), randn(1, 5, 8)
    q, k, v = (split_heads(f(h), 2)[0] for f in (made.q, made.k, made.v))
    by_hand = torch.cat([loops(*parts) for parts in zip(q, k, v, strict=True)], dim=1)
    everyone = torch.ones(1, 1, 1, 5, dtype=torch.bool)
    torch.testing.assert_close(made.attend(h, everyone)[0], made.o(by_hand), rtol=1e-10, atol=1e-12)


@pytest.mark.equation("11.2")
def test_tokens_in_another_order_give_the_same_answers_in_that_order():
    made, h, order = layer(), randn(2, 6, 8), torch.tensor([3, 0, 5, 1, 4, 2])
    everyone = torch.ones(1, 1, 1, 6, dtype=torch.bool)
    torch.testing.assert_close(made(h[:, order], everyone), made(h, everyone)[:, order], rtol=1e-10, atol=1e-12)


@pytest.mark.equation("11.3")
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("length", [1, 4, 7])
def test_no_gradient_comes_from_padding_or_from_later_tokens(causal, length):
    torch.manual_seed(1)
    encoder, L = TextEncoder(9, width=8, depth=3, heads=2, length=7, causal=causal).double(), 7
    mask = (torch.arange(L) < length)[None]

    def through(e):
        for made in encoder.layers:
            e = made(e, pad_mask(mask, causal))
        return e
    slopes = torch.autograd.functional.jacobian(through, randn(1, L, 8))[0, :, :, 0].square().sum(dim=(1, 3))
    reads = torch.ones(L, L, dtype=torch.bool)
    reads[:, length:] = False
    reads = (reads.tril() if causal else reads) | torch.eye(L, dtype=torch.bool)  # beside attention is an identity
    assert torch.equal(slopes > 0, reads)


def bets(pictures, texts, scale):
    """p(j | i) of 11.4, written out: (N, N)."""
    table = torch.tensor([[float(torch.exp(scale * e @ f)) for f in texts] for e in pictures], dtype=torch.float64)
    return table / table.sum(dim=1, keepdim=True)


def unit(N, D, seed):
    return F.normalize(randn(N, D, seed=seed), dim=1)


@pytest.mark.equation("11.4")
def test_the_loss_of_pairs_that_are_all_different_bets_on_one_caption():
    e, f = unit(5, 3, 0), unit(5, 3, 1)
    by_hand = -(bets(e, f, 4.0).diagonal().log() + bets(f, e, 4.0).diagonal().log()).mean() / 2
    torch.testing.assert_close(info_nce(e, f, 4.0, torch.arange(5)).double(), by_hand, rtol=1e-5, atol=1e-6)


@pytest.mark.equation("11.5")
def test_the_loss_shares_the_right_answer_among_equal_captions():
    e, f, ids = unit(7, 3, 2), unit(7, 3, 3), torch.tensor([0, 1, 0, 2, 0, 1, 3])
    total, n = 0.0, torch.bincount(ids)[ids]
    for i, j in product(range(7), repeat=2):
        if ids[i] == ids[j]:
            total -= float(bets(e, f, 6.0)[i, j].log() + bets(f, e, 6.0)[j, i].log()) / float(n[i])
    assert float(info_nce(e, f, 6.0, ids)) == pytest.approx(total / 14, rel=1e-5)


@pytest.mark.equation("11.6")
def test_no_bet_loses_less_than_the_floor():
    ids = torch.tensor([0, 0, 0, 1, 1, 2])
    perfect = F.one_hot(ids, 3).float()
    floor = float(info_nce_floor(ids))
    assert floor == pytest.approx(float((3 * torch.tensor(3.0).log() + 2 * torch.tensor(2.0).log()) / 6))
    assert float(info_nce(perfect, perfect, 80.0, ids)) == pytest.approx(floor, abs=1e-5)
    for seed in range(20):
        assert float(info_nce(unit(6, 4, seed), unit(6, 4, seed + 99), 9.0, ids)) > floor
    assert float(-(matches(ids) * matches(ids).clamp(min=1e-30).log()).sum(dim=1).mean()) == pytest.approx(floor)


@pytest.mark.equation("11.7")
def test_the_perfect_bet_is_the_share_of_the_pointwise_mutual_information():
    joint = torch.tensor([[4.0, 1, 2], [1, 3, 1], [2, 2, 8]], dtype=torch.float64)  # pictures by captions
    joint /= joint.sum()
    of_text, of_picture = joint.sum(dim=0), joint.sum(dim=1)
    for x, captions in product(range(3), permutations(range(3))):
        # one caption was written for x, the others for pictures that are not seen
        weights = torch.stack([joint[x, c] * torch.stack([of_text[o] for o in captions if o != c]).prod()
                               for c in captions])
        information = joint[x, list(captions)] / (of_picture[x] * of_text[list(captions)])
        torch.testing.assert_close(weights / weights.sum(), information / information.sum())


@pytest.mark.equation("11.8")
@pytest.mark.parametrize("n", [1, 2, 4, 8])
def test_retrieval_among_few_is_the_mean_over_all_ways_to_choose_them(n):
    ranks, M = torch.tensor([1, 2, 5, 8, 3]), 8
    chosen = list(combinations(range(1, M), n - 1))
    mean = sum(all(other >= r for other in others) for r in ranks for others in chosen) / len(chosen) / len(ranks)
    assert retrieval_at(ranks, M, n) == pytest.approx(float(mean))


def reader(kind, heads=1):
    torch.manual_seed(2)
    made = kind(8, 6, heads=heads).double()
    torch.nn.init.normal_(made.o.weight)
    return made, randn(1, 8, 3, 5), (randn(1, 4, 6, seed=1), torch.tensor([[True, True, True, False]]))


@pytest.mark.equation("11.9")
def test_each_place_reads_the_tokens_of_the_text():
    made, x, (tokens, mask) = reader(CrossAttention2d)
    places, text = made.norm(x)[0].flatten(1).T, tokens[0, :3]
    read = loops(made.q(places), made.k(text), made.v(text))
    torch.testing.assert_close(made(x, (tokens, mask)), x + made.o(read).T.reshape(x.shape), rtol=1e-9, atol=1e-11)


@pytest.mark.equation("11.10")
def test_one_softmax_is_two_with_a_gate():
    made, x, context = reader(JointAttention2d)
    q, k, v, seen = made.attended(x, context)
    n = x.shape[2] * x.shape[3]
    see = F.scaled_dot_product_attention(q, k[:, :, :n], v[:, :, :n])
    read = F.scaled_dot_product_attention(q, k[:, :, n:], v[:, :, n:], attn_mask=seen[..., n:])
    scores = (q @ k.transpose(2, 3) / 8**0.5).masked_fill(~seen, -torch.inf).exp()
    g = (scores[..., n:].sum(dim=-1) / scores.sum(dim=-1))[..., None]
    whole = F.scaled_dot_product_attention(q, k, v, attn_mask=seen)
    torch.testing.assert_close((1 - g) * see + g * read, whole, rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(made.maps(x, context).sum(dim=4).flatten(2)[..., None], g, rtol=1e-9, atol=1e-11)
