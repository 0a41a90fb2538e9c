"""Noise schedules: how much noise each of the T steps adds.

One convention in the whole course: steps are t = 1..T, and t = 0 is clean data. A table has T + 1 entries, is indexed
by t itself, and is kept in float64 on the CPU: in float32 the small end of the product has only four right digits.
"""

import math
import warnings

import torch


def as_table(beta):
    """Put the 0 of clean data in front of beta_1..beta_T, so that entry t belongs to step t: (T,) -> (T + 1,) float64.

    Raises ValueError for a schedule without steps.
    """
    if beta.ndim != 1 or len(beta) == 0:
        raise ValueError(f"beta must be (T,) with T >= 1, got shape {tuple(beta.shape)}")
    return torch.cat([torch.zeros(1, dtype=torch.float64), beta.double()])


def linear_betas(T=1000, beta_1=1e-4, beta_T=0.02):
    """The variances beta_t of a straight line from beta_1 to beta_T (Ho et al. 2020, section 4).

    Returns (T + 1,) float64 with betas[0] = 0, so that betas[t] is the variance that step t adds.
    """
    return as_table(torch.linspace(beta_1, beta_T, T, dtype=torch.float64))


def scaled_linear_betas(T=1000, beta_1=0.00085, beta_T=0.012):
    """A straight line in sqrt(beta_t): the schedule of Stable Diffusion (Rombach et al. 2022, released code).

    Returns (T + 1,) float64 with betas[0] = 0.
    """
    return as_table(torch.linspace(beta_1**0.5, beta_T**0.5, T, dtype=torch.float64) ** 2)


def cosine_betas(T=1000, s=0.008, largest=0.999):
    """Betas whose alpha_bar falls like a squared cosine (Nichol and Dhariwal 2021, eq. 17).

    The last betas would reach 1, so they are clipped at `largest`; `alpha_bar_of` then recomputes the product.
    Returns (T + 1,) float64 with betas[0] = 0.
    """
    u = torch.arange(T + 1, dtype=torch.float64) / T
    f = torch.cos((u + s) / (1 + s) * math.pi / 2) ** 2
    return as_table((1 - f[1:] / f[:-1]).clamp(max=largest))


def alpha_bar_of(betas):
    """alpha_bar_t, the product of 1 - beta_s over s = 1..t (Ho et al. 2020, eq. 4).

    betas: (T + 1,) with betas[0] = 0. Returns (T + 1,) float64 with alpha_bar[0] = 1. Raises and warns like `checked`.
    """
    return checked(torch.cumprod(1 - betas.double(), dim=0))


def checked(alpha_bar):
    """Return a table alpha_bar (T + 1,) as it is, if it can be one: 1 at t = 0, and from there down, never below 0.

    Raises ValueError otherwise. Warns when alpha_bar_T > 1e-2: then x_T still holds signal, and sampling from N(0, I)
    starts at the wrong place. Few steps need larger betas, not fewer of the same.
    """
    if alpha_bar.ndim != 1 or len(alpha_bar) < 2:
        raise ValueError(f"alpha_bar must be a table (T + 1,) with T >= 1, got shape {tuple(alpha_bar.shape)}")
    if alpha_bar[0] != 1:
        raise ValueError(f"alpha_bar[0] must be 1 (t = 0 is clean data), got {alpha_bar[0]:.4g}: betas[0] must be 0")
    falls = (alpha_bar[1:] <= alpha_bar[:-1]) & (alpha_bar[1:] >= 0)
    if not falls.all():
        t = int(falls.int().argmin()) + 1
        raise ValueError(f"alpha_bar must fall from 1 towards 0, got {alpha_bar[t]:.4g} after {alpha_bar[t - 1]:.4g} "
                         f"at t = {t}: betas are variances between 0 and 1")
    if alpha_bar[-1] > 1e-2:
        warnings.warn(f"alpha_bar_T = {alpha_bar[-1]:.3g} > 0.01: x_T still holds {alpha_bar[-1].sqrt():.0%} of the "
                      f"picture; use larger betas for T = {len(alpha_bar) - 1} steps", stacklevel=3)
    return alpha_bar
