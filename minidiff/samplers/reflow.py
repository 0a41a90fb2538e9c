"""Pairs of noise and picture that a trained flow itself makes: the data of its next, straighter version."""

import torch

from minidiff.samplers.flow import euler_flow
from minidiff.samplers.step import final_sample


def reflow_pairs(denoiser, shape, times, path, generator, walk=euler_flow, batch=1000):
    """Draw noise and walk it to its end: pairs (x0, eps), both of `shape` = (n, ...) (Liu et al. 2023, algorithm 1).

    denoiser: (x, t) -> (x0, eps); times: a grid from path.T to 0; walk: a sampler of `samplers.flow` that draws
    nothing. Row i of x0 is where row i of eps went: keep them together. The noises are drawn at once from `generator`
    and walked `batch` at a time.
    """
    eps = torch.randn(shape, generator=generator)
    return torch.cat([final_sample(walk(denoiser, noise, times, path)) for noise in eps.split(batch)]), eps
