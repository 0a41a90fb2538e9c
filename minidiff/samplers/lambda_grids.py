"""Grids of real times: even in lambda, or even in a root of the noise level; both end in clean data."""

import math

import torch

from minidiff.process.continuous import lambda_of, time_of


def lambda_grid(path, n, first, last):
    """n times from `first` to `last` in equal steps of lambda, then 0: (n + 1,) float64 (Lu et al. 2022, section 3.4).

    first > last: times of `path` with 0 < sigma and 0 < alpha. Raises ValueError unless n >= 1 and 0 < last < first.
    """
    if n < 1 or not 0 < last < first:
        raise ValueError(f"a grid has n >= 1 steps from `first` down to `last` > 0, got {n}, {first} and {last}")
    start, end = lambda_of(path, first), lambda_of(path, last)
    times = time_of(path, start + (end - start) * torch.linspace(0, 1, n, dtype=torch.float64))
    return torch.cat([times, torch.zeros(1, dtype=torch.float64)])


def karras_sigmas(n, low, high, rho=7.0):
    """n noise levels from `high` to `low`, even in their rho-th root, then 0: (n + 1,) (Karras et al. 2022, eq. 5).

    rho = 1 is even in sigma, rho = 7 crowds near 0. Raises ValueError unless n >= 1 and 0 < low < high.
    """
    if n < 1 or not 0 < low < high:
        raise ValueError(f"a grid has n >= 1 levels from `high` down to `low` > 0, got {n}, {high} and {low}")
    u = torch.linspace(0, 1, n, dtype=torch.float64)
    sigmas = (high ** (1 / rho) + u * (low ** (1 / rho) - high ** (1 / rho))) ** rho
    return torch.cat([sigmas, torch.zeros(1, dtype=torch.float64)])


def karras_grid(path, n, first, last, rho=7.0):
    """The times of `path`, from `first` to `last` and then 0, at which sigma / alpha runs through `karras_sigmas`."""
    low, high = ((-lambda_of(path, t)).exp().item() for t in (last, first))
    return torch.cat([time_of(path, -karras_sigmas(n, low, high, rho)[:-1].log()), torch.zeros(1, dtype=torch.float64)])


def noise_levels(path, highest, lowest):
    """The times at which sigma / alpha is `highest` (or T, where it never is) and `lowest`: two float64 scalars."""
    end = torch.tensor(float(path.T), dtype=torch.float64)
    first = end if lambda_of(path, end) > -math.log(highest) else time_of(path, -math.log(highest))
    return first, time_of(path, -math.log(lowest))


def lambda_times(path, n, highest=160.0, lowest=0.1):
    """`lambda_grid` on any path: n steps from `highest` to `lowest`, bounds of sigma / alpha, the last one to 0."""
    return lambda_grid(path, n, *noise_levels(path, highest, lowest))


def karras_times(path, n, highest=80.0, lowest=0.002):
    """`karras_grid` on any path, between the levels sigma / alpha of Karras et al. 2022, table 1."""
    return karras_grid(path, n, *noise_levels(path, highest, lowest))
