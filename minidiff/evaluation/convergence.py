"""Does a sampler reach the right point, and how fast? The exact flow of a mixture, and the order that errors show."""

import torch

from minidiff.process.continuous import lambda_of


def mixture_denoiser(mixture, path):
    """The exact denoiser of a `Mixture` along a path: (x (B, D), t, () or (B,)) -> (E[x0 | x_t], E[eps | x_t])."""
    def denoise(x, t):
        alpha, sigma = path.alpha(t), path.sigma(t)
        x0 = mixture.denoise(x, alpha, sigma)
        return x0, (x - alpha[..., None] * x0) / sigma[..., None]
    return denoise


def exact_flow(mixture, x, path, t, s, steps=1000):
    """Where the probability-flow ODE of a `Mixture` takes x from time t to time s, up or down: (B, D) float64.

    x: (B, D) at time t; alpha and sigma must be positive at both times. In y = x / alpha, lambda = log(alpha / sigma)
    the ODE is dy/dlambda = E[x0 | y] - y on every path (Lu et al. 2022, DPM-Solver, eq. 3.4 in other variables), solved
    here by `steps` steps of RK4.
    """
    start, end = lambda_of(path, t), lambda_of(path, s)

    def slopes(state, lam):
        y, = state
        return mixture.denoise(y, torch.ones_like(lam), (-lam).exp()) - y,

    state, h = (x.double() / path.alpha(t),), (end - start) / steps
    for i in range(steps):
        state = rk4_step(slopes, state, start + i * h, h)
    return path.alpha(s) * state[0]


def rk4_step(slopes, state, u, h):
    """One step of the classical Runge-Kutta method, from u to u + h: local error h^5, four evaluations.

    slopes: function (state, u) -> tuple of the derivatives of all tensors in the tuple `state`. Returns a tuple alike.
    """
    def moved(by, k):
        return tuple(y + by * dy for y, dy in zip(state, k, strict=True))

    k1 = slopes(state, u)
    k2 = slopes(moved(h / 2, k1), u + h / 2)
    k3 = slopes(moved(h / 2, k2), u + h / 2)
    k4 = slopes(moved(h, k3), u + h)
    return moved(h / 6, tuple(a + 2 * b + 2 * c + d for a, b, c, d in zip(k1, k2, k3, k4, strict=True)))


def order_of_convergence(steps, errors):
    """The p of errors ~ steps^-p: minus the slope of a straight line fitted to log error over log steps, a float.

    steps, errors: (K,) sequences of positive numbers, K >= 2; else ValueError. Take for each error the median over
    many starting points: a mean is ruled by the few that stand between two modes.
    """
    x, y = (torch.as_tensor(u, dtype=torch.float64) for u in (steps, errors))
    if x.shape != y.shape or x.ndim != 1 or len(x) < 2 or not (torch.cat([x, y]) > 0).all():
        raise ValueError(f"steps and errors must be two or more pairs of positive numbers, got {list(steps)} and "
                         f"{list(errors)}")
    x, y = x.log() - x.log().mean(), y.log()
    return -float((x * y).sum() / x.square().sum())
