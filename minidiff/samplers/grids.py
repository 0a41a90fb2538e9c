"""Grids of times: the decreasing list of steps that a sampler visits, from T to clean data."""

import torch


def spaced(T, n):
    """n steps evenly spread over T..0: (n + 1,) int64, from T (pure noise) down to 0 (clean); n = T visits every t.

    Raises ValueError unless 1 <= n <= T.
    """
    if not 1 <= n <= T:
        raise ValueError(f"the number of steps must lie in 1..{T}, got {n}")
    return torch.linspace(T, 0, n + 1, dtype=torch.float64).round().long()


def even_times(path, n):
    """n + 1 times of a path from T to 0, evenly spread: whole ones, int64, on a table of steps, else float64."""
    if path.alpha_bar is not None:
        return spaced(path.T, n)
    return torch.linspace(path.T, 0, n + 1, dtype=torch.float64)
