"""Which of the T trained steps does a walk of n steps visit? The three published spacings."""

import torch

from minidiff.samplers.grids import spaced

SPACINGS = ("trailing", "leading", "linspace")


def timestep_subset(T, n, spacing="trailing"):
    """n of the steps T..1, evenly apart, and clean data at the end: (n + 1,) int64, decreasing, the last entry 0.

    "trailing" starts at T and takes steps of T / n, the last one to 0: the grid of chapter 04. "leading" takes steps of
    T // n, the last one from 1 to 0, and does not visit T unless n = T or n = 1 = T. "linspace" visits both T and 1
    (Lin et al. 2023, table 2). Raises ValueError unless 1 <= n <= T and for another spacing.
    """
    if spacing not in SPACINGS:
        raise ValueError(f"spacing must be one of {', '.join(SPACINGS)}, got {spacing!r}")
    trailing = spaced(T, n)
    if spacing == "trailing":
        return trailing
    if spacing == "leading":
        steps = 1 + T // n * torch.arange(n - 1, -1, -1)
    else:
        steps = 1 + torch.linspace(T - 1, 0, n, dtype=torch.float64).round().long()
    return torch.cat([steps, torch.zeros(1, dtype=torch.int64)])
