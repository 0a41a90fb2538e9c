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


def moved(x, device):
    """A tensor on the device; to CUDA by way of pinned memory, so that the copy waits for nothing."""
    if torch.device(device).type == "cuda" and not x.is_cuda:
        return x.pin_memory().to(device, non_blocking=True)
    return x.to(device)


class Batches:
    """The endless sequence of shuffled epochs of `images`, cut into batches.

    images: (N, ...), or a dict of such tensors, which are cut as one; size: images a step over all ranks, a multiple of
    `world`; rank: 0..world - 1. Images k N to (k + 1) N - 1 of the sequence are epoch k: every image once, in an order
    that only (seed, k) decides. A batch may span two epochs. Raises ValueError on sizes that do not fit.
    """

    def __init__(self, images, size, seed, rank=0, world=1):
        self._tensors = list(images.values()) if isinstance(images, dict) else [images]
        if len(lengths := {len(x) for x in self._tensors}) > 1:
            raise ValueError(f"the tensors of images must have the same number of rows, got {sorted(lengths)}")
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
        """This rank's batch at step 0, 1, 2, ...: (size / world, ...), or a dict of such tensors."""
        indices = self.indices(step)
        return each(lambda x: x[indices], self.images)

    def indices(self, step):
        """Which images `at(step)` takes: (size / world,) int64, on the device of the images."""
        share, N = self.size // self.world, rows_of(self.images)
        first = step * self.size + self.rank * share
        epochs = range(first // N, (first + share - 1) // N + 1)
        order = torch.cat([self._order(epoch) for epoch in epochs])
        return order[first - epochs[0] * N:][:share]

    def to(self, device):
        """The same batches, with all images on `device` where they take at most half of what is free there.

        A step then waits for no copy. The order is drawn on the CPU, so a seed means the same batches on any device.
        """
        if sum(x.numel() * x.element_size() for x in self._tensors) > free_bytes(device) / 2:
            return self
        return Batches(each(lambda x: x.to(device), self.images), self.size, self.seed, self.rank, self.world)

    def _shuffled(self, epoch):
        generator = torch.Generator().manual_seed((self.seed * 1_000_003 + epoch) % 2**63)
        return moved(torch.randperm(rows_of(self.images), generator=generator), self._tensors[0].device)


def free_bytes(device):
    """How many bytes a device still has for data: what CUDA says; elsewhere data lie where the CPU's do: no limit."""
    device = torch.device(device)
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else math.inf
