"""Wrong and right answers to the exercises of chapter 11 about merges, masks, the contrastive loss and retrieval."""

import math
import re

import torch
import torch.nn.functional as F

from minidiff.process.contrastive import matches
from tests.mutants import alternative, mutant

# --- bpe_merge ------------------------------------------------------------------------------------------------------


def walk(tokens, pair, new, forward=2):
    """The merge, with how far to go on after a pair open to change."""
    out, i = [], 0
    while i < len(tokens):
        found = tuple(tokens[i:i + 2]) == tuple(pair)
        out.append(new if found else tokens[i])
        i += forward if found else 1
    return out


@mutant("ch11.bpe_merge")
def keeps_the_second_of_the_pair(tokens, pair, new):
    return walk(tokens, pair, new, forward=1)


@mutant("ch11.bpe_merge")
def goes_on_a_place_too_far(tokens, pair, new):
    return walk(tokens, pair, new, forward=3)


@mutant("ch11.bpe_merge")
def from_right_to_left(tokens, pair, new):
    return walk(tokens[::-1], pair[::-1], new)[::-1]


@mutant("ch11.bpe_merge")
def the_other_way_round(tokens, pair, new):
    return walk(tokens, pair[::-1], new)


@mutant("ch11.bpe_merge")
def in_any_order(tokens, pair, new):
    out, i = [], 0
    while i < len(tokens):
        found = sorted(tokens[i:i + 2]) == sorted(pair)
        out.append(new if found else tokens[i])
        i += 2 if found else 1
    return out


@mutant("ch11.bpe_merge")
def the_first_pair_only(tokens, pair, new):
    for i in range(len(tokens) - 1):
        if tuple(tokens[i:i + 2]) == pair:
            return tokens[:i] + [new] + tokens[i + 2:]
    return list(tokens)


@mutant("ch11.bpe_merge")
def loses_the_last_token(tokens, pair, new):
    out, i = [], 0
    while i < len(tokens) - 1:
        found = (tokens[i], tokens[i + 1]) == pair
        out.append(new if found else tokens[i])
        i += 2 if found else 1
    return out


@mutant("ch11.bpe_merge")
def until_nothing_is_left_to_merge(tokens, pair, new):
    out = walk(tokens, pair, new)
    return out if out == list(tokens) else until_nothing_is_left_to_merge(out, pair, new)


@alternative("ch11.bpe_merge")
def looks_at_what_goes_out(tokens, pair, new):
    out, open_end = [], False
    for token in tokens:
        if open_end and (out[-1], token) == tuple(pair):
            out[-1], open_end = new, False
        else:
            out.append(token)
            open_end = True
    return out


@alternative("ch11.bpe_merge")
def as_a_text(tokens, pair, new):
    text, signs = "".join(map(chr, tokens)), "".join(map(chr, pair))
    return [ord(sign) for sign in re.sub(re.escape(signs), lambda _: chr(new), text)]


# --- pad_mask -------------------------------------------------------------------------------------------------------

def below(mask, diagonal=0):
    L = mask.shape[1]
    return torch.ones(L, L, dtype=torch.bool).tril(diagonal)


@mutant("ch11.pad_mask")
def hides_who_reads(mask, causal=False):
    seen = mask[:, None, :, None]
    return seen & below(mask) if causal else seen


@mutant("ch11.pad_mask")
def hides_both(mask, causal=False):
    seen = mask[:, None, :, None] & mask[:, None, None, :]
    return seen & below(mask) if causal else seen


@mutant("ch11.pad_mask")
def reads_the_padding_only(mask, causal=False):
    seen = ~mask[:, None, None, :]
    return seen & below(mask) if causal else seen


@mutant("ch11.pad_mask")
def reads_what_comes_later(mask, causal=False):
    seen = mask[:, None, None, :]
    return seen & below(mask).T if causal else seen


@mutant("ch11.pad_mask")
def not_itself(mask, causal=False):
    seen = mask[:, None, None, :]
    return seen & below(mask, -1) if causal else seen


@mutant("ch11.pad_mask")
def one_more_than_itself(mask, causal=False):
    seen = mask[:, None, None, :]
    return seen & below(mask, 1) if causal else seen


@mutant("ch11.pad_mask")
def either_is_enough(mask, causal=False):
    seen = mask[:, None, None, :]
    return seen | below(mask) if causal else seen


@mutant("ch11.pad_mask")
def causal_alone(mask, causal=False):
    return below(mask)[None, None].expand(len(mask), 1, -1, -1) if causal else mask[:, None, None, :]


@mutant("ch11.pad_mask")
def always_causal(mask, causal=False):
    return mask[:, None, None, :] & below(mask)


@mutant("ch11.pad_mask")
def the_first_text_for_all(mask, causal=False):
    seen = mask[:1, None, None, :].expand(len(mask), -1, -1, -1)
    return seen & below(mask) if causal else seen


@alternative("ch11.pad_mask")
def by_places(mask, causal=False):
    B, L = mask.shape
    place = torch.arange(L)
    allowed = (place[:, None] >= place[None, :]) | (not causal)
    return (mask[:, None, :] & allowed[None]).reshape(B, 1, L, L)


@alternative("ch11.pad_mask")
def text_by_text(mask, causal=False):
    rows = [[[[bool(seen) and (not causal or j <= i) for j, seen in enumerate(text)] for i in range(len(text))]]
            for text in mask.tolist()]
    return torch.tensor(rows)


