"""How near is a restored picture to the true one? Decibels."""

import torch

def psnr(x, truth, span=2.0):
    """Peak signal-to-noise ratio of each picture in decibels: 10 log10(span^2 / mean squared error), (B, ...) -> (B,).

    span: the width of the range of values, 2 for [-1, 1]. Infinite for equal pictures.
    """
    return 10 * torch.log10(span**2 / (x - truth).square().flatten(1).mean(dim=1))
