"""Ranks of the truth, and retrieval among fewer candidates without drawing any."""

import math
from itertools import combinations

import pytest
import torch

from minidiff.evaluation.retrieval import nearest_captions, ranks, retrieval_at, truth_ranks, zero_shot


def test_ranks_by_hand_and_a_tie_is_no_knowledge():
    candidates = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [2.0, 0.0]])
    queries = torch.tensor([[1.0, 0.1], [0.1, 1.0], [1.0, 0.2]])
    assert ranks(queries, candidates, torch.tensor([0, 1, 2])).tolist() == [2, 1, 4]  # the first ties with the fourth
    assert (ranks(torch.ones(5, 2), torch.ones(9, 2), torch.arange(5)) == 9).all()


def test_retrieval_among_fewer_is_the_mean_over_all_subsets():
    """By the definition: every subset of n candidates that holds the right one."""
    generator = torch.Generator().manual_seed(0)
    queries, candidates = (torch.randn(k, 3, generator=generator) for k in (4, 6))
    truth = torch.tensor([2, 0, 5, 1])
    found = ranks(queries, candidates, truth)
    cosines = torch.nn.functional.normalize(queries) @ torch.nn.functional.normalize(candidates).T
    for n in range(1, 7):
        hits = [float(cosines[q, [t, *others]].argmax() == 0) for q, t in enumerate(truth.tolist())
                for others in combinations([c for c in range(6) if c != t], n - 1)]
        assert math.isclose(retrieval_at(found, 6, n), sum(hits) / len(hits), abs_tol=1e-9), n


def test_guessing_gives_one_over_n():
    everywhere = torch.arange(1, 201)
    for n in (1, 2, 10, 200):
        assert math.isclose(retrieval_at(everywhere, 200, n), 1 / n, rel_tol=1e-9)


@pytest.mark.parametrize("n", [0, 7])
def test_more_candidates_than_there_are_is_an_error(n):
    with pytest.raises(ValueError, match="n must lie in 1..6"):
        retrieval_at(torch.tensor([1, 2]), 6, n)


def test_zero_shot_takes_the_nearest_prompt():
    prompts = torch.eye(3)
    assert zero_shot(torch.tensor([[0.2, 0.9, 0.1], [0.6, 0.5, 0.0], [0.0, 0.1, 0.2]]), prompts).tolist() == [1, 0, 2]


def test_the_rank_of_one_s_own_truth():
    truths = torch.tensor([[0.0], [1.0], [2.0], [3.0]])
    samples = torch.tensor([[0.1], [2.4], [2.1], [0.0]])
    assert truth_ranks(samples.view(4, 1, 1), truths.view(4, 1, 1)).tolist() == [1, 3, 1, 4]
    with pytest.raises(ValueError, match="features of one width"):
        truth_ranks(samples, torch.zeros(4, 2))


def test_a_wrong_shape_of_truth_is_named():
    with pytest.raises(ValueError, match=r"truth must be \(3,\)"):
        ranks(torch.randn(3, 2), torch.randn(5, 2), torch.arange(4))


def test_nearest_captions_are_sorted_by_cosine():
    found = nearest_captions(torch.tensor([1.0, 0.2]), torch.tensor([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), "abc", 2)
    assert [name for name, _ in found] == ["b", "c"] and found[0][1] > found[1][1]
