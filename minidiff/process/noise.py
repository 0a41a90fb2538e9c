"""Normal noise, drawn where its generator lives: one stream of numbers for a batch, or one for each picture of it."""

import torch


class Streams:
    """A generator for each picture, so that picture i of a seed is the same in every batch (Karras et al. 2024, EDM2).

    seed: an int; first, n: the pictures first..first + n - 1 of that seed. `normal_like` takes it as a generator for
    tensors of n rows, and draws row i from stream first + i. Like every default generator, they live on the CPU.
    """

    def __init__(self, seed, first, n):
        self.each = [torch.Generator().manual_seed((seed * 1_000_003 + first + i) % 2**63) for i in range(n)]


def normal_like(x, generator=None):
    """Standard normal numbers of the shape and dtype of x, drawn on the device of `generator` and moved to that of x.

    x: (B, ...); generator: a torch.Generator, None for torch's global one on the CPU, or `Streams` of B pictures, each
    of which draws its own row. Raises ValueError when there are not B of them.
    """
    if not isinstance(generator, Streams):
        device = "cpu" if generator is None else generator.device
        return torch.randn(x.shape, generator=generator, dtype=x.dtype, device=device).to(x.device)
    if len(generator.each) != len(x):
        raise ValueError(f"one stream a picture: got {len(generator.each)} streams for a batch of {len(x)}")
    return torch.stack([torch.randn(x.shape[1:], generator=g, dtype=x.dtype) for g in generator.each]).to(x.device)
