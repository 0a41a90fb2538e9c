"""Changing a picture that is there: from half-way into the noise, or around what is kept of it."""

import torch

from minidiff.process.noise import normal_like
from minidiff.samplers.step import ddim_step


def tail(times, strength):
    """The last part of a grid: the share `strength` of its steps, at least one, as (n + 1,) times.

    strength in (0, 1], else ValueError; 1 is the whole grid.
    """
    if not 0 < strength <= 1:
        raise ValueError(f"strength must lie in (0, 1], got {strength}")
    steps = max(1, round(strength * (len(times) - 1)))
    return times[len(times) - 1 - steps:]


def half_way(picture, times, path, strength, generator):
    """Where an edit starts: (x, times), the picture noised to the first time of the tail (Meng et al. 2022, SDEdit).

    picture: (B, ...); the more strength, the less of it is left. Walk from x along the times with any sampler.
    """
    times = tail(times, strength)
    return path.mix(picture, normal_like(picture, generator), times[0]), times


@torch.no_grad()
def inpaint(denoiser, x, times, path, picture, mask, generator, repeats=1):
    """Fill in a picture around what is kept of it (Lugmayr et al. 2022, RePaint, algorithm 1).

    denoiser: (x, t) -> (x0, eps); x: (B, ...) noise at times[0]; times: falling to 0; picture: (B, ...); mask: 1 where
    it is kept, broadcast to it. After each ancestral step the kept region is the picture, noised anew to the same time;
    each step is taken `repeats` times, with a way back up into the noise in between, so that the two regions come to
    agree. The last step pastes clean pixels. Yields (s, x_s, x0). Raises ValueError for repeats < 1.
    """
    if repeats < 1:
        raise ValueError(f"repeats must be at least 1, got {repeats}")
    for t, s in zip(times[:-1], times[1:], strict=True):
        for i in range(repeats):
            x = x if i == 0 else noised_again(x, s, t, path, generator)
            x0, eps = denoiser(x, t)
            new = ddim_step(x0, eps, t, s, path, eta=1.0, generator=generator)
            kept = path.mix(picture, normal_like(picture, generator), s) if path.sigma(s) > 0 else picture
            x = mask * kept + (1 - mask) * new
        yield s.item(), x, x0


def noised_again(x, s, t, path, generator):
    """From x_s up to x_t, t > s, by the forward process: (alpha_t / alpha_s) x_s, and the variance that is missing.

    x: (B, ...), at time s; s < t: times of `path`. Returns (B, ...), at time t.
    """
    ratio = path.alpha(t) / path.alpha(s)
    missing = path.sigma(t) ** 2 - ratio**2 * path.sigma(s) ** 2
    return float(ratio) * x + float(missing.clamp(min=0).sqrt()) * normal_like(x, generator)
