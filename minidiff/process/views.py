"""One picture that several denoisers agree on: each through a view of its own, or each for a part of it.

alpha x0 + sigma eps = x_t holds for what they make together, as it does for each of them.
"""

import torch


def averaged(denoisers, views):
    """The mean of what several denoisers say, each of them through its view (Geng et al. 2024, Visual Anagrams, eq. 4).

    denoisers: each (x, t, **cond) -> (x0, eps); views: for each a pair (there, back) of functions of pictures (B, ...),
    back undoing there. They must turn, flip or permute (be linear and orthogonal), so that noise stays white noise.
    Asks every denoiser at each step. Raises ValueError unless there is a view for each denoiser.
    """
    if len(denoisers) != len(views) or not views:
        raise ValueError(f"each denoiser needs a view, got {len(denoisers)} denoisers and {len(views)} views")

    def agreed(x, t, **cond):
        pairs = [tuple(map(back, ask(there(x), t, **cond)))
                 for ask, (there, back) in zip(denoisers, views, strict=True)]
        return tuple(torch.stack(side).mean(dim=0) for side in zip(*pairs, strict=True))
    return agreed


def hybrid(coarse, fine, smooth):
    """What one denoiser says of the coarse part of a picture and another of the rest (Geng et al. 2024, Factorized).

    coarse, fine: (x, t, **cond) -> (x0, eps); smooth: a linear function of pictures (B, ...) that keeps the coarse
    part, such as a blur. From afar one sees the first, from near the second.
    """
    def denoise(x, t, **cond):
        pairs = zip(coarse(x, t, **cond), fine(x, t, **cond), strict=True)
        return tuple(smooth(a) + b - smooth(b) for a, b in pairs)
    return denoise


def upright(x):
    """The view that changes nothing: (B, ...) -> the same."""
    return x


def upside_down(x):
    """Turned by half a circle: (B, C, H, W) -> the same shape. It undoes itself."""
    return x.flip(-1, -2)
