"""The audit of memory: nearest neighbours, the ratio, and the share that innocence predicts."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minidiff.evaluation.memory import memorisation_ratio, nearer_to_train, nearest


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@given(seed=st.integers(0, 1000), n=st.integers(1, 9), m=st.integers(1, 9))
def test_the_nearest_picture_is_found(seed, n, m):
    x, real = normal(n, 1, 3, 4, seed=seed), normal(m, 1, 3, 4, seed=seed + 1)
    distance, index = nearest(x, real)
    for picture, d, i in zip(x, distance, index):
        away = (real - picture).square().flatten(1).sum(dim=1).sqrt()
        assert d == pytest.approx(float(away.min()), rel=1e-5) and away[i] == pytest.approx(float(away.min()), rel=1e-5)


def test_parts_are_joined_in_order_and_a_copy_is_at_distance_zero():
    real = normal(600, 1, 3, 3)
    distance, index = nearest(real.flip(0), real)
    assert torch.equal(index, torch.arange(599, -1, -1)) and distance.max() < 1e-6


def test_the_ratio_is_one_for_new_pictures_and_falls_for_copies():
    train, test, fresh = normal(500, 1, 4, 4), normal(300, 1, 4, 4, seed=1), normal(300, 1, 4, 4, seed=2)
    assert memorisation_ratio(fresh, train, test) == pytest.approx(1, abs=0.1)
    assert memorisation_ratio(train[:100], train, test) == pytest.approx(0, abs=1e-6)
    near = train[:100] + 0.1 * normal(100, 1, 4, 4, seed=3)
    assert memorisation_ratio(near, train, test) < 0.3


def test_pictures_nearer_to_the_mean_look_like_copies_to_the_ratio_and_not_to_the_share():
    train, test, fresh = normal(800, 1, 4, 4), normal(400, 1, 4, 4, seed=1), normal(2000, 1, 4, 4, seed=2)
    faint = 0.5 * fresh
    assert memorisation_ratio(faint, train, test) < 0.8
    share, expected = nearer_to_train(faint, train, test)
    assert expected == 2 / 3 and abs(share - expected) < 0.06
    share, _ = nearer_to_train(train[:200] + 0.1, train, test)
    assert share > 0.95


def test_pictures_of_another_shape_are_refused():
    for wrong in (normal(5, 1, 3, 4), normal(0, 1, 4, 4)):
        with pytest.raises(ValueError, match="pictures of one shape"):
            nearest(normal(5, 1, 4, 4), wrong)
