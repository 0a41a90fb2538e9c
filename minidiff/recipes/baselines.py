"""vae, gan, diffusion: three small models of the same digits of 14x14 pixels, to be trained at equal compute."""

from dataclasses import replace

import torch
import torch.nn.functional as F

from minidiff.models.gan import GAN
from minidiff.models.unet import UNet
from minidiff.models.vae import VAE
from minidiff.process.denoiser import denoiser_of
from minidiff.process.elbo import kl_gauss
from minidiff.process.losses import denoising_loss
from minidiff.process.path import discrete_path
from minidiff.process.schedules import alpha_bar_of, cosine_betas
from minidiff.process.targets import V
from minidiff.recipes import recipe
from minidiff.recipes.pictures import pictures
from minidiff.recipes.recipe import Draw, Recipe
from minidiff.samplers.ancestral import ANCESTRAL
from minidiff.samplers.sampler import Sampler

CODE = 16


def small(images):
    """Half as many pixels a side, each the mean of four: (N, 1, 28, 28) -> (N, 1, 14, 14)."""
    return F.avg_pool2d(images, 2)


def enlarged(images):
    """Twice as many pixels a side, so that the judge can read them: (N, 1, 14, 14) -> (N, 1, 28, 28)."""
    return F.interpolate(images, scale_factor=2, mode="bilinear")


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
    return denoising_loss(net, x, PATH, V, generator)


def at_once(denoiser, x, times, path):
    """The walk of a model that makes a picture of noise in one go: there is none."""
    yield 0, x, x


def one_go(decode):
    """How a model draws whose decode(net, codes (B, CODE)) gives pictures (B, 196)."""
    return Draw(PATH, lambda net, path: net, (CODE,), Sampler(at_once), steps=1, clip=False,
                decode=lambda net, code: decode(net, code).view(-1, 1, 14, 14))


def small_pictures(config):
    """The training pictures of config["data"], made small: ((N, 1, 14, 14), facts). Raises DataError."""
    tensors, facts = pictures(config)
    return small(tensors["x"]), facts


PATH = discrete_path(alpha_bar_of(cosine_betas()))  # T = 1000 (Nichol and Dhariwal 2021, eq. 17)
CODED = {"net": {"code": CODE}, "batch": 128, "fit": {"lr": 2e-3}}
WALKED = {"net": {"channels": [32, 48], "patch": 2, "width": 64}, "batch": 64, "fit": {"lr": 3e-3, "warmup": 30}}
KINDS = {
    "vae": Recipe("vae", small_pictures, net=lambda config: VAE(**config["net"]), loss=lambda config: vae_loss,
                  presets={"cpu": CODED}, draw=lambda config: one_go(lambda net, code: net.decode(code))),
    "gan": Recipe("gan", small_pictures, net=lambda config: GAN(**config["net"]), loss=lambda config: gan_loss,
                  presets={"cpu": CODED}, draw=lambda config: one_go(lambda net, code: net.draw(code))),
    "diffusion": Recipe(
        "diffusion", small_pictures, net=lambda config: UNet(**config["net"]), loss=lambda config: diffusion_loss,
        presets={"cpu": WALKED}, draw=lambda config: Draw(
            PATH, lambda net, path: denoiser_of(net, path, V), (1, 14, 14), ANCESTRAL, steps=50)),
}


def build(kind, images, seed=0):
    """The run of one kind, "vae", "gan" or "diffusion", on images (N, 1, 14, 14). Raises ValueError on another kind."""
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {kind!r}")
    return recipe.build(replace(KINDS[kind], data=lambda config: (images, {})), data="given", seed=seed)


def draw(kind, net, n, seed=0, steps=None):
    """n pictures (n, 1, 14, 14) in [-1, 1]; steps: evaluations a picture of "diffusion", the others need one."""
    return recipe.sample(KINDS[kind], net, n, seed=seed, steps=steps if kind == "diffusion" else None)
