"""Vector quantisation: each place of the latents takes the nearest of K learned codes (van den Oord et al. 2017)."""

import torch
from torch import nn

from minidiff.models.kl_vae import Decoder, Encoder


def straight_through(z, q):
    """q, with the gradient of z: what comes back to q goes on to z unchanged, as if rounding were the identity.

    z, q: (B, ...). Returns the values of q (Bengio et al. 2013; van den Oord et al. 2017, section 3.2).
    """
    return z + (q - z).detach()


class VectorQuantiser(nn.Module):
    """K codes of `dim` numbers. forward(z (B, dim, h, w)) -> (q of the shape of z, indices (B, h, w) in 0..K - 1).

    q is the code that is nearest to z at each place; its gradient goes to the codes, and none to z: for that there is
    `straight_through`. The buffer `use` is the share of places that chose each code lately, and `revive` keeps it.
    """

    def __init__(self, codes, dim):
        super().__init__()
        self.codes = nn.Parameter(torch.empty(codes, dim).uniform_(-1, 1))
        self.register_buffer("use", torch.full((codes,), 1 / codes))

    def nearest(self, z):
        """The index of the nearest code at each place, in float32: z (B, dim, h, w) -> (B, h, w) int64."""
        with torch.autocast(z.device.type, enabled=False):
            places, codes = z.detach().movedim(1, 3).float(), self.codes.detach().float()
            far = codes.square().sum(dim=1) - 2 * places @ codes.T  # and |z|^2, the same for all codes
        return far.argmin(dim=3)

    def forward(self, z):
        indices = self.nearest(z)
        return self.codes[indices].movedim(3, 1), indices

    @torch.no_grad()
    def revive(self, z, indices, generator, least=0.1, decay=0.99):
        """Move codes that hardly anybody chooses to places of this batch, chosen at random; returns how many.

        z (B, dim, h, w), indices: as in `forward`, of one batch; least: a code is dead below this share of its due
        1 / K; decay: of `use`, a moving average over batches (Dhariwal et al. 2020, Jukebox, section 3).
        """
        K, places = len(self.codes), z.detach().movedim(1, 3).flatten(0, 2)
        share = indices.flatten().bincount(minlength=K).to(self.use) / indices.numel()
        self.use.lerp_(share, 1 - decay)
        dead = self.use < least / K
        n = int(dead.sum())
        chosen = torch.randint(len(places), (n,), generator=generator).to(places.device)
        self.codes[dead] = places[chosen].to(self.codes)
        self.use[dead] = 1 / K
        return n


class VQVAE(nn.Module):
    """An autoencoder of K codes: forward(x (B, C, H, W)) -> (picture, z, q, indices (B, H / f, W / f)).

    codes: K; latent: numbers of a code; channels, blocks, patch: as in `Encoder`. The decoder sees q, and its gradient
    reaches the encoder straight through. decode(indices) -> pictures: log2 K bits a place are the whole picture.
    """

    def __init__(self, image_channels=3, codes=256, latent=4, channels=(64, 128), blocks=1, patch=2):
        super().__init__()
        self.encoder = Encoder(image_channels, latent, channels, blocks, patch)
        self.quantiser = VectorQuantiser(codes, latent)
        self.decoder = Decoder(image_channels, latent, channels, blocks, patch)

    def forward(self, x):
        z = self.encoder(x)
        q, indices = self.quantiser(z)
        return self.decoder(straight_through(z, q)), z, q, indices

    def decode(self, indices):
        return self.decoder(self.quantiser.codes[indices].movedim(3, 1))


def codes_in_use(indices, codes):
    """(the share of K codes that occur, the perplexity of their law), floats; indices: int64 of any shape.

    The perplexity exp(-sum p log p) is between 1, where one code does everything, and K, where all are equally frequent
    (van den Oord et al. 2017, in their code).
    """
    p = indices.flatten().bincount(minlength=codes).double() / indices.numel()
    return float((p > 0).double().mean()), float(torch.exp(-torch.special.xlogy(p, p).sum()))
