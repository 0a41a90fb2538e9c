"""What to make of two answers, one with the condition and one without: rules for the picture x0, and what carries them.

A rule is a function of the two pictures, (B, ...) each, that returns one. The linear rule says the same of x0, eps and
v; the others do not, so they are defined on x0, and the noise follows from alpha x0 + sigma eps = x_t.
"""

import torch

from minidiff.process.forward import expand_like


def pair_of_picture(x0, x, t, path):
    """(x0, eps) with the eps for which alpha x0 + sigma eps = x: x0, x (B, ...); t with sigma(t) > 0."""
    alpha, sigma = path.at(t, x)
    return x0, (x - alpha * x0) / sigma


def guided(denoiser, path, null, rule):
    """The denoiser whose picture is rule(with the condition, without it).

    denoiser: (x, t, **cond) -> (x0, eps); null: from the conditions of a batch to those that say "none"; rule: see the
    module. Asks twice.
    """
    def denoise(x, t, **cond):
        picture = rule(denoiser(x, t, **cond)[0], denoiser(x, t, **null(cond))[0])
        return pair_of_picture(picture, x, t, path)
    return denoise


def linear(cond, free, w):
    """free + w (cond - free): classifier-free guidance (Ho and Salimans 2022, eq. 6, with w for their 1 + w)."""
    return free + w * (cond - free)


def rescaled(cond, free, w, share=0.7):
    """The linear rule, its contrast brought back towards that of `cond` (Lin et al. 2023, eqs. 15 and 16).

    Guidance raises the standard deviation of a picture over its pixels; share = 1 gives it that of `cond` exactly,
    share = 0 is the linear rule.
    """
    moved = linear(cond, free, w)
    ratio = spread(cond) / spread(moved)
    return share * ratio * moved + (1 - share) * moved


def thresholded(x0, quantile=0.995):
    """A picture pressed back into [-1, 1] by its own quantile (Saharia et al. 2022, Imagen, section 2.3).

    With s the quantile of |x0| over each picture, or 1 where that is larger: clamp to [-s, s], then divide by s. A
    picture that is in range stays as it is. x0: (B, ...).
    """
    s = torch.quantile(x0.flatten(1).abs(), quantile, dim=1).clamp(min=1)
    s = expand_like(s, x0)
    return x0.clamp(-s, s) / s


def projected(cond, free, w, along=0.0, longest=None):
    """Adaptive projected guidance, without its momentum: the push along `cond` is damped (Sadat et al. 2024, APG).

    The difference cond - free, shortened to the length `longest` where it is longer, is split into the part parallel to
    `cond`, which raises contrast, and the rest, which moves the picture; `along` is the share of the first that stays.
    along = 1 without `longest` is the linear rule, and w = 1 gives `cond`.
    """
    push = cond - free
    if longest is not None:
        push = push * (longest / length(push)).clamp(max=1)
    parallel = inner(push, cond) / inner(cond, cond) * cond
    return cond + (w - 1) * (push - parallel + along * parallel)


def cfg_zero_star(denoiser, path, null, w, still_above=None):
    """CFG-Zero*: the free velocity scaled to fit before the two are compared (Fan et al. 2025, for flows).

    With u = eps - x0 the velocity of the straight path and s = <u_cond, u_free> / |u_free|^2 for each picture, the
    guided velocity is s u_free + w (u_cond - s u_free): for equal answers s = 1, and u_cond - s u_free is orthogonal to
    u_free. still_above: a time above which the answer is a velocity of zero (their "zero-init"), for an underfit net.
    """
    def denoise(x, t, **cond):
        u, u_free = (eps - x0 for x0, eps in (denoiser(x, t, **cond), denoiser(x, t, **null(cond))))
        fitting = inner(u, u_free) / inner(u_free, u_free) * u_free
        move = linear(u, fitting, w)
        if still_above is not None and t > still_above:
            move = torch.zeros_like(move)
        alpha, sigma = path.at(t, x)
        picture = (x - sigma * move) / (alpha + sigma)
        return picture, picture + move
    return denoise


def cfg_plus_plus(denoiser, null, share):
    """CFG++: the picture is guided by a share in 0..1, and the noise stays that of the free answer (Chung et al. 2024).

    The pair no longer makes x_t; a sampler that puts alpha_s x0 + sigma_s eps together, as DDIM does, walks with it.
    """
    def denoise(x, t, **cond):
        x0_free, eps_free = denoiser(x, t, **null(cond))
        return linear(denoiser(x, t, **cond)[0], x0_free, share), eps_free
    return denoise


def inner(a, b):
    """The inner product of each picture of a with that of b: (B, ...) -> (B, 1, ..., 1)."""
    return expand_like((a * b).flatten(1).sum(dim=1), a)


def length(a):
    """The length of each picture as a vector: (B, ...) -> (B, 1, ..., 1)."""
    return inner(a, a).sqrt()


def spread(a):
    """The standard deviation of each picture over its numbers: (B, ...) -> (B, 1, ..., 1)."""
    return expand_like(a.flatten(1).std(dim=1), a)
