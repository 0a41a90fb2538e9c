"""vae, gan, diffusion: three small models of the same digits of 14x14 pixels, to be trained at equal compute."""

import torch
import torch.nn.functional as F

from minidiff.data.batches import Batches
from minidiff.models.gan import GAN
from minidiff.models.unet import UNet
from minidiff.models.vae import VAE
from minidiff.process.denoiser import denoiser_of
from minidiff.process.elbo import kl_gauss
from minidiff.process.losses import denoising_loss
from minidiff.process.path import discrete_path
from minidiff.process.schedules import alpha_bar_of, cosine_betas
from minidiff.process.targets import V
from minidiff.recipes.run import Run
from minidiff.samplers.ancestral import ancestral
from minidiff.samplers.grids import spaced
from minidiff.samplers.step import final_sample

CODE = 16
PRESETS = {
    "vae": {"batch": 128, "fit": {"lr": 2e-3}},
    "gan": {"batch": 128, "fit": {"lr": 2e-3}},
    "diffusion": {"batch": 64, "fit": {"lr": 3e-3, "warmup": 30}},
}


def small(images):
    """Half as many pixels a side, each the mean of four: (N, 1, 28, 28) -> (N, 1, 14, 14)."""
    return F.avg_pool2d(images, 2)


def enlarged(images):
    """Twice as many pixels a side, so that the judge can read them: (N, 1, 14, 14) -> (N, 1, 28, 28)."""
    return F.interpolate(images, scale_factor=2, mode="bilinear")


def the_path():
    """The path of `diffusion`: T = 1000, cosine (Nichol and Dhariwal 2021, eq. 17)."""
    return discrete_path(alpha_bar_of(cosine_betas()))


def vae_loss(net, x, generator):
    """Nats a picture: code and reconstruction (Kingma and Welling 2014, eq. 10; Rybkin et al. 2021).

    The pixels are N(picture, v) with the v that fits the batch best, its mean squared error, so no weight is chosen by
    hand: d / 2 log(mse) + KL(code || N(0, 1)), up to a constant. x: (B, ...). Returns (scalar, logs).
    """
    eps = torch.randn(len(x), CODE, generator=generator).to(x)
    picture, mean, log_var = net(x, eps)
    mse = (picture - x).square().mean()
    zero = torch.zeros_like(mean)
    kl = kl_gauss(mean, log_var.exp(), zero, zero + 1).sum(dim=1).mean()
    return x[0].numel() / 2 * mse.log() + kl, {"mse": mse.detach(), "kl": kl.detach()}


def gan_loss(net, x, generator, penalty=1.0):
    """The critic's cross-entropy plus the generator's (Goodfellow et al. 2014, eq. 1, and "non-saturating", section 3).

    To this comes penalty / 2 times the squared slope of the critic at real pictures, without which the two circle each
    other (Mescheder et al. 2018, section 4.1). x: (B, ...). Returns (scalar, logs); 3 log 2 where the critic knows
    nothing.
    """
    z = torch.randn(len(x), CODE, generator=generator).to(x)
    real, fake, fooled = net(x.requires_grad_(), z)
    slope, = torch.autograd.grad(real.sum(), x, create_graph=True)
    critic = F.softplus(-real).mean() + F.softplus(fake).mean()
    steep = slope.square().flatten(1).sum(dim=1).mean()
    return critic + F.softplus(-fooled).mean() + penalty / 2 * steep, {}


def diffusion_loss(net, x, generator):
    """The error of the predicted v (chapter 02) on the cosine path: x (B, ...). Returns (scalar, logs)."""
    return denoising_loss(net, x, the_path(), V, generator)


NETS = {"vae": lambda: VAE(code=CODE), "gan": lambda: GAN(code=CODE),
        "diffusion": lambda: UNet(channels=(32, 48), patch=2, width=64)}
LOSSES = {"vae": vae_loss, "gan": gan_loss, "diffusion": diffusion_loss}


def build(kind, images, seed=0):
    """The run of one kind, "vae", "gan" or "diffusion", on images (N, 1, 14, 14). Raises ValueError on another kind."""
    if kind not in PRESETS:
        raise ValueError(f"kind must be one of {', '.join(PRESETS)}, got {kind!r}")
    torch.manual_seed(seed)
    chosen = PRESETS[kind]
    config = {"recipe": "baselines", "kind": kind, "seed": seed, "batch": chosen["batch"]}
    batches = Batches(images, chosen["batch"], seed)
    return Run(NETS[kind](), LOSSES[kind], batches.at, chosen["fit"] | {"seed": seed}, config)


@torch.no_grad()
def draw(kind, net, n, seed=0, steps=50):
    """n pictures (n, 1, 14, 14) in [-1, 1]; steps: evaluations a picture of "diffusion", the others need one."""
    generator = torch.Generator().manual_seed(seed)
    if kind != "diffusion":
        decode = net.decode if kind == "vae" else net.draw
        return decode(torch.randn(n, CODE, generator=generator)).view(n, 1, 14, 14)
    path = the_path()
    denoiser, times = denoiser_of(net, path, V, clip=(-1, 1)), spaced(path.T, steps)
    starts = torch.randn(n, 1, 14, 14, generator=generator).split(250)
    return torch.cat([final_sample(ancestral(denoiser, x, times, path, generator)) for x in starts])
