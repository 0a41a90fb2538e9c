"""Stable Diffusion's autoencoder: 512 x 512 pixels become 64 x 64 places of four numbers, and pixels again."""

import torch.nn.functional as F
from torch import nn

from minidiff.models.layers import GroupNorm
from minidiff.models.sd_blocks import GROUPS, AddedTimeBlock, attention_of_one_head

EPS = 1e-6  # of the normalisations; those of the U-Net's blocks have 1e-5


class Halve(nn.Module):
    """A 3x3 convolution of stride 2 that pads at the right and the bottom alone: (B, C, H, W) -> (B, C, H/2, W/2).

    Chapter 04's pads on all sides: the same sizes, but each output lies half a pixel away.
    """

    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, h):
        return self.conv(F.pad(h, (0, 1, 0, 1)))


class Double(nn.Module):
    """Repeat each pixel, then a 3x3 convolution: (B, C, H, W) -> (B, C, 2 H, 2 W)."""

    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, h):
        return self.conv(F.interpolate(h, scale_factor=2.0, mode="nearest"))


def middle_of(channels):
    """Two residual blocks with attention between them, at the lowest resolution: a nn.Sequential."""
    return nn.Sequential(AddedTimeBlock(channels, channels, eps=EPS), attention_of_one_head(channels, EPS),
                         AddedTimeBlock(channels, channels, eps=EPS))


class Encoder(nn.Module):
    """Pictures (B, 3, H, W) -> (B, 2 latent, H/f, W/f), with f = 2^(levels - 1): means, then log variances."""

    def __init__(self, channels, blocks, latent):
        super().__init__()
        self.conv_in = nn.Conv2d(3, channels[0], 3, padding=1)
        layers, h = [], channels[0]
        for level, c in enumerate(channels):
            for _ in range(blocks):
                layers.append(AddedTimeBlock(h, c, eps=EPS))
                h = c
            if level < len(channels) - 1:
                layers.append(Halve(h))
        self.down, self.middle = nn.Sequential(*layers), middle_of(h)
        self.norm, self.conv_out = GroupNorm(GROUPS, h, EPS), nn.Conv2d(h, 2 * latent, 3, padding=1)

    def forward(self, x):
        return self.conv_out(F.silu(self.norm(self.middle(self.down(self.conv_in(x))))))


class Decoder(nn.Module):
    """Latents (B, latent, h, w) -> pictures (B, 3, f h, f w), with one residual block a level more than the encoder."""

    def __init__(self, channels, blocks, latent):
        super().__init__()
        h = channels[-1]
        self.conv_in, self.middle = nn.Conv2d(latent, h, 3, padding=1), middle_of(h)
        layers = []
        for level, c in reversed(list(enumerate(channels))):
            for _ in range(blocks + 1):
                layers.append(AddedTimeBlock(h, c, eps=EPS))
                h = c
            if level:
                layers.append(Double(h))
        self.up = nn.Sequential(*layers)
        self.norm, self.conv_out = GroupNorm(GROUPS, h, EPS), nn.Conv2d(h, 3, 3, padding=1)

    def forward(self, z):
        return self.conv_out(F.silu(self.norm(self.up(self.middle(self.conv_in(z))))))


class SDVAE(nn.Module):
    """The autoencoder of Stable Diffusion 1, f = 8 and 4 channels by default (Rombach et al. 2022, section 3.1).

    channels: width of each level, multiples of 32, from full resolution down; blocks: residual blocks a level.
    forward(x (B, 3, H, W) in [-1, 1], eps (B, latent, H/f, W/f)) -> (picture, mean, log_var), as chapter 05's. Latents
    are as the encoder makes them: the scale at which the denoiser works is not part of this net.
    """

    def __init__(self, channels=(128, 256, 512, 512), blocks=2, latent=4):
        super().__init__()
        self.encoder, self.decoder = Encoder(channels, blocks, latent), Decoder(channels, blocks, latent)
        self.quant, self.post_quant = nn.Conv2d(2 * latent, 2 * latent, 1), nn.Conv2d(latent, latent, 1)

    def encode(self, x):
        """The mean and the log variance of a picture's latent, kept in -30..20: two (B, latent, H/f, W/f)."""
        mean, log_var = self.quant(self.encoder(x)).chunk(2, dim=1)
        return mean, log_var.clamp(-30, 20)

    def decode(self, z):
        """The picture of a latent: (B, latent, h, w) -> (B, 3, f h, f w), in [-1, 1] but for overshoots."""
        return self.decoder(self.post_quant(z))

    def forward(self, x, eps):
        mean, log_var = self.encode(x)
        return self.decode(mean + (log_var / 2).exp() * eps), mean, log_var
