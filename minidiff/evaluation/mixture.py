"""A mixture of Gaussians: the one world in which density, score and best denoiser are known exactly, at every noise."""

import math
from dataclasses import dataclass

import torch


def gmm_log_parts(x, weights, means, stds):
    """log w_k N(x; m_k, s_k^2 I) of every part k of a mixture, in nats.

    x: (B, D); weights: (K,), positive, summing to 1; means: (K, D), or (B, K, D) with one set per point; stds: (K,) or
    (B, K), positive. Returns (B, K); its softmax over k is the share r_k of each part in the density at x.
    """
    square = (x[..., None, :] - means).square().sum(dim=-1)
    return weights.log() - x.shape[-1] * (math.sqrt(2 * math.pi) * stds).log() - square / (2 * stds**2)


def gmm_score(x, weights, means, stds):
    """The score grad_x log p(x) of a mixture: every part pulls towards its mean, weighted by its share at x.

    Arguments as in `gmm_log_parts`. Returns (B, D): sum_k r_k (m_k - x) / s_k^2.
    """
    share = torch.softmax(gmm_log_parts(x, weights, means, stds), dim=-1)
    pull = (means - x[..., None, :]) / stds[..., None] ** 2
    return (share[..., None] * pull).sum(dim=-2)


@dataclass(frozen=True)
class Mixture:
    """The density sum_k w_k N(m_k, s_k^2 I) on R^D, in float64.

    weights: (K,), positive, summing to 1; means: (K, D) or (B, K, D); stds: (K,) or (B, K), positive. Raises
    ValueError otherwise.
    """

    weights: torch.Tensor
    means: torch.Tensor
    stds: torch.Tensor

    def __post_init__(self):
        for name in ("weights", "means", "stds"):
            object.__setattr__(self, name, torch.as_tensor(getattr(self, name), dtype=torch.float64))
        K = len(self.weights)
        if not (self.weights > 0).all() or abs(self.weights.sum() - 1) > 1e-9:
            raise ValueError(f"weights must be positive and sum to 1, got {self.weights.tolist()}")
        if self.means.ndim < 2 or self.means.shape[-2] != K or self.stds.shape[-1:] != (K,):
            raise ValueError(f"{K} weights need means (..., {K}, D) and stds (..., {K}), got "
                             f"{tuple(self.means.shape)} and {tuple(self.stds.shape)}")
        if not (self.stds > 0).all():
            raise ValueError(f"stds must be positive, the smallest is {self.stds.min():.3g}")

    def noised(self, alpha, sigma):
        """The mixture of x_t = alpha x0 + sigma eps: means alpha m_k, variances alpha^2 s_k^2 + sigma^2.

        alpha, sigma: () for all points, or (B,), one pair per point. Returns a Mixture.
        """
        alpha, sigma = (torch.as_tensor(u, dtype=torch.float64)[..., None] for u in (alpha, sigma))
        return Mixture(self.weights, alpha[..., None] * self.means, (alpha**2 * self.stds**2 + sigma**2).sqrt())

    def sample(self, n, generator):
        """n independent draws, (n, D), of a mixture with one set of means."""
        part = torch.multinomial(self.weights, n, replacement=True, generator=generator)
        noise = torch.randn(n, self.means.shape[-1], generator=generator, dtype=torch.float64)
        return self.means[part] + self.stds[part, None] * noise

    def log_density(self, x):
        """log p(x) in nats: (B, D) -> (B,)."""
        return torch.logsumexp(gmm_log_parts(x.double(), self.weights, self.means, self.stds), dim=-1)

    def score(self, x):
        """grad_x log p(x): (B, D) -> (B, D)."""
        return gmm_score(x.double(), self.weights, self.means, self.stds)

    def share(self, x):
        """The probability that x came from each part: (B, D) -> (B, K), rows sum to 1."""
        return torch.softmax(gmm_log_parts(x.double(), self.weights, self.means, self.stds), dim=-1)

    def denoise(self, x_t, alpha, sigma):
        """The best denoiser E[x0 | x_t] when x_t = alpha x0 + sigma eps and x0 comes from this mixture.

        x_t: (B, D); alpha, sigma: () or (B,). Per part it is the Gaussian conditional mean, averaged by the share of
        the part at x_t; nothing is divided by alpha, so it holds at alpha = 0 too. Returns (B, D).
        """
        noised = self.noised(alpha, sigma)
        gain = (torch.as_tensor(alpha, dtype=torch.float64)[..., None] * self.stds**2 / noised.stds**2)[..., None]
        part = self.means + gain * (x_t.double()[..., None, :] - noised.means)
        return (noised.share(x_t)[..., None] * part).sum(dim=-2)
