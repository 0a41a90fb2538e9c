"""The exercises of chapter 11 about texts and pictures in one space: merges, masks, the contrastive loss, retrieval."""

import torch
import torch.nn.functional as F

from minidiff.data.tokenizer import bpe_merge
from minidiff.evaluation.retrieval import retrieval_at
from minidiff.exercises.core import Case, Exercise
from minidiff.models.text_encoder import pad_mask
from minidiff.process.contrastive import info_nce


def whole(generator, low, high, *shape):
    """Whole numbers in low..high - 1: (*shape)."""
    return torch.randint(low, high, shape, generator=generator)


def text_inputs(length, kinds=3):
    """Tokens of few kinds, the pair of the first two kinds, and the number of the new token."""
    def draw(generator):
        first = int(whole(generator, 4, 200))
        tokens = [first + k for k in whole(generator, 0, kinds, length).tolist()]
        return tokens, (first, first + 1), 260 + int(whole(generator, 0, 90))
    return draw


def chain_inputs(length):
    """One token `length` times, and the pair of it with itself."""
    def draw(generator):
        token = int(whole(generator, 4, 200))
        return [token] * length, (token, token), 260 + int(whole(generator, 0, 90))
    return draw


def its_own_inputs(generator):
    """A pair (a, b) that becomes a, in a text where a is followed by two b: what is made is not merged again."""
    a = int(whole(generator, 4, 200))
    return [a, a + 1, a + 1, a, a + 1], (a, a + 1), a


BPE_MERGE = Exercise(
    id="ch11.bpe_merge", title="one merge of byte-pair encoding", reference=bpe_merge, points=3, minutes=10,
    difficulty="easy",
    cases=(
        Case("replaces the pair wherever it stands", text_inputs(60),
             hint="every place where pair[0] is followed by pair[1] becomes one token, all other tokens stay"),
        Case("does not take the pair the other way round", lambda g: (lambda first: (
            [first + 1, first, first + 1, first], (first, first + 1), 300))(int(whole(g, 4, 200))),
             hint="(a, b) is not (b, a)"),
        Case("goes from left to right, and uses each token once: three alike are one pair and a rest", chain_inputs(3),
             hint="after a merge go on behind both tokens of the pair", central=True),
        Case("makes two of four alike", chain_inputs(4)),
        Case("does not merge again what it has just made", its_own_inputs,
             hint="look at the tokens that came in, not at those that are going out"),
        Case("takes texts of one token and of none", lambda g: (int(whole(g, 4, 200)),),
             lambda fn, a: [list(fn([a], (a, a), 300)), list(fn([], (a, a), 300))],
             hint="the last token has no one after it, and still belongs to the text"),
        Case("finds the pair at both ends", lambda g: (lambda a, rest: (
            [a, a + 1, *rest, a, a + 1], (a, a + 1), 301))(int(whole(g, 4, 100)), whole(g, 110, 200, 3).tolist())),
    ),
    hints=("walk with an index i: at each place there is a pair, or there is not",
           "tokens[i:i + 2] is a list of two, or of one at the end; tuple(...) can be compared with the pair",
           "with a pair: out.append(new), i += 2; without: out.append(tokens[i]), i += 1"))


def mask_inputs(B, L):
    """Which of L places belong to each of B texts, and those texts' vectors."""
    def draw(generator):
        lengths = whole(generator, 1, L + 1, B)
        return torch.arange(L) < lengths[:, None], torch.randn(B, 2, L, 3, generator=generator, dtype=torch.float64)
    return draw


def spread(fn, mask, vectors, **causal):
    """The mask for every pair of places (B, 1, L, L)."""
    return fn(mask, **causal).expand(len(mask), 1, mask.shape[1], mask.shape[1])


def attended(fn, mask, vectors, causal):
    """What attention gives at the places of the texts."""
    out = F.scaled_dot_product_attention(vectors, vectors, vectors, attn_mask=fn(mask, causal))
    return torch.where(mask[:, None, :, None], out, 0.0)


PAD_MASK = Exercise(
    id="ch11.pad_mask", title="who may read whom", reference=pad_mask, points=3, minutes=15, difficulty="medium",
    cases=(
        Case("hides the padding of each text from all who read", mask_inputs(4, 6), spread,
             hint="the last axis is what is read: mask[:, None, None, :] hides columns, mask[:, None, :, None] rows"),
        Case("with causal=True hides what comes later, too", mask_inputs(4, 6),
             lambda fn, *given: spread(fn, *given, causal=True), central=True,
             hint="row i may read columns 0..i: torch.ones(L, L, dtype=torch.bool).tril(), and both must allow it"),
        Case("lets a token read itself", lambda g: (torch.arange(5) < whole(g, 1, 6, 3)[:, None],),
             lambda fn, mask: fn(mask, causal=True).expand(3, 1, 5, 5).diagonal(dim1=2, dim2=3)),
        Case("keeps texts and places apart when there are as many", mask_inputs(6, 6),
             lambda fn, *given: spread(fn, *given, causal=True)),
        Case("fits attention of two heads: the texts' vectors are as they should be", mask_inputs(3, 7),
             lambda fn, mask, vectors: [attended(fn, mask, vectors, causal) for causal in (False, True)],
             hint="the second axis of the mask is 1, for all heads"),
        Case("is bool, of four axes", mask_inputs(2, 4),
             lambda fn, mask, vectors: [(str(fn(mask, c).dtype), fn(mask, c).ndim) for c in (False, True)],
             kind="shape"),
    ),
    hints=("two questions for each pair (who reads, what is read): is it a token of the text, and does it come before?",
           "None in an index adds an axis: mask[:, None, None, :] is (B, 1, 1, L)",
           "seen & torch.ones(L, L, dtype=torch.bool).tril() is (B, 1, L, L)"))


