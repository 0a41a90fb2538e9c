"""Batches: every image once an epoch, a pure function of the step, and shared out between ranks."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minidiff.data import batches as data_batches
from minidiff.data.batches import Batches, rows_of

SIZES = st.tuples(st.integers(1, 40), st.integers(1, 12), st.integers(1, 4), st.integers(0, 2**40))


def sequence(batches, n):
    """The first n images of the endless sequence, over all ranks."""
    steps = range(-(-n // batches[0].size))
    return torch.cat([each.at(step) for step in steps for each in batches])[:n]


@given(SIZES)
def test_every_image_comes_once_an_epoch_over_all_ranks(sizes):
    n, share, world, seed = sizes
    batches = [Batches(torch.arange(n), share * world, seed, rank, world) for rank in range(world)]
    seen = sequence(batches, 3 * n).view(3, n)
    assert torch.equal(seen.sort(1).values, torch.arange(n).expand(3, n))


@given(SIZES, st.integers(0, 1000))
def test_ranks_together_are_the_batch_of_one_process(sizes, step):
    n, share, world, seed = sizes
    whole = Batches(torch.arange(n), share * world, seed).at(step)
    parts = [Batches(torch.arange(n), share * world, seed, rank, world).at(step) for rank in range(world)]
    assert all(part.shape == (share,) for part in parts)
    assert torch.equal(torch.cat(parts), whole)


def test_batch_depends_on_the_step_alone():
    images = torch.randn(50, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    first, second = Batches(images, 8, seed=3), Batches(images, 8, seed=3)
    forwards = [first.at(step) for step in range(20)]
    torch.manual_seed(1)
    backwards = [second.at(step) for step in reversed(range(20))]
    assert all(torch.equal(a, b) for a, b in zip(forwards, reversed(backwards), strict=True))
    assert torch.equal(first.at(7), images[first.indices(7)])


def test_drawing_batches_leaves_the_global_random_state_alone():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    Batches(torch.arange(9), 3, seed=0).at(5)
    assert torch.equal(torch.get_rng_state(), before)


def test_epochs_and_seeds_shuffle_differently():
    images = torch.arange(100)
    batches = Batches(images, 100, seed=0)
    orders = [batches.at(0), batches.at(1), Batches(images, 100, seed=1).at(0), images]
    assert all(not torch.equal(a, b) for i, a in enumerate(orders) for b in orders[:i])


@pytest.mark.parametrize("n, size, per_epoch", [(100, 10, 10), (101, 10, 11), (5, 10, 1)])
def test_per_epoch_steps_see_every_image(n, size, per_epoch):
    batches = Batches(torch.arange(n), size, seed=0)
    assert batches.per_epoch == per_epoch
    assert len(torch.cat([batches.at(step) for step in range(per_epoch)]).unique()) == n
    assert per_epoch == 1 or len(torch.cat([batches.at(step) for step in range(per_epoch - 1)]).unique()) < n


@pytest.mark.parametrize("arguments, reason", [
    ({"size": 0}, "size = 0"), ({"size": 3, "world": 2}, "size = 3, world = 2"),
    ({"size": 4, "rank": 2, "world": 2}, "0..1"), ({"images": torch.zeros(0), "size": 4}, "at least one image")])
def test_sizes_that_do_not_fit_are_refused(arguments, reason):
    with pytest.raises(ValueError, match=reason):
        Batches(**{"images": torch.arange(9), "seed": 0} | arguments)


def named(n):
    return {"x": torch.arange(n) * 10, "label": torch.arange(n)}


def test_tensors_of_a_dict_are_cut_as_one():
    whole, plain = Batches(named(20), 6, seed=1), Batches(torch.arange(20), 6, seed=1)
    for step in range(8):
        batch = whole.at(step)
        assert torch.equal(batch["label"], plain.at(step)) and torch.equal(batch["x"], 10 * batch["label"])
    assert whole.per_epoch == 4 and rows_of(batch) == 6
    with pytest.raises(ValueError, match=r"same number of rows, got \[3, 4\]"):
        Batches({"x": torch.zeros(3), "label": torch.zeros(4)}, 2, seed=0)
    with pytest.raises(ValueError, match="at least one image"):
        Batches({"x": torch.zeros(0)}, 2, seed=0)


@pytest.mark.parametrize("images", [torch.arange(20), named(20)])
def test_images_move_to_a_device_with_room_for_twice_as_much_and_their_order_stays(monkeypatch, images):
    room = 2 * 20 * 8 * (2 if isinstance(images, dict) else 1)
    here = Batches(images, 6, seed=1, rank=1, world=2)
    monkeypatch.setattr(data_batches, "free_bytes", lambda device: room - 1)
    assert here.to("cpu") is here
    monkeypatch.setattr(data_batches, "free_bytes", lambda device: room)
    there = here.to("cpu")
    assert there is not here and (there.size, there.seed, there.rank, there.world) == (6, 1, 1, 2)
    assert all(torch.equal(there.indices(step), here.indices(step)) for step in range(9))


def test_room_on_a_card_is_what_cuda_says_and_elsewhere_no_limit(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1000, 2000))
    assert data_batches.free_bytes("cuda") == 1000 and data_batches.free_bytes("cpu") == float("inf")
