"""Schedules that end in pure noise: the last step of a table is moved to SNR = 0."""

import torch

from minidiff.process.schedules import checked


def zero_snr(alpha_bar):
    """Rescale a table so that alpha_bar_T = 0, and alpha_bar_1 stays (Lin et al. 2023, algorithm 1).

    alpha_bar: (T + 1,), T >= 2, falling, else ValueError. sqrt(alpha_bar) at t = 1..T is shifted until its last entry
    is 0, then scaled until its first is what it was. Returns a table (T + 1,) float64. On it eps determines no picture
    at T: predict v (`check_target` says so before a training run does).
    """
    root = alpha_bar.double().sqrt()
    if len(root) < 3 or not root[1] > root[-1]:
        raise ValueError(f"a table to be rescaled falls over at least 2 steps, got {len(root) - 1} from "
                         f"{float(alpha_bar[1]):.4g} to {float(alpha_bar[-1]):.4g}")
    moved = (root[1:] - root[-1]) * root[1] / (root[1] - root[-1])
    return checked(torch.cat([root[:1], moved]) ** 2)


def check_target(target, path):
    """Raise ValueError if a network that predicts `target` cannot say at the last time T of `path` what x0 is.

    A sampler starts at T: where d = alpha B - sigma A is 0 there, it could not take its first step.
    """
    alpha, sigma = path.alpha(torch.as_tensor(path.T)), path.sigma(torch.as_tensor(path.T))
    if alpha * target.B(alpha, sigma) == sigma * target.A(alpha, sigma):
        raise ValueError(f"the target {target.name} cannot be used on a path that ends in pure noise (SNR = 0 at "
                         f"T = {path.T:g}): it does not determine x0 there, predict v or x0")
