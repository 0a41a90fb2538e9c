"""Linear measurements of pictures (B, C, H, W): what a bad camera leaves of them (Chung et al. 2023, section 4)."""

import torch


def shrunk(x, factor):
    """Fewer pixels: the mean of each square of factor x factor, (B, C, H / factor, W / factor).

    Raises ValueError where the squares do not fill the picture.
    """
    *first, height, width = x.shape
    if height % factor or width % factor:
        raise ValueError(f"squares of {factor} x {factor} do not fill {height} x {width} pixels")
    return x.reshape(*first, height // factor, factor, width // factor, factor).mean(dim=(-3, -1))


def blurred(x, width):
    """Blur by a Gaussian of `width` pixels (its standard deviation > 0), cut off at 3 widths; the shape of x.

    Beyond the border the picture goes on as at its border, so a picture of one grey stays as it is.
    """
    reach = max(1, round(3 * width))
    bell = torch.exp(-torch.arange(-reach, reach + 1, dtype=x.dtype, device=x.device) ** 2 / (2 * width**2))
    bell = (bell / bell.sum()).expand(x.shape[1], 1, 1, -1)
    down, across = (torch.arange(-reach, side + reach, device=x.device).clamp(0, side - 1) for side in x.shape[-2:])
    padded = x[..., down, :][..., across]
    return torch.conv2d(torch.conv2d(padded, bell, groups=x.shape[1]), bell.mT, groups=x.shape[1])
