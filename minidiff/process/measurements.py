"""Linear measurements of pictures (B, C, H, W): what a bad camera leaves of them."""

import torch
import torch.nn.functional as F


def shrunk(x, factor):
    """Fewer pixels: the mean of each square of factor x factor, (B, C, H / factor, W / factor).

    Raises ValueError where the squares do not fill the picture.
    """
    if any(side % factor for side in x.shape[-2:]):
        raise ValueError(f"squares of {factor} x {factor} do not fill {x.shape[-2]} x {x.shape[-1]} pixels")
    return F.avg_pool2d(x, factor)


def blurred(x, width):
    """Blur by a Gaussian of `width` pixels (its standard deviation > 0), cut off at 3 widths; the shape of x.

    Beyond the border the picture goes on as at its border, so a picture of one grey stays as it is.
    """
    reach = max(1, round(3 * width))
    bell = torch.exp(-torch.arange(-reach, reach + 1, dtype=x.dtype, device=x.device) ** 2 / (2 * width**2))
    bell = (bell / bell.sum()).expand(x.shape[1], 1, 1, -1)
    padded = F.pad(x, (reach, reach, reach, reach), mode="replicate")
    across = F.conv2d(padded, bell, groups=x.shape[1])
    return F.conv2d(across, bell.transpose(2, 3), groups=x.shape[1])
