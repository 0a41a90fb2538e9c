"""Noise schedules: how much noise each of the T steps adds.

One convention in the whole course: steps are t = 1..T, and t = 0 is clean data. A table has T + 1 entries, is indexed
by t itself, and is kept in float64 on the CPU: in float32 the cumulative product is wrong by 1.7e-4 at its small end.
"""

import math
import warnings

import torch


def linear_betas(T=1000, beta_1=1e-4, beta_T=0.02):
    """The variances beta_t of a straight line from beta_1 to beta_T (Ho et al. 2020, section 4).

    Returns (T + 1,) float64 with betas[0] = 0, so that betas[t] is the variance that step t adds.
    """
    return _table(torch.linspace(beta_1, beta_T, T, dtype=torch.float64))


def scaled_linear_betas(T=1000, beta_1=0.00085, beta_T=0.012):
    """A straight line in sqrt(beta_t): the schedule of Stable Diffusion (Rombach et al. 2022, released code).

    Returns (T + 1,) float64 with betas[0] = 0.
    """
    return _table(torch.linspace(beta_1**0.5, beta_T**0.5, T, dtype=torch.float64) ** 2)


def cosine_betas(T=1000, s=0.008, largest=0.999):
    """Betas whose alpha_bar falls like a squared cosine (Nichol and Dhariwal 2021, eq. 17).

    The last betas would reach 1, so they are clipped at `largest`; `alpha_bar_of` then recomputes the product.
    Returns (T + 1,) float64 with betas[0] = 0.
    """
    u = torch.arange(T + 1, dtype=torch.float64) / T
    f = torch.cos((u + s) / (1 + s) * math.pi / 2) ** 2
    return _table((1 - f[1:] / f[:-1]).clamp(max=largest))


def alpha_bar_of(betas):
    """alpha_bar_t, the product of 1 - beta_s over s = 1..t (Ho et al. 2020, eq. 4).

    betas: (T + 1,) with betas[0] = 0. Returns (T + 1,) float64 with alpha_bar[0] = 1.
    Warns when alpha_bar_T > 1e-2: then the last step still holds signal, and sampling from N(0, I) starts at the wrong
    place. Few steps need larger betas, not fewer of the same.
    """
    if betas.ndim != 1 or betas[0] != 0:
        raise ValueError(f"betas must be a table (T + 1,) with betas[0] = 0 (t = 0 is clean data), got shape "
                         f"{tuple(betas.shape)}" + (f" and betas[0] = {betas[0]:.3g}" if betas.ndim == 1 else ""))
    if not ((betas >= 0) & (betas <= 1)).all():
        raise ValueError(f"betas are variances between 0 and 1, got values from {betas.min():.3g} to {betas.max():.3g}")
    alpha_bar = torch.cumprod(1 - betas.double(), dim=0)
    if alpha_bar[-1] > 1e-2:
        warnings.warn(f"alpha_bar_T = {alpha_bar[-1]:.3g} > 0.01: x_T still holds {alpha_bar[-1].sqrt():.0%} of the "
                      f"picture; use larger betas for T = {len(betas) - 1} steps", stacklevel=2)
    return alpha_bar


def _table(beta):
    return torch.cat([torch.zeros(1, dtype=torch.float64), beta])
