"""EDM: noise on an unscaled picture, and a network whose inputs and targets have unit size at every noise level."""

import torch

from minidiff.process.forward import expand_like
from minidiff.process.noise import normal_like
from minidiff.process.path import Path
from minidiff.process.targets import Target, from_target, to_target


def ve_path(T=80.0):
    """The path that keeps the picture and adds noise: alpha = 1, sigma = t for t in 0..T (Karras et al. 2022).

    Asked outside of 0..T it raises ValueError.
    """
    def sigma(t):
        t = torch.as_tensor(t, dtype=torch.float64).cpu()
        if t.numel() and (t.min() < 0 or t.max() > T):
            raise ValueError(f"times must lie in 0..{T}, got {t.min().item():.4g}..{t.max().item():.4g}")
        return t

    return Path(lambda t: torch.ones_like(sigma(t)), sigma, T)


def edm_precond(sigma, sigma_data):
    """The four coefficients of x0_hat = c_skip x + c_out F(c_in x, c_noise) (Karras et al. 2022, table 1).

    sigma: () or (B,), > 0, the noise on a picture of standard deviation sigma_data. Returns (c_skip, c_out, c_in,
    c_noise), each like sigma: c_in makes the input's variance 1, c_out the target's, and c_skip is the one for which
    c_out, and with it the weight of F's errors, is smallest.
    """
    total = sigma**2 + sigma_data**2
    c_skip, c_out = sigma_data**2 / total, sigma * sigma_data / total.sqrt()
    return c_skip, c_out, 1 / total.sqrt(), sigma.log() / 4


def f_target(sigma_data):
    """What EDM's network predicts, F = (x0 - c_skip x) / c_out, as a Target on any path.

    With r = sqrt(sigma^2 + alpha^2 sigma_data^2) it is (sigma x0 / sigma_data - alpha sigma_data eps) / r; at
    sigma_data = 1 on a variance-preserving path that is -v.
    """
    def root(alpha, sigma):
        return (sigma**2 + alpha**2 * sigma_data**2).sqrt()

    return Target("F", lambda alpha, sigma: sigma / (sigma_data * root(alpha, sigma)),
                  lambda alpha, sigma: -alpha * sigma_data / root(alpha, sigma))


def edm_denoiser_of(net, path, sigma_data):
    """Turn a network that predicts F into a denoiser (x, t, **cond) -> (x0, eps).

    net: (c_in x, c_noise, **cond) -> F; x: (B, ...); t: () or (B,), with sigma > 0. On a path with alpha != 1 the
    network sees x / alpha at the noise level sigma / alpha.
    """
    target = f_target(sigma_data)

    def denoise(x, t, **cond):
        alpha, sigma = path.alpha(t), path.sigma(t)
        _, _, c_in, c_noise = edm_precond(sigma / alpha, sigma_data)
        out = net(expand_like(c_in / alpha, x) * x, c_noise.to(x.device), **cond).to(x.dtype)
        return from_target(target, out, x, alpha, sigma)

    return denoise


def draw_sigmas(n, generator, mean=-1.2, std=1.2):
    """n noise levels for training, ln sigma ~ N(mean, std^2): (n,) float64 (Karras et al. 2022, table 1)."""
    return torch.exp(mean + std * torch.randn(n, generator=generator, dtype=torch.float64))


def edm_loss(net, x0, sigma_data, generator):
    """The mean squared error on F at random noise levels, EDM's weighted loss (Karras et al. 2022, eq. 8).

    net: (c_in x (B, ...), c_noise (B,)) -> F; x0: (B, ...). The weight (sigma^2 + sigma_data^2) / (sigma sigma_data)^2
    on the error of x0 is 1 on the error of F. Levels and noise are drawn from `generator`. Returns (scalar
    float32 loss, {"sigma": (B,), "each": (B,)}).
    """
    sigma = draw_sigmas(len(x0), generator)
    eps = normal_like(x0, generator)
    _, _, c_in, c_noise = edm_precond(sigma, sigma_data)
    x = x0 + expand_like(sigma, x0) * eps
    out = net(expand_like(c_in, x) * x, c_noise.to(x0.device))
    target = to_target(f_target(sigma_data), x0, eps, torch.ones_like(sigma), sigma)
    each = (out.float() - target).square().flatten(1).mean(dim=1)
    return each.mean(), {"sigma": sigma, "each": each.detach()}
