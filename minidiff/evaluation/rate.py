"""How much an autoencoder says of a picture, and how much of the picture comes back: rate against distortion."""

import torch

from minidiff.evaluation.restoration import psnr
from minidiff.process.autoencoding import kl_diag
from minidiff.process.elbo import bits_per_dim, discretized_loglik


@torch.no_grad()
def rate_distortion(net, pictures, generator, batch=500):
    """Rate and distortion of an autoencoder on pictures (N, C, H, W) in [-1, 1] of 256 grey values: {name: float}.

    net: encode(x) -> (mean, log_var), decode(z) -> pictures; one draw of the latents a picture, from `generator`.
    "kl": the rate, in nats a picture; "rate": the same in bits a number of the picture; "mse" and "psnr" (of the mean
    error, span 2): the distortion with drawn latents; "psnr_of_means": with the means in their place; "bits": the bound
    on the bits a number that the whole code takes, rate and pixels, where these are N(picture, mse) in bins (Kingma and
    Welling 2014, eq. 3; Alemi et al. 2018, "Fixing a Broken ELBO"); "posterior_std": the geometric mean of the standard
    deviations of the latents beside that of their means.
    """
    kl, log_vars, means, drawn, at_means = ([] for _ in range(5))
    for x in pictures.split(batch):
        mean, log_var = net.encode(x)
        eps = torch.randn(mean.shape, generator=generator)
        kl.append(kl_diag(mean.double(), log_var.double()))
        log_vars.append(log_var)
        means.append(mean)
        drawn.append(net.decode(mean + (log_var / 2).exp() * eps))
        at_means.append(net.decode(mean))
    kl, log_var, mean, drawn, at_means = map(torch.cat, (kl, log_vars, means, drawn, at_means))
    d, mse = pictures[0].numel(), float((drawn - pictures).double().square().mean())
    pixels = -discretized_loglik(pictures.double(), drawn.double(), mse**0.5).mean()
    rate = float(kl.mean()) / d
    return {"kl": float(kl.mean()), "rate": float(bits_per_dim(torch.tensor(rate))), "mse": mse,
            "psnr": psnr_of(drawn, pictures), "psnr_of_means": psnr_of(at_means, pictures),
            "bits": float(bits_per_dim(rate + pixels)),
            "posterior_std": float((log_var.double().mean() / 2).exp() / mean.double().std())}


def psnr_of(x, truth):
    """The PSNR of a whole set x (N, ...) against the truth, from its mean squared error, in decibels: a float."""
    return float(psnr(x.reshape(1, -1).double(), truth.reshape(1, -1).double()))