# --- info_nce -------------------------------------------------------------------------------------------------------

def two_ways(logits, right, other=None):
    """The mean of both cross-entropies against weights."""
    back = (other if other is not None else right) * logits.T.log_softmax(dim=1)
    return -((right * logits.log_softmax(dim=1)).sum(dim=1).mean() + back.sum(dim=1).mean()) / 2


@mutant("ch11.info_nce")
def identity_targets(pictures, texts, scale, ids):
    return two_ways(scale * pictures @ texts.T, torch.eye(len(ids)))


@mutant("ch11.info_nce")
def texts_for_pictures_only(pictures, texts, scale, ids):
    return -(matches(ids) * (scale * pictures @ texts.T).log_softmax(dim=1)).sum(dim=1).mean()


@mutant("ch11.info_nce")
def temperature_upside_down(pictures, texts, scale, ids):
    return two_ways(pictures @ texts.T / scale, matches(ids))


@mutant("ch11.info_nce")
def without_the_scale(pictures, texts, scale, ids):
    return two_ways(pictures @ texts.T + 0 * scale, matches(ids))


@mutant("ch11.info_nce")
def targets_that_sum_to_how_many(pictures, texts, scale, ids):
    return two_ways(scale * pictures @ texts.T, (ids[:, None] == ids).float())


@mutant("ch11.info_nce")
def one_of_the_right_ones_is_enough(pictures, texts, scale, ids):
    logits, same = scale * pictures @ texts.T, ids[:, None] == ids
    return -sum(ways.log_softmax(dim=1).masked_fill(~same, -torch.inf).logsumexp(dim=1).mean()
                for ways in (logits, logits.T)) / 2


@mutant("ch11.info_nce")
def mean_over_all_pairs(pictures, texts, scale, ids):
    return two_ways(scale * pictures @ texts.T, matches(ids)) / len(ids)


@mutant("ch11.info_nce")
def sum_of_both_ways(pictures, texts, scale, ids):
    return 2 * two_ways(scale * pictures @ texts.T, matches(ids))


@mutant("ch11.info_nce")
def same_ids_are_left_out(pictures, texts, scale, ids):
    eye = torch.eye(len(ids), dtype=torch.bool)
    logits = (scale * pictures @ texts.T).masked_fill((ids[:, None] == ids) & ~eye, -1e4)
    return two_ways(logits, eye.float())


@mutant("ch11.info_nce")
def texts_without_gradients(pictures, texts, scale, ids):
    return two_ways(scale * pictures @ texts.detach().T, matches(ids)) + 0 * texts.sum()


@alternative("ch11.info_nce")
def by_soft_cross_entropies(pictures, texts, scale, ids):
    logits, right = scale * (pictures @ texts.T), matches(ids)
    return 0.5 * F.cross_entropy(logits, right) + 0.5 * F.cross_entropy(logits.T, right)


@alternative("ch11.info_nce")
def pair_by_pair(pictures, texts, scale, ids):
    logits, losses = scale * pictures @ texts.T, []
    for i in range(len(ids)):
        right = (ids == ids[i]).nonzero()[:, 0]
        losses += [(ways.logsumexp(dim=0) - ways[right]).mean() for ways in (logits[i], logits[:, i])]
    return torch.stack(losses).mean()


# --- retrieval_at ---------------------------------------------------------------------------------------------------

def mean_of(chance, ranks):
    return sum(map(chance, ranks.tolist())) / len(ranks)


@mutant("ch11.retrieval_at")
def drawn_with_putting_back(ranks, M, n):
    return mean_of(lambda r: ((M - r) / (M - 1)) ** (n - 1), ranks)


@mutant("ch11.retrieval_at")
def n_others(ranks, M, n):
    return mean_of(lambda r: math.comb(M - r, n) / math.comb(M - 1, n) if n < M else float(r == 1), ranks)


@mutant("ch11.retrieval_at")
def among_all_m_others(ranks, M, n):
    return mean_of(lambda r: math.comb(M - r, n - 1) / math.comb(M, n - 1), ranks)


@mutant("ch11.retrieval_at")
def ranks_from_zero(ranks, M, n):
    return mean_of(lambda r: math.comb(M - 1 - r, n - 1) / math.comb(M - 1, n - 1) if r < M else 0.0, ranks)


@mutant("ch11.retrieval_at")
def among_the_first_n(ranks, M, n):
    return float((ranks <= n).double().mean())


@mutant("ch11.retrieval_at")
def always_among_all(ranks, M, n):
    return float((ranks == 1).double().mean())


@mutant("ch11.retrieval_at")
def chance(ranks, M, n):
    return 1 / n


@mutant("ch11.retrieval_at")
def of_the_mean_rank(ranks, M, n):
    return math.comb(M - round(float(ranks.double().mean())), n - 1) / math.comb(M - 1, n - 1)


@alternative("ch11.retrieval_at")
def factor_by_factor(ranks, M, n):
    total = 0.0
    for r in ranks.tolist():
        chance = 1.0
        for k in range(n - 1):
            chance *= max(M - r - k, 0) / (M - 1 - k)
        total += chance
    return total / len(ranks)


@alternative("ch11.retrieval_at")
def by_logarithms(ranks, M, n):
    def chance(r):
        if M - r < n - 1:
            return 0.0
        g = math.lgamma
        return math.exp(g(M - r + 1) - g(M - r - n + 2) - g(M) + g(M - n + 1))
    return sum(map(chance, ranks.tolist())) / len(ranks)
