"""From the latents of an autoencoder to numbers that a diffusion model likes, and back: once each way."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Normaliser:
    """z -> (z - shift) scale and back, with one shift and scale for all channels, or with one for each.

    shift, scale: lists of floats, of length 1 or of the number of channels, as a checkpoint's description keeps them.
    Stable Diffusion has shift 0 and scale 0.18215 (Rombach et al. 2022, appendix G), FLUX .1159 and .3611.
    """

    shift: list
    scale: list

    def normalise(self, z):
        """Latents z (B, c, h, w) of the encoder -> numbers of mean 0 and standard deviation 1, of that shape."""
        shift, scale = (of_channels(values, z) for values in (self.shift, self.scale))
        return (z - shift) * scale

    def restore(self, u):
        """What `normalise` made, or a diffusion model drew, (B, c, h, w) -> latents that the decoder knows."""
        shift, scale = (of_channels(values, u) for values in (self.shift, self.scale))
        return u / scale + shift


def of_channels(values, z):
    """A list of one number, or of one a channel, beside z (B, c, h, w): (n, 1, 1). Raises ValueError for another n."""
    if len(values) not in (1, z.shape[1]):
        raise ValueError(f"shift and scale must be 1 number or {z.shape[1]}, one a channel, got {len(values)}")
    return torch.tensor(values, dtype=z.dtype, device=z.device)[:, None, None]


def measured(z, per_channel=True):
    """The `Normaliser` of latents z (N, c, h, w): shift is their mean, scale is 1 over their standard deviation.

    per_channel: one of each for every channel; else one for all. Raises ValueError where a channel never changes: an
    autoencoder that does not use it has collapsed there, and 1 / 0 would make noise of it.
    """
    some = z.double().transpose(0, 1).flatten(1) if per_channel else z.double().flatten()[None]
    std = some.std(dim=1)
    if not (std > 1e-4).all():
        raise ValueError(f"the latents of channel {int(std.argmin())} hardly change: their standard deviation is "
                         f"{float(std.min()):.2g}")
    return Normaliser([round(m, 6) for m in some.mean(dim=1).tolist()], [round(1 / s, 6) for s in std.tolist()])


def compression(factor, latent, image_channels=3):
    """(how many times fewer numbers, how many times fewer places) latents have than the picture, two floats.

    factor: pixels a side that become one place; latent: channels of a place. For Stable Diffusion, 8 and 4, 48 and 64.
    """
    places = float(factor**2)
    return places * image_channels / latent, places


def averaged_down(mask, factor):
    """A mask of pixels (B, 1, H, W) as one of latents, (B, 1, H / factor, W / factor): the share of each square kept.

    A place on the border of the mask belongs to both sides, so its share lies between 0 and 1.
    """
    return mask.unflatten(3, (-1, factor)).unflatten(2, (-1, factor)).mean(dim=(3, 5))
