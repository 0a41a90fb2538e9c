"""At which scales pictures have their power, and at which ones an autoencoder loses it: spectra in rings."""

import math

import torch

HIGHEST = math.sqrt(0.5)  # the corner of the square of frequencies, half a cycle a pixel both ways


def band_edges(n):
    """The edges of n rings of equal width: n + 1 frequencies, from 0 (the mean) to sqrt(1/2) cycles a pixel, floats."""
    return [HIGHEST * k / n for k in range(n + 1)]


def bands_of(H, W, edges):
    """In which band each frequency of an H x W picture lies: (H, W) int64, 0..n - 1, in the order of torch.fft.fft2.

    edges: n + 1 rising floats; a frequency on an edge belongs to the band above it, and the highest to the last one.
    Raises ValueError for a band without any frequency, and for edges that do not reach from 0 to sqrt(1/2).
    """
    if edges[0] > 0 or edges[-1] < HIGHEST - 1e-9:
        raise ValueError(f"edges must reach from 0 to {HIGHEST:.4f} cycles a pixel, got {edges[0]} to {edges[-1]}")
    radius = torch.hypot(torch.fft.fftfreq(H, dtype=torch.float64)[:, None], torch.fft.fftfreq(W, dtype=torch.float64))
    found = torch.bucketize(radius + 1e-12, torch.tensor(edges[1:-1], dtype=torch.float64), right=True)
    if empty := set(range(len(edges) - 1)) - set(found.flatten().tolist()):
        raise ValueError(f"a picture of {H} x {W} pixels has no frequency in band {min(empty)} of {len(edges) - 1}")
    return found


def radial_spectrum(x, edges):
    """The mean power of a frequency in each band, over pictures and channels: x (N, C, H, W) -> (n,) float64.

    |FFT|^2 / (H W): white noise of variance v has v in every band, and the mean over all frequencies is the mean square
    of x (Parseval). In photographs it falls like 1 / f^2 (Field 1987). edges: as in `bands_of`.
    """
    H, W = x.shape[-2:]
    power = torch.fft.fft2(x.double(), norm="ortho").abs().square().flatten(0, -3).mean(dim=0)
    band = bands_of(H, W, edges).flatten().to(power.device)
    total = torch.zeros(len(edges) - 1, dtype=torch.float64, device=power.device).scatter_add(0, band, power.flatten())
    return total / band.bincount(minlength=len(edges) - 1)


def band_psnr(x, truth, edges, span=2.0):
    """The PSNR of x against the truth, (N, C, H, W), in each band, in decibels: (n,) float64.

    10 log10(span^2 / power of the error there): that of a whole picture whose error was as strong at every frequency. A
    white error has its own PSNR in all bands. edges: as in `bands_of`; span: the width of the range of values.
    """
    return 10 * torch.log10(span**2 / radial_spectrum(x - truth, edges))
