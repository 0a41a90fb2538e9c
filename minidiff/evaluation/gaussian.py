"""Gaussian data: the one world in which denoiser, likelihood and every term of the ELBO are short closed forms."""

import math
from dataclasses import dataclass

import torch

from minidiff.process.forward import expand_like, prior_kl, snr


@dataclass(frozen=True)
class Gaussian:
    """Pictures whose numbers are independent, x0 ~ N(mean, variance).

    mean, variance: tensors that broadcast to one picture, or numbers; variance > 0. Raises ValueError otherwise.
    """

    mean: torch.Tensor
    variance: torch.Tensor

    def __post_init__(self):
        for name in ("mean", "variance"):
            object.__setattr__(self, name, torch.as_tensor(getattr(self, name), dtype=torch.float64))
        if not (self.variance > 0).all():
            raise ValueError(f"variance must be positive, the smallest is {self.variance.min():.3g}")

    def sample(self, n, generator):
        """n independent pictures: (n, ...) float64."""
        shape = torch.broadcast_shapes(self.mean.shape, self.variance.shape)
        return self.mean + self.variance.sqrt() * torch.randn(n, *shape, generator=generator, dtype=torch.float64)

    def log_density(self, x):
        """log p(x) in nats, elementwise: the shape of x, float64."""
        return -0.5 * (torch.log(2 * math.pi * self.variance) + (x - self.mean) ** 2 / self.variance)

    def entropy(self):
        """The mean of -log p(x) in nats: 1/2 log(2 pi e variance), elementwise."""
        return 0.5 * torch.log(2 * math.pi * math.e * self.variance)

    def denoise(self, x_t, alpha, sigma):
        """The best denoiser E[x0 | x_t] when x_t = alpha x0 + sigma eps: the Gaussian conditional mean.

        x_t: (B, ...); alpha, sigma: () or (B,). Holds at alpha = 0 too, where it is the mean. Returns the dtype of x_t.
        """
        mean, variance = self.mean.to(x_t), self.variance.to(x_t)
        alpha, sigma = expand_like(alpha, x_t), expand_like(sigma, x_t)
        return mean + alpha * variance / (alpha**2 * variance + sigma**2) * (x_t - alpha * mean)

    def error(self, alpha_bar):
        """The variance of x0 given x_t, which is the squared error of `denoise`: v / (1 + v SNR).

        alpha_bar: number or tensor in [0, 1]; returns its shape, broadcast with the variance's; 0 at alpha_bar = 1.
        """
        return self.variance * (1 - alpha_bar) / (1 - alpha_bar + self.variance * alpha_bar)

    def elbo_terms(self, alpha_bar):
        """The exact mean of every term of the negative ELBO under `denoise`, in nats per dimension: (T + 1,) float64.

        alpha_bar: (T + 1,). As in `process.elbo.elbo_terms`, but for real numbers instead of grey values, so L_0 is
        the entropy of q(x0 | x_1), a Gaussian decoder with the variance that fits. The sum is at least
        `entropy().mean()`; what is above it is the price of finitely many steps and of a prior that is not q(x_T).
        """
        error = Gaussian(0, self.variance.flatten()).error(alpha_bar[:, None]).mean(dim=1)
        decoder = 0.5 * torch.log(2 * math.pi * math.e * self.error(alpha_bar[1])).mean()
        steps = (snr(alpha_bar[1:-1]) - snr(alpha_bar[2:])) / 2 * error[2:]
        prior = prior_kl((self.mean**2 + self.variance).sqrt(), alpha_bar[-1]).mean()
        return torch.cat([decoder[None], steps, prior[None]])
