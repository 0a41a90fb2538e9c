"""The error of predicting noise: of a net, and of two predictors that need no training, linear and by heart."""

import torch

from minidiff.process.losses import denoising_loss
from minidiff.process.targets import EPS


@torch.no_grad()
def eps_mse(net, images, path, seed=0, device="cpu", bins=10):
    """The error of the predicted noise on images (N, ...): (mean over t uniform on 1..T, list of means in `bins` of t).

    net: (x_t, t on the scale 0..1000) -> eps; path: of a table of steps.
    """
    generator = torch.Generator().manual_seed(seed)
    logs = [denoising_loss(net, x.to(device), path, EPS, generator)[1] for x in images.split(500)]
    t, each = torch.cat([log["t"] for log in logs]), torch.cat([log["each"].cpu() for log in logs])
    of_bin = (t - 1) * bins // path.T
    return each.mean().item(), [each[of_bin == b].mean().item() for b in range(bins)]


def wiener_eps_mse(images, real, path):
    """The noise error of the best linear denoiser, fitted to `real` (N, ...), on `images` (M, ...), for every t.

    Wiener's filter from the mean and covariance of `real`; path: one of steps. Returns (T + 1,) float64, nan at t = 0.
    With s the covariance's eigenvalues, the error along one of them is (a s / (a s + 1 - a))^2 for the noise and
    sqrt(a (1 - a)) c / (a s + 1 - a) for a picture that lies c away from the mean.
    """
    real, images = real.flatten(1).double(), images.flatten(1).double()
    mean, (values, vectors) = real.mean(dim=0), torch.linalg.eigh(torch.cov(real.T))
    s, c2 = values.clamp(min=0), ((images - mean) @ vectors).square().mean(dim=0)
    a = path.alpha_bar[1:, None]
    v = a * s + 1 - a
    error = ((a * s / v) ** 2 + a * (1 - a) * c2 / v**2).mean(dim=1)
    return torch.cat([error.new_full((1,), torch.nan), error])


@torch.no_grad()
def memoriser_eps_mse(images, real, t, path, generator):
    """The noise error at step t of the ideal denoiser for the training set `real`: it answers with what it has seen.

    Its x0 is the mean of `real` (N, ...) weighted by softmax of the likelihood of x_t; images: (M, ...). A float.
    """
    alpha, sigma = float(path.alpha(t)), float(path.sigma(t))
    real, x0 = real.flatten(1), images.flatten(1)
    eps = torch.randn(x0.shape, generator=generator)
    x_t = alpha * x0 + sigma * eps
    logits = (alpha * x_t @ real.T - alpha**2 / 2 * real.square().sum(dim=1)) / sigma**2
    x0_hat = logits.softmax(dim=1) @ real
    return ((x_t - alpha * x0_hat) / sigma - eps).square().mean().item()
