"""A generative adversarial network: one net draws pictures, the other is asked whether they are real."""

from torch import nn
from torch.func import functional_call


class GAN(nn.Module):
    """A generator and a critic of three layers each, for pictures of `pixels` numbers in [-1, 1].

    draw(z (B, code)) -> (B, pixels). forward(x (B, ...), z (B, code)) -> three columns of logits (B, 1), positive for
    "real": of x; of the drawn pictures, with gradients for the critic alone; of the same pictures, with gradients for
    the generator alone. So one step of one optimiser moves both nets at once (Goodfellow et al. 2014, without their
    alternation). Normalising over the batch, in the generator only: Radford et al. 2016.
    """

    def __init__(self, pixels=196, code=16, width=256):
        super().__init__()
        self.draw = nn.Sequential(
            nn.Linear(code, width), nn.BatchNorm1d(width), nn.ReLU(),
            nn.Linear(width, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, pixels), nn.Tanh())
        self.critic = nn.Sequential(
            nn.Linear(pixels, width), nn.LeakyReLU(0.2), nn.Linear(width, width), nn.LeakyReLU(0.2),
            nn.Linear(width, 1))

    def forward(self, x, z):
        drawn = self.draw(z)
        frozen = {name: weight.detach() for name, weight in self.critic.named_parameters()}
        return self.critic(x.flatten(1)), self.critic(drawn.detach()), functional_call(self.critic, frozen, (drawn,))
