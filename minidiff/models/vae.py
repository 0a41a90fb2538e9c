"""A variational autoencoder: a picture becomes the mean and variance of a short code, and a code becomes a picture."""

from torch import nn


class VAE(nn.Module):
    """An encoder and a decoder of three layers each, for flat or square pictures of `pixels` numbers in [-1, 1].

    forward(x (B, ...), eps (B, code)) -> (picture of the shape of x, mean (B, code), log_var (B, code)), where the
    decoder sees the code mean + exp(log_var / 2) eps (Kingma and Welling 2014, section 2.4). decode(z (B, code)) -> (B,
    pixels): with z normal, a draw.
    """

    def __init__(self, pixels=196, code=16, width=256):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(pixels, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 2 * code))
        self.decode = nn.Sequential(
            nn.Linear(code, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, pixels), nn.Tanh())

    def forward(self, x, eps):
        mean, log_var = self.encoder(x.flatten(1)).chunk(2, dim=1)
        z = mean + (log_var / 2).exp() * eps
        return self.decode(z).view_as(x), mean, log_var
