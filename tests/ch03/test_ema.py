"""The average of the weights: it forgets its start, and carries whatever a net is made of."""

import copy
import math

import pytest
import torch
from torch import nn

from minidiff.training.ema import ema_decay, ema_update, ema_update_at_once
from minidiff.training.fit import fit
from tests.ch03.small import batch_at, loss_fn, net


def test_average_of_a_constant_is_that_constant():
    kept, new = net(), net()
    for n in range(5):
        ema_update(kept, new, n)
    assert all(torch.equal(a, b) for a, b in zip(kept.parameters(), new.parameters(), strict=True))


def test_average_after_k_updates_has_its_closed_form():
    kept, new = net().double(), net().double()
    start = copy.deepcopy(kept)
    with torch.no_grad():
        for p in new.parameters():
            p.add_(1.0)
    for n in range(7):
        ema_update(kept, new, n, decay=0.6)
    left = math.prod(ema_decay(n, 0.6) for n in range(7))
    for k, s, p in zip(kept.parameters(), start.parameters(), new.parameters(), strict=True):
        assert torch.allclose(k, left * s + (1 - left) * p)


def test_all_weights_at_once_move_as_one_after_the_other_do():
    kept, new = net(), net()
    with torch.no_grad():
        for p in new.parameters():
            p.add_(torch.randn(p.shape, generator=torch.Generator().manual_seed(0)))
    singly = copy.deepcopy(kept)
    for n in (0, 5, 5000):
        ema_update_at_once(kept, new, n)
        ema_update(singly, new, n)
        assert all(torch.equal(p, q) for p, q in zip(kept.parameters(), singly.parameters(), strict=True))


def test_without_warm_up_the_average_keeps_ninety_percent_of_the_random_start():
    assert 0.9999**1000 == pytest.approx(0.905, abs=1e-3)
    assert math.prod(ema_decay(n, 0.9999) for n in range(1000)) < 1e-10


class Mixed(nn.Module):
    """A net with buffers and a frozen weight that are no real numbers, as a quantised one has."""

    def __init__(self):
        super().__init__()
        self.real = nn.Parameter(torch.zeros(3))
        self.codes = nn.Parameter(torch.zeros(3, dtype=torch.int8), requires_grad=False)
        for name, dtype in (("count", torch.int64), ("mask", torch.bool), ("packed", torch.uint8)):
            self.register_buffer(name, torch.zeros(3, dtype=dtype))


def test_what_is_no_real_number_is_copied():
    kept, new = Mixed(), Mixed()
    for value in (*new.parameters(), *new.buffers()):
        value.data.fill_(1)
    ema_update_at_once(kept, new, 0, decay=0.9)
    assert kept.real.tolist() == [pytest.approx(0.9)] * 3
    assert all((getattr(kept, name) == 1).all() for name in ("codes", "count", "mask", "packed"))
    assert [getattr(kept, name).dtype for name in ("codes", "mask")] == [torch.int8, torch.bool]


def test_average_copies_buffers_and_has_no_gradients():
    new, kept = torch.nn.BatchNorm1d(4), torch.nn.BatchNorm1d(4)
    new(torch.randn(8, 4))
    ema_update(kept, new, 0)
    assert torch.equal(kept.running_mean, new.running_mean) and kept.num_batches_tracked == 1
    fitted = fit(net(), loss_fn, batch_at, steps=2)
    assert all(p.grad is None and not p.requires_grad for p in fitted.ema.parameters())
