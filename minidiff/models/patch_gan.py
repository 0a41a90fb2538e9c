"""A critic that judges patches: whether each small part of a picture looks real; and what a net sees on the way."""

from torch import nn

from minidiff.models.layers import GroupNorm


class PatchCritic(nn.Module):
    """Pictures (B, image_channels, H, W) -> logits (B, 1, h, w), each of one patch, positive for "real".

    channels: width after each halving of the grid. A logit sees `patch` pixels a side and no more, so the critic judges
    texture and edges, and leaves to the reconstruction what the picture shows (Isola et al. 2017, section 3.2.2).
    Normalised over groups, not over the batch: real and drawn pictures come in batches of their own.
    """

    def __init__(self, image_channels=3, channels=(64, 128)):
        super().__init__()
        layers, before, self.patch, step = [], image_channels, 1, 1
        for level, c in enumerate(channels):
            layers += [nn.Conv2d(before, c, 4, stride=2, padding=1), *([GroupNorm(8, c)] if level else []),
                       nn.LeakyReLU(0.2)]
            self.patch, step, before = self.patch + 3 * step, 2 * step, c
        self.layers = nn.Sequential(*layers, nn.Conv2d(before, 1, 3, padding=1))
        self.patch += 2 * step

    def forward(self, x):
        return self.layers(x)


def tower_features(tower, x):
    """What the picture tower of `Clip` sees in pictures (B, 3, size, size), level by level: a list of (B, C, h, w).

    tower: a `PictureEncoder`, whose layers are a convolution and a block in turn, after pixels in squares of 2 x 2.
    """
    found, h = [], nn.functional.pixel_unshuffle(x, 2)
    for i, layer in enumerate(tower.layers):
        h = layer(h)
        if i % 2:
            found.append(h)
    return found
