"""Which of many is the right one? Ranks of the truth, and what the same ranks say for fewer candidates."""

import math

import torch

from minidiff.evaluation.metrics import two_sets


def ranks(queries, candidates, truth):
    """The place of the right candidate when all are ordered by their cosine with a query: (N,) int64, 1 is the best.

    queries: (N, D); candidates: (M, D); truth: (N,) int, which candidate is right. A candidate as near as the right one
    counts as before it, so that equal vectors do not look like knowledge. Raises ValueError when shapes do not fit.
    """
    queries, candidates = two_sets(queries, candidates, least=1)
    if truth.shape != queries.shape[:1]:
        raise ValueError(f"truth must be ({len(queries)},), one a query, got {tuple(truth.shape)}")
    cosines = torch.nn.functional.normalize(queries, dim=1) @ torch.nn.functional.normalize(candidates, dim=1).T
    return (cosines >= cosines.gather(1, truth[:, None])).sum(dim=1)


def retrieval_at(ranks, M, n):
    """Retrieval@1 among n candidates, the right one and n - 1 of the M - 1 others drawn at random, a float.

    ranks: (N,) among all M candidates, 1..M. Nothing is drawn: with r - 1 better ones, none of them is among the n - 1
    with probability C(M - r, n - 1) / C(M - 1, n - 1), and the mean over queries of that is the expectation itself.
    Guessing gives 1 / n. Raises ValueError unless 1 <= n <= M.
    """
    if not 1 <= n <= M:
        raise ValueError(f"n must lie in 1..{M}, the number of candidates, got {n}")
    return sum(math.comb(M - r, n - 1) for r in ranks.tolist()) / math.comb(M - 1, n - 1) / len(ranks)


def zero_shot(pictures, prompts):
    """The class whose prompt is nearest by the cosine: pictures (N, D), prompts (K, D) of length 1 -> (N,) in 0..K - 1.

    No classifier is trained; the names of the classes are all that it is told (Radford et al. 2021, section 3.1).
    """
    pictures, prompts = two_sets(pictures, prompts, least=1)
    return (pictures @ prompts.T).argmax(dim=1)


def truth_ranks(samples, truths):
    """The place of each sample's own truth among all truths, by distance: (N,) int64, 1 is the best, 1..N.

    samples, truths: (N, ...), pictures or features; sample i was asked to be truths[i]. The distance is Euclidean;
    truths as near as the right one count as before it. Raises ValueError when the shapes differ.
    """
    samples, truths = two_sets(samples.flatten(1), truths.flatten(1), least=1)
    d = torch.cdist(samples, truths, compute_mode="donot_use_mm_for_euclid_dist")
    return (d <= d.diagonal()[:, None]).sum(dim=1)


def nearest_captions(query, vectors, captions, n=3):
    """The n captions whose vectors (M, D) are nearest to a query (D,) by the cosine: a list of (caption, cosine)."""
    cosines = torch.nn.functional.cosine_similarity(query[None], vectors)
    best = cosines.topk(min(n, len(captions)))
    return [(captions[i], value) for value, i in zip(best.values.tolist(), best.indices.tolist(), strict=True)]
