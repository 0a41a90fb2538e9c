"""A sampler and what has to be known to walk with it: its evaluations, its grid of times, whether it draws noise."""

from collections.abc import Callable
from dataclasses import dataclass


def same(path):
    """The path as it is."""
    return path


@dataclass(frozen=True)
class Sampler:
    """A walk `run(denoiser, x, times, path)` of n steps, which take each * n + more evaluations of the net.

    draws: noise on the way, so that it takes a `generator` too; grid: (path, n) -> n + 1 falling times, where its steps
    are best placed, or None if the recipe shall say; ready: path -> the path that it walks on, as a sampler needs it
    that asks at real times.
    """

    run: Callable
    each: int = 1
    more: int = 0
    draws: bool = False
    grid: Callable | None = None
    ready: Callable = same

    def steps(self, evaluations):
        """The number of steps that so many evaluations pay for. Raises ValueError when there is none."""
        n = (evaluations - self.more) // self.each
        if n < 1:
            raise ValueError(f"one step takes {self.each + self.more} evaluations of the net, got {evaluations}")
        return n
