"""Restoring a picture from a measurement: how near it comes, in decibels, and how much a denoiser leaves open."""

import numpy as np
import torch

from minidiff.process.noise import normal_like


def psnr(x, truth, span=2.0):
    """Peak signal-to-noise ratio of each picture in decibels: 10 log10(span^2 / mean squared error), (B, ...) -> (B,).

    span: the width of the range of values, 2 for [-1, 1]. Infinite for equal pictures.
    """
    return 10 * torch.log10(span**2 / (x - truth).square().flatten(1).mean(dim=1))


@torch.no_grad()
def measured_spread(denoiser, pictures, measure, times, path, generator):
    """What x_t leaves open of a measurement, in the mean over pictures and numbers: a function of t that gives (float).

    denoiser: (x, t) -> (x0, eps); pictures: (B, ...) real ones; measure: a linear function of pictures; times: (K,)
    rising, at each of which measure(x0) is compared with that of the denoiser's x0. Between them the variance is
    interpolated, and outside of them it is that of the nearest. It takes the place of Var[measure(x0) | x_t] in
    `linear_log_likelihood`, which Song et al. 2023 (pseudoinverse-guided diffusion, section 3) assume to be r_t^2.
    """
    seen, left = measure(pictures), []
    for t in times:
        x0, _ = denoiser(path.mix(pictures, normal_like(pictures, generator), t), t)
        left.append(float((measure(x0) - seen).square().mean()))
    return lambda t: float(np.interp(float(t), np.asarray(times), left))
