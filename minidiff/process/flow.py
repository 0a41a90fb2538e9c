"""Flows: x_t moves along a path with a velocity, and the network learns that velocity instead of the noise."""

import torch

from minidiff.process.continuous import time_of
from minidiff.process.forward import expand_like
from minidiff.process.path import Path
from minidiff.process.targets import Target, from_target, to_target


def flow_path():
    """The straight line alpha = 1 - t, sigma = t on t in 0..1 (Liu et al. 2023, eq. 1; Lipman et al. 2023, eq. 20).

    Both papers run time the other way, from noise at 0 to data at 1. Asked outside of 0..1 it raises ValueError.
    """
    def sigma(t):
        t = torch.as_tensor(t, dtype=torch.float64).cpu()
        if t.numel() and (t.min() < 0 or t.max() > 1):
            raise ValueError(f"times must lie in 0..1, got {t.min().item():.4g}..{t.max().item():.4g}")
        return t

    return Path(lambda t: 1 - sigma(t), sigma, 1.0, rates=lambda t: (0 * sigma(t) - 1, 0 * sigma(t) + 1))


FLOW = Target("flow", lambda alpha, sigma: 0 * alpha - 1, lambda alpha, sigma: 0 * alpha + 1)


def rates(path, t):
    """The slopes (alpha'(t), sigma'(t)) of a path that is a formula, at times t: () or (B,) -> two of that, float64.

    By the path's own formula, or by automatic differentiation where it has none. Where sigma starts like a root, as on
    every variance-preserving path, sigma'(0) is not finite.
    """
    if path.rates is not None:
        return path.rates(t)
    with torch.enable_grad():
        t = torch.as_tensor(t, dtype=torch.float64).cpu().detach().requires_grad_()
        sides = (path.alpha(t) + 0 * t, path.sigma(t) + 0 * t)  # 0 t: a constant side, as alpha = 1, has a slope too
        return tuple(torch.autograd.grad(side.sum(), t)[0] for side in sides)


def velocity_target(path, t):
    """The velocity of a path at times t, () or (B,), as a target: A = alpha'(t), B = sigma'(t). FLOW if straight."""
    alpha_rate, sigma_rate = rates(path, t)
    return Target("velocity", lambda alpha, sigma: alpha_rate, lambda alpha, sigma: sigma_rate)


def velocity_of(x0, eps, t, path):
    """The velocity alpha'(t) x0 + sigma'(t) eps of the pair (x0, eps) at t (Albergo et al. 2023, section 2).

    x0, eps: (B, ...); t: () or (B,), in 0..T. With a denoiser's pair it is the mean velocity at x_t.
    """
    return to_target(velocity_target(path, t), x0, eps, path.alpha(t), path.sigma(t))


def pair_of_velocity(u, x_t, t, path):
    """The pair (x0, eps) that a velocity u at x_t stands for: Cramer's rule with d = alpha sigma' - sigma alpha'.

    u, x_t: (B, ...); t: () or (B,). On the straight path d = 1: x0 = x_t - t u and eps = x_t + (1 - t) u, at every t.
    """
    return from_target(velocity_target(path, t), u, x_t, path.alpha(t), path.sigma(t))


def velocity_to_score(u, x_t, t, path):
    """The score grad log q(x_t) of the mean velocity u = E[dx_t/dt | x_t] (Ma et al. 2024, SiT, section 2).

    u, x_t: (B, ...); t: () or (B,) with sigma(t) > 0. Returns the shape of x_t: -eps / sigma.
    """
    _, eps = pair_of_velocity(u, x_t, t, path)
    return -eps / expand_like(path.sigma(t), x_t)


def score_to_velocity(score, x_t, t, path):
    """The mean velocity that belongs to a score: `velocity_to_score` solved for it.

    score, x_t: (B, ...); t: () or (B,) with alpha(t) > 0, else ValueError: pure noise does not say whence.
    """
    alpha, sigma = path.alpha(t), path.sigma(t)
    if (alpha == 0).any():
        raise ValueError("the score does not determine the velocity at alpha = 0 (pure noise)")
    eps = -expand_like(sigma, x_t) * score
    return velocity_of((x_t - expand_like(sigma, x_t) * eps) / expand_like(alpha, x_t), eps, t, path)


def flow_time(path, t):
    """The time on the straight path with the signal and noise of `path` at t, () or (B,): sigma / (alpha + sigma)."""
    alpha, sigma = path.alpha(t), path.sigma(t)
    return sigma / (alpha + sigma)


def as_flow(denoiser, path):
    """A denoiser of any path as one of the straight path: the same net after a change of time and scale.

    (1 - s) x0 + s eps is x_t / (alpha + sigma) for s = sigma / (alpha + sigma), so the pair (x0, eps) is the same. The
    new denoiser takes times in 0..flow_time(path, T), and raises ValueError above, where the old path has no time.
    """
    def denoise(x, t, **cond):
        t = torch.as_tensor(t, dtype=torch.float64).cpu()
        old = time_of(path, torch.log((1 - t) / t))
        return denoiser(expand_like(path.alpha(old) + path.sigma(old), x) * x, old, **cond)
    return denoise


def cfm_loss(velocity, x0, t, eps, path):
    """Conditional flow matching: the squared error of the velocity at given t and eps (Lipman et al. 2023, eq. 9).

    velocity: function (x_t (B, ...), t (B,)) -> (B, ...); x0, eps: (B, ...), drawn independently or as a coupling says;
    t: (B,) in 0..T; path: a formula. Returns the mean over batch and dimensions of
    (velocity(x_t, t) - alpha' x0 - sigma' eps)^2, a scalar.
    """
    return (velocity(path.mix(x0, eps, t), t) - velocity_of(x0, eps, t, path)).square().mean()


def shift_times(t, factor):
    """Move times towards noise: factor t / (1 + (factor - 1) t), which divides alpha / sigma by the factor.

    t: any shape, in [0, 1]; factor > 0, else ValueError; the factors of two shifts multiply (Esser et al. 2024, eq. 23,
    with factor = sqrt(m / n) for m in place of n pixels). Written so that 0 and 1 stay what they are in floating point.
    """
    if not factor > 0:
        raise ValueError(f"factor must be positive, got {factor}")
    return factor * t / (factor * t + (1 - t))
