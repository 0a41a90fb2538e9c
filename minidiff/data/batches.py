"""Batches as a pure function of the step, so that a run that was interrupted goes on with the very same images."""

import math
from functools import lru_cache

import torch


def each(of_tensor, batch):
    """A batch with `of_tensor` done to its tensor, or to every tensor of it: a batch is a tensor or a dict of them."""
    return {name: of_tensor(x) for name, x in batch.items()} if isinstance(batch, dict) else of_tensor(batch)


def rows_of(batch):
    """How many rows a batch has: those of its tensor, or of the first of its tensors."""
    return len(next(iter(batch.values())) if isinstance(batch, dict) else batch)


class Batches:
    """The endless sequence of shuffled epochs of `images`, cut into batches.

    images: (N, ...), or a dict of such tensors; size: images a step over all ranks, a multiple of `world`; rank: 0..world - 1. Images k N to
    (k + 1) N - 1 of the sequence are epoch k: every image once, in an order that only (seed, k) decides. A batch may
    span two epochs. Raises ValueError on sizes that do not fit.
    """

    def __init__(self, images, size, seed, rank=0, world=1):
        if rows_of(images) == 0:
            raise ValueError("images must hold at least one image, got none")
        if size < 1 or world < 1 or size % world:
            raise ValueError(f"size must be a positive multiple of world, got size = {size}, world = {world}")
        if not 0 <= rank < world:
            raise ValueError(f"rank must be in 0..{world - 1}, got {rank}")
        self.images, self.size, self.seed, self.rank, self.world = images, size, seed, rank, world
        self._order = lru_cache(maxsize=2)(self._shuffled)

    @property
    def per_epoch(self):
        """After how many steps every image was seen."""
        return math.ceil(rows_of(self.images) / self.size)

    def at(self, step):
        """This rank's batch at step 0, 1, 2, ...: (size / world, ...)."""
        index = self.indices(step)
        return each(lambda x: x[index.to(x.device)], self.images)

    def indices(self, step):
        """Which images `at(step)` takes: (size / world,) int64."""
        share, N = self.size // self.world, rows_of(self.images)
        first = step * self.size + self.rank * share
        epochs = range(first // N, (first + share - 1) // N + 1)
        order = torch.cat([self._order(epoch) for epoch in epochs])
        return order[first - epochs[0] * N:][:share]

    def _shuffled(self, epoch):
        generator = torch.Generator().manual_seed((self.seed * 1_000_003 + epoch) % 2**63)
        return torch.randperm(rows_of(self.images), generator=generator)
