"""A convolutional variational autoencoder: a picture becomes a small grid of latents, and the grid a picture again."""

from itertools import pairwise

import torch
from torch import nn

from minidiff.models.clip import Block
from minidiff.models.layers import Attention2d, GroupNorm

LOW, HIGH = -30.0, 20.0  # bounds of log_var (Rombach et al. 2022, in their code)


def reparameterise(mean, log_var, eps):
    """A draw z = mean + exp(log_var / 2) eps from N(mean, exp(log_var)), through which gradients reach both of them.

    mean, log_var: (B, ...); eps: standard normal numbers of that shape, or zeros for the mean itself (Kingma and
    Welling 2014, section 2.4).
    """
    return mean + (log_var / 2).exp() * eps


def middle(channels):
    """What both halves have where the grid is smallest: places that see each other between two residual blocks."""
    return Block(channels), Attention2d(channels, heads=1), Block(channels)


def ending(channels, out):
    """Normalisation and the last convolution of a half."""
    return GroupNorm(8, channels), nn.SiLU(), nn.Conv2d(channels, out, 3, padding=1)


class Encoder(nn.Sequential):
    """Pictures (B, image_channels, H, W) -> (B, out, H / f, W / f), with f = patch 2^(levels - 1).

    channels: the width of each level, from the largest grid down; blocks: residual blocks a level; patch: each square
    of patch x patch pixels is folded into channels before the first convolution.
    """

    def __init__(self, image_channels, out, channels, blocks=1, patch=2):
        layers, before = [nn.PixelUnshuffle(patch)], image_channels * patch**2
        for level, c in enumerate(channels):
            layers += [nn.Conv2d(before, c, 3, stride=1 + (level > 0), padding=1), *(Block(c) for _ in range(blocks))]
            before = c
        super().__init__(*layers, *middle(before), *ending(before, out))


class Decoder(nn.Sequential):
    """Latents (B, latent, h, w) -> pictures (B, image_channels, f h, f w): the levels of `Encoder` in reverse."""

    def __init__(self, image_channels, latent, channels, blocks=1, patch=2):
        channels = list(reversed(channels))
        layers = [nn.Conv2d(latent, channels[0], 3, padding=1), *middle(channels[0])]
        for c, after in pairwise([*channels, None]):
            layers += [Block(c) for _ in range(blocks)]
            if after is not None:
                layers += [nn.Upsample(scale_factor=2, mode="nearest"), nn.Conv2d(c, after, 3, padding=1)]
        super().__init__(*layers, *ending(c, image_channels * patch**2), nn.PixelShuffle(patch))


class KLVAE(nn.Module):
    """The first stage of latent diffusion (Rombach et al. 2022, section 3.1 and appendix G).

    latent: channels of the grid; channels, blocks, patch: as in `Encoder`. What the decoder gives is not bounded.
    encode(x (B, image_channels, H, W)) -> (mean, log_var), each (B, latent, H / f, W / f), log_var within -30..20;
    decode(z) -> pictures; forward(x, eps of the shape of mean) -> (pictures, mean, log_var), with the decoder at
    mean + exp(log_var / 2) eps. Raises ValueError for sides that are no multiple of f, the attribute `factor`.
    """

    def __init__(self, image_channels=3, latent=4, channels=(64, 128), blocks=1, patch=2):
        super().__init__()
        self.latent, self.factor = latent, patch * 2 ** (len(channels) - 1)
        self.encoder = Encoder(image_channels, 2 * latent, channels, blocks, patch)
        self.decoder = Decoder(image_channels, latent, channels, blocks, patch)

    def grid(self, H, W):
        """The shape of the latents of a picture of H x W pixels: (latent, H / f, W / f). Raises ValueError."""
        if H % self.factor or W % self.factor:
            raise ValueError(f"the sides of a picture must be multiples of {self.factor}, got {H} x {W} pixels")
        return self.latent, H // self.factor, W // self.factor

    def encode(self, x):
        self.grid(*x.shape[2:])
        mean, log_var = self.encoder(x).chunk(2, dim=1)
        return mean, log_var.clamp(LOW, HIGH)

    def decode(self, z):
        return self.decoder(z)

    def forward(self, x, eps):
        mean, log_var = self.encode(x)
        return self.decode(reparameterise(mean, log_var, eps)), mean, log_var


def last_layer(net):
    """The weight of the last convolution of a decoder, (out, channels, 3, 3): all that it draws comes out of it."""
    return [layer for layer in net.decoder if isinstance(layer, nn.Conv2d)][-1].weight


@torch.no_grad()
def means(net, pictures, batch=500):
    """The means of the latents of pictures (N, C, H, W), on the CPU: (N, latent, H / f, W / f)."""
    device = next(net.parameters()).device
    return torch.cat([net.encode(some.to(device))[0].cpu() for some in pictures.split(batch)])


@torch.no_grad()
def pictures_of(net, latents, batch=500):
    """What a net draws of latents (N, latent, h, w), on the CPU and kept in [-1, 1]: (N, C, f h, f w)."""
    device = next(net.parameters()).device
    return torch.cat([net.decode(z.to(device)).float().clamp(-1, 1).cpu() for z in latents.split(batch)])
