"""Cases of chapter 11 that only the grader runs."""

import torch

from minidiff.exercises.ch11 import mask_inputs, pair_inputs, rank_inputs, spread, text_inputs
from minidiff.exercises.ch11_attention import maps, reading_inputs, run
from minidiff.exercises.core import Case


def read_in_float32(fn, x, tokens, mask):
    return run(lambda *sizes: fn(*sizes, heads=1, groups=2), x.double(), tokens.double(), mask).float()


HIDDEN = {
    "ch11.bpe_merge": (
        Case("merges a long text of two kinds of tokens", text_inputs(300, kinds=2)),
        Case("leaves a text alone that lacks the pair", lambda g: (torch.randint(4, 90, (20,), generator=g).tolist(),
                                                                   (100, 101), 300)),
    ),
    "ch11.pad_mask": (
        Case("works for a single text", mask_inputs(1, 9), lambda fn, *given: spread(fn, *given, causal=True)),
        Case("works for texts of one token", mask_inputs(5, 1), spread),
    ),
    "ch11.info_nce": (
        Case("works for many pairs of few kinds", pair_inputs(40, 16, ids=7)),
        Case("works for two pairs", pair_inputs(2, 3)),
    ),
    "ch11.retrieval_at": (
        Case("works for two candidates of many", rank_inputs(50, 200), lambda fn, ranks, M, n: fn(ranks, M, 2)),
        Case("works for a single query", rank_inputs(1, 12)),
    ),
    "ch11.CrossAttention2d": (
        Case("works for a single place and a single token", reading_inputs(3, 8, 1, 1, 1, 5), run),
        Case("works with one head", reading_inputs(2, 6, 5, 2, 7, 3), read_in_float32, rtol=1e-4),
    ),
    "ch11.JointAttention2d": (
        Case("works for a single place and a single token", reading_inputs(3, 8, 1, 1, 1, 5), run),
        Case("shows maps of a long text", reading_inputs(2, 8, 2, 3, 11, 3), maps),
    ),
}