def pair_inputs(N, D, ids=None):
    """Unit vectors of N pictures and texts, a scale in 1..11, and ids: of few kinds, or all different."""
    def draw(generator):
        pictures, texts = (F.normalize(torch.randn(N, D, generator=generator), dim=1) for _ in "12")
        kinds = whole(generator, 0, ids, N) if ids else torch.randperm(N, generator=generator)
        return pictures, texts, float(1 + 10 * torch.rand((), generator=generator)), kinds
    return draw


def alike_inputs(generator):
    """Pictures and texts that are all the same vector, with ids that repeat."""
    one = F.normalize(torch.randn(1, 5, generator=generator), dim=1).expand(7, 5).clone()
    return one, one.clone(), 3.0, whole(generator, 0, 3, 7)


def perfect_inputs(generator):
    """Each id has a direction of its own, and the scale is so large that nothing else counts."""
    ids = whole(generator, 0, 4, 12)
    return torch.eye(4)[ids], torch.eye(4)[ids], 60.0, ids


def slopes(fn, pictures, texts, scale, ids):
    """The gradients with respect to both embeddings and the scale."""
    given = [pictures.clone().requires_grad_(), texts.clone().requires_grad_(), torch.tensor(scale, requires_grad=True)]
    return list(torch.autograd.grad(fn(*given, ids), given))


INFO_NCE = Exercise(
    id="ch11.info_nce", title="the contrastive loss, with captions that repeat", reference=info_nce, points=4,
    minutes=20, difficulty="medium",
    cases=(
        Case("is log N where all vectors are alike", alike_inputs,
             expect=lambda pictures, *_: torch.tensor(float(len(pictures))).log(),
             hint="the log-softmax of N equal numbers is -log N, and each row of matches(ids) sums to 1"),
        Case("is the mean of two cross-entropies where no id repeats", pair_inputs(6, 4),
             expect=lambda p, t, scale, ids: (F.cross_entropy(scale * p @ t.T, torch.arange(6)) +
                                              F.cross_entropy(scale * t @ p.T, torch.arange(6))) / 2,
             hint="once over the texts of each picture, once over the pictures of each text; then the mean"),
        Case("takes all equal ids as right answers", pair_inputs(9, 4, ids=3), central=True,
             hint="the targets are matches(ids), not the identity matrix"),
        Case("ends at the mean of log(how often an id stands in the batch)", perfect_inputs,
             expect=lambda p, t, scale, ids: (ids[:, None] == ids).float().sum(dim=1).log().mean(),
             hint="minus the sum over j of right[i, j] log p[i, j]: the logarithm first, then the mean over the right "
                  "ones"),
        Case("sends gradients into both towers and the scale", pair_inputs(5, 3, ids=3), slopes, rtol=1e-4,
             hint="the cosines are MULTIPLIED with the scale"),
        Case("is one float32 number", pair_inputs(4, 4, ids=2),
             lambda fn, *given: (lambda loss: [str(loss.dtype), list(loss.shape)])(fn(*given)), kind="shape"),
        Case("works for more pairs than kinds, and as many pairs as axes", pair_inputs(8, 8, ids=2)),
    ),
    hints=("logits = scale * pictures @ texts.T is (N, N): row i has the texts for picture i, column j the pictures",
           "a cross-entropy against weights w is -(w * logits.log_softmax(dim=1)).sum(dim=1).mean()",
           "the other direction is the same for logits.T, since matches(ids) is symmetric"))


def rank_inputs(N, M):
    return lambda generator: (whole(generator, 1, M + 1, N), M, int(whole(generator, 2, M)))


def by_drawing(ranks, M, n):
    """The same by a table of all sets of n - 1 others, for small M."""
    from itertools import combinations
    sets = list(combinations(range(1, M), n - 1))  # the M - 1 others in the order of their cosine
    return sum(sum(min(others) >= r for others in sets) / len(sets) for r in ranks.tolist()) / len(ranks)


RETRIEVAL_AT = Exercise(
    id="ch11.retrieval_at", title="retrieval among fewer candidates, without a draw", reference=retrieval_at, points=3,
    minutes=15, difficulty="medium",
    cases=(
        Case("is the share of first places among all M", lambda g: (whole(g, 1, 4, 30), 40, 40),
             expect=lambda ranks, M, n: float((ranks == 1).double().mean()),
             hint="with n = M all others are there: only rank 1 wins"),
        Case("is the mean over all ways to choose the others", rank_inputs(5, 7), expect=by_drawing, central=True,
             hint="of the M - 1 others r - 1 are better; none of these may be among the n - 1 that are drawn, and "
                  "drawn is without putting back"),
        Case("is 1 without others", lambda g: (whole(g, 1, 10, 6), 9, 1), expect=lambda *_: 1.0),
        Case("is 1/n for ranks that are all equally frequent", lambda g: (torch.randperm(24, generator=g) + 1, 24,
                                                                          int(whole(g, 2, 24))),
             expect=lambda ranks, M, n: 1 / n, hint="that is guessing"),
        Case("is 0 for the last place", lambda g: (lambda M: (torch.full((4,), M), M, 5))(int(whole(g, 6, 30)))),
        Case("counts with thousands of candidates", rank_inputs(20, 3000),
             hint="math.comb counts in whole numbers of any size; divide at the end"),
    ),
    hints=("how many ways are there to choose n - 1 of the M - 1 others? In how many is no better one?",
           "there are M - r others that are not better",
           "math.comb(M - r, n - 1) / math.comb(M - 1, n - 1), and the mean over the ranks"))

EXERCISES = (BPE_MERGE, PAD_MASK, INFO_NCE, RETRIEVAL_AT)
