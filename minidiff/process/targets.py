"""What a network is asked to predict: eps, x0 or v, in one algebra.

The target is A x0 + B eps, with A and B functions of alpha and sigma. Together with x_t = alpha x0 + sigma eps these
are two equations for two unknowns; their determinant d = alpha B - sigma A says where they can be solved.
"""

from collections.abc import Callable
from dataclasses import dataclass

from minidiff.process.forward import expand_like


@dataclass(frozen=True)
class Target:
    """The target A(alpha, sigma) x0 + B(alpha, sigma) eps."""

    name: str
    A: Callable
    B: Callable


EPS = Target("eps", lambda alpha, sigma: 0 * alpha, lambda alpha, sigma: 0 * alpha + 1)
X0 = Target("x0", lambda alpha, sigma: 0 * alpha + 1, lambda alpha, sigma: 0 * alpha)
V = Target("v", lambda alpha, sigma: -sigma, lambda alpha, sigma: alpha)  # Salimans and Ho 2022, section 4


def to_target(target, x0, eps, alpha, sigma):
    """What the network should answer: A x0 + B eps.

    x0, eps: (B, ...); alpha, sigma: () or (B,). Returns the shape and dtype of x0.
    """
    A, B = target.A(alpha, sigma), target.B(alpha, sigma)
    return expand_like(A, x0) * x0 + expand_like(B, x0) * eps


def from_target(target, out, x_t, alpha, sigma):
    """The pair (x0, eps) that a network's answer `out` at x_t stands for: Cramer's rule with the determinant d.

    out, x_t: (B, ...); alpha, sigma: () or (B,). Returns two tensors of the shape of x_t. Raises ValueError where
    d = 0: eps at alpha = 0 (pure noise) does not determine x0, and x0 at sigma = 0 (clean) does not determine eps.
    """
    A, B = target.A(alpha, sigma), target.B(alpha, sigma)
    d = alpha * B - sigma * A
    if (d == 0).any():
        at = "alpha = 0 (pure noise)" if (alpha[d == 0] == 0).any() else "sigma = 0 (clean data)"
        raise ValueError(f"the target {target.name} does not determine x0 and eps at {at}: predict v there")
    A, B, alpha, sigma = (expand_like(u / d, x_t) for u in (A, B, alpha, sigma))
    return B * x_t - sigma * out, alpha * out - A * x_t


def predict_x0(x_t, t, eps, alpha_bar):
    """The picture that x_t would come from if its noise were eps (Ho et al. 2020, eq. 15).

    x_t, eps: (B, ...); t: (B,) int in 0..T, or one int; alpha_bar: (T + 1,). Returns the shape of x_t. Raises
    ValueError where alpha_bar is 0: there x_t is its noise, and any picture would do.
    """
    alpha, sigma = alpha_bar[t].sqrt(), (1 - alpha_bar[t]).sqrt()
    if (alpha == 0).any():
        raise ValueError("x0 cannot be found from eps where alpha_bar = 0: x_t is pure noise there, predict v")
    return (x_t - expand_like(sigma, x_t) * eps) / expand_like(alpha, x_t)
