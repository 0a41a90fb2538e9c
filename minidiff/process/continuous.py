"""Paths for every real time: alpha and sigma as functions instead of tables, and lambda, the clock that all share."""

import math

import torch

from minidiff.process.path import Path


def _path_of_log_alpha(log_alpha, T):
    """The variance-preserving path of a function log alpha(t) <= 0: sigma^2 = 1 - alpha^2, exact near t = 0."""
    def alpha(t):
        return log_alpha(_times(t, T)).exp()

    def sigma(t):
        return (-torch.expm1(2 * log_alpha(_times(t, T)))).sqrt()

    return Path(alpha, sigma, T)


def _times(t, T):
    t = torch.as_tensor(t, dtype=torch.float64).cpu()
    if t.numel() and (t.min() < 0 or t.max() > T):
        raise ValueError(f"times must lie in 0..{T}, got {t.min().item():.4g}..{t.max().item():.4g}")
    return t


def vp_path(beta_min=0.1, beta_max=20.0):
    """The linear schedule for T -> infinity, on t in 0..1 (Song et al. 2021, SDE, eq. 33).

    beta(t) runs from beta_min to beta_max on a line, and log alpha = -t^2 (beta_max - beta_min) / 4 - t beta_min / 2.
    """
    return _path_of_log_alpha(lambda t: -t**2 * (beta_max - beta_min) / 4 - t * beta_min / 2, 1.0)


def cosine_path():
    """alpha = cos(pi t / 2), sigma = sin(pi t / 2) on t in 0..1 (Salimans and Ho 2022, section 4). alpha(1) = 0."""
    def angle(t):
        return _times(t, 1.0) * (math.pi / 2)

    # sin(pi/2 - a) is 0 at t = 1 in floating point too, cos(a) is 6e-17
    return Path(lambda t: torch.sin(math.pi / 2 - angle(t)), lambda t: torch.sin(angle(t)), 1.0)


def interpolated_path(alpha_bar):
    """The path of a table between its steps: log alpha_bar runs straight from one entry to the next.

    alpha_bar: (T + 1,), alpha_bar[0] = 1 and alpha_bar[T] > 0, else ValueError. Times are real, 0..T, and a network
    that was trained on the steps can be asked between them (Lu et al. 2022, DPM-Solver, appendix D.4).
    """
    if alpha_bar[-1] <= 0:
        raise ValueError("a table that ends at alpha_bar = 0 has no logarithm there: take a path that is a formula")
    logs = alpha_bar.double().log() / 2
    T = len(logs) - 1

    def log_alpha(t):
        low = t.floor().long().clamp(max=T - 1)
        return logs[low] + (t - low) * (logs[low + 1] - logs[low])

    return _path_of_log_alpha(log_alpha, float(T))


def in_real_time(path):
    """The path at all real times: a table of steps interpolated, any other path as it is. Raises as those do."""
    return path if path.alpha_bar is None else interpolated_path(path.alpha_bar)


def lambda_of(path, t):
    """lambda = log alpha - log sigma at times t, () or (N,): half the log of the SNR. Infinite where a side is 0."""
    return path.alpha(t).log() - path.sigma(t).log()


def time_of(path, lam):
    """The times at which `lambda_of` is lam, () or (N,) float64, by bisection: lambda falls from t = 0 to t = T.

    Raises ValueError for a value outside of the path's range.
    """
    lam = torch.as_tensor(lam, dtype=torch.float64)
    low, high = torch.zeros_like(lam), torch.full_like(lam, path.T)
    least = lambda_of(path, high)
    if not (lam >= least - 1e-9).all():
        raise ValueError(f"lambda must be at least {least.min():.4g} on this path, got {lam.min():.4g}")
    for _ in range(100):
        middle = (low + high) / 2
        later = lambda_of(path, middle) < lam
        low, high = torch.where(later, low, middle), torch.where(later, middle, high)
    return (low + high) / 2
