"""A denoiser answers, at x_t, with the picture and the noise: (x, t, **cond) -> (x0, eps)."""

import torch

from minidiff.process.targets import from_target


def denoiser_of(net, path, target):
    """Turn a network that predicts `target` along `path` into a denoiser.

    net: (x, t on the scale 0..1000, **cond) -> the target. The denoiser takes x (B, ...) and t, () or (B,), in the
    path's own time, and returns (x0, eps) of the shape of x.
    """
    def denoise(x, t, **cond):
        t = torch.as_tensor(t)
        out = net(x, path.net_time(t).to(x.device), **cond).to(x.dtype)
        return from_target(target, out, x, path.alpha(t), path.sigma(t))
    return denoise


def clipped(denoiser, path, low=-1.0, high=1.0):
    """A denoiser whose pictures stay within low..high: the outermost wrapper, after any guidance.

    x0 is clamped, and eps derived again, so that alpha x0 + sigma eps = x_t still holds. Pictures have a range; latents
    have none, and are not clipped.
    """
    def denoise(x, t, **cond):
        x0 = denoiser(x, t, **cond)[0].clamp(low, high)
        alpha, sigma = path.at(t, x)
        return x0, (x - alpha * x0) / sigma
    return denoise
