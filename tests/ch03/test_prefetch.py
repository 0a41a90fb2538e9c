"""Batches made ahead: the same ones, sooner, and what goes wrong in their thread is said where they are asked for."""

import threading

import pytest
import torch

from minidiff.training.fit import fit
from minidiff.training.prefetch import Prefetch
from tests.ch03.small import batch_at, loss_fn, net


@pytest.fixture
def prefetch():
    made = []

    def make(*args, **options):
        made.append(Prefetch(*args, **options))
        return made[-1]
    yield make
    for each in made:
        each.close()


def test_training_on_prefetched_batches_is_the_same_training(prefetch):
    plain = fit(net(), loss_fn, batch_at, steps=12)
    assert fit(net(), loss_fn, prefetch(batch_at, ahead=3).at, steps=12).losses == plain.losses


@pytest.mark.parametrize("steps", [range(6), [5, 3, 4, 4, 100, 0], [7, 7, 7]])
def test_a_batch_depends_on_its_step_whatever_was_asked_for_before(prefetch, steps):
    made = prefetch(batch_at)
    assert all(torch.equal(made.at(step), batch_at(step)) for step in steps)


def test_the_next_batches_are_made_while_this_one_is_used(prefetch):
    made, third = [], threading.Event()

    def make(step):
        made.append((step, threading.current_thread() is threading.main_thread()))
        if step == 2:
            third.set()
        return step
    assert prefetch(make, ahead=2).at(0) == 0
    assert third.wait(10) and made == [(0, False), (1, False), (2, False)]


def test_an_error_in_the_thread_is_raised_for_its_step_and_no_other(prefetch):
    def make(step):
        if step == 2:
            raise ValueError("batch 2 cannot be made")
        return step
    made = prefetch(make)
    assert [made.at(0), made.at(1)] == [0, 1]
    with pytest.raises(ValueError, match="batch 2"):
        made.at(2)
    assert made.at(3) == 3
    with pytest.raises(ValueError, match="ahead must be at least 1, got 0"):
        Prefetch(make, ahead=0)
