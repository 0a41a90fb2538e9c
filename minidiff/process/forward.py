"""The forward process: from a picture to noise, one step at a time or in one jump."""

import torch

from minidiff.process.noise import normal_like


def expand_like(values, x):
    """Give a table entry per image the shape that multiplies images: (B,) -> (B, 1, 1, 1), in dtype and device of x.

    values: (), (B,), or (B, F) for the frames of films; x: (B, ...) or (B, F, ...). A scalar stays a scalar. Raises
    ValueError when the sizes of `values` are not the first sizes of x.
    """
    if values.shape != x.shape[:values.ndim]:
        count, batch = (" x ".join(map(str, sizes)) for sizes in (values.shape, x.shape[:values.ndim]))
        raise ValueError(f"one time per image: got {count} times for a batch of {batch}")
    return values.to(x).reshape(values.shape + (1,) * (x.ndim - values.ndim if values.ndim else 0))


def q_step(x, t, betas, generator=None):
    """One step of the forward process, x_{t-1} -> x_t (Ho et al. 2020, eq. 2).

    x: (B, ...) float; t: (B,) int in 1..T, or one int for all; betas: (T + 1,). Draws one normal number per number
    of x from `generator`. Returns x_t like x.
    """
    beta = expand_like(betas[t], x)
    noise = normal_like(x, generator)
    return (1 - beta).sqrt() * x + beta.sqrt() * noise


def q_sample(x0, t, eps, alpha_bar):
    """Noise x0 to step t in one jump (Ho et al. 2020, eq. 4).

    x0, eps: (B, ...) float; t: (B,) int in 0..T, or one int for all; alpha_bar: (T + 1,). Returns x_t like x0.
    """
    alpha, sigma = alpha_bar[t].sqrt(), (1 - alpha_bar[t]).sqrt()  # in float64: 1 - alpha_bar is tiny at small t
    return expand_like(alpha, x0) * x0 + expand_like(sigma, x0) * eps


def snr(alpha_bar):
    """The signal-to-noise ratio alpha_bar / (1 - alpha_bar), infinite at t = 0 (Kingma et al. 2021, eq. 2)."""
    return alpha_bar / (1 - alpha_bar)


def prior_kl(x0, alpha_bar_T):
    """KL(q(x_T | x0) || N(0, I)) in nats per dimension, elementwise: what of the picture is left at T.

    x0: any shape, in [-1, 1]; alpha_bar_T: a number or a 0-d tensor in (0, 1). Returns the shape of x0, float64.
    """
    a = torch.as_tensor(alpha_bar_T, dtype=torch.float64)
    return 0.5 * (a * x0.double() ** 2 - a - torch.log1p(-a))


def brightness_ratio(alpha_bar_T, d, sd):
    """Spread of brightness of generated over real pictures when x_T is wrongly drawn from N(0, I).

    For pictures of one constant shade, N(0, sd^2), and `d` pixels, walked back by the probability-flow ODE from N(0, I)
    instead of the true q(x_T); the effect is that of Lin et al. 2023, the formula our own (chapter 01, eq. 1.12).
    alpha_bar_T in [0, 1]; returns a float, 1 when alpha_bar_T = 0.
    """
    a = float(alpha_bar_T)
    return 1 / (a * d * sd**2 + 1 - a) ** 0.5
