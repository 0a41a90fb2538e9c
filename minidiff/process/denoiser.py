"""A denoiser answers, at x_t, with the picture and the noise: (x, t, **cond) -> (x0, eps)."""

import torch

from minidiff.process.forward import per_image
from minidiff.process.targets import from_target


def denoiser_of(net, path, target, clip=None):
    """Turn a network that predicts `target` along `path` into a denoiser.

    net: (x, t on the scale 0..1000, **cond) -> the target; clip: None, or (low, high) for x0, after which eps is
    derived again so that alpha x0 + sigma eps = x_t still holds. The denoiser takes x (B, ...) and t, () or (B,), in
    the path's own time, and returns (x0, eps) of the shape of x.
    """
    def denoise(x, t, **cond):
        t = torch.as_tensor(t)
        alpha, sigma = path.alpha(t), path.sigma(t)
        out = net(x, path.net_time(t).to(x.device), **cond).to(x.dtype)
        x0, eps = from_target(target, out, x, alpha, sigma)
        if clip is not None:
            x0 = x0.clamp(*clip)
            eps = (x - per_image(alpha, x) * x0) / per_image(sigma, x)
        return x0, eps
    return denoise
