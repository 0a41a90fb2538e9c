"""A path says how much picture and how much noise x_t holds: x_t = alpha(t) x0 + sigma(t) eps."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from minidiff.process.forward import expand_like


@dataclass(frozen=True)
class Path:
    """x_t = alpha(t) x0 + sigma(t) eps for t from 0 (clean) to T (noise).

    alpha, sigma: functions from times, () or (B,), to float64 tensors of the same shape. T: the last time. rates: the
    function t -> (alpha'(t), sigma'(t)), where it is known; alpha_bar: the table (T + 1,) of a path of steps.
    """

    alpha: Callable
    sigma: Callable
    T: float
    rates: Callable | None = None
    alpha_bar: torch.Tensor | None = None

    def at(self, t, x):
        """alpha and sigma at times t, in the shape that multiplies x (B, ...), moved to its device together."""
        return tuple(expand_like(side, x) for side in torch.stack([self.alpha(t), self.sigma(t)]).to(x))

    def mix(self, x0, eps, t):
        """x_t = alpha(t) x0 + sigma(t) eps; x0, eps: (B, ...); t: (), (B,), or (B, F) for frames. The shape of x0."""
        alpha, sigma = self.at(t, x0)
        return alpha * x0 + sigma * eps

    def net_time(self, t):
        """The time that a network is told: 0..1000 on every path, so that its sinusoids can tell any two apart."""
        return t * (1000 / self.T) if self.T != 1000 else t


def discrete_path(alpha_bar):
    """The path of a table alpha_bar: (T + 1,), alpha_bar[0] = 1; times are the integers 0..T.

    alpha = sqrt(alpha_bar), sigma = sqrt(1 - alpha_bar) (Ho et al. 2020, eq. 4). Asked at any other time they raise
    ValueError, and TypeError for times that are not whole.
    """
    alpha, sigma = alpha_bar.sqrt(), (1 - alpha_bar).sqrt()

    def look_up(table):
        def at(t):
            t = torch.as_tensor(t)
            if t.is_floating_point():
                raise TypeError(f"a table of steps is asked at whole times 0..{len(table) - 1}, got {t.dtype}")
            if t.numel() and (t.min() < 0 or t.max() >= len(table)):
                raise ValueError(f"times must lie in 0..{len(table) - 1}, got {t.min().item()}..{t.max().item()}")
            return table[t.cpu()]
        return at

    return Path(look_up(alpha), look_up(sigma), len(alpha_bar) - 1, alpha_bar=alpha_bar)
