"""mnist-ddpm: the U-Net of chapter 4 learns to predict the noise in a digit, on 1,000 linear steps."""

from minidiff.process.denoiser import denoiser_of
from minidiff.process.losses import denoising_loss
from minidiff.process.path import discrete_path
from minidiff.process.schedules import alpha_bar_of, linear_betas
from minidiff.process.targets import EPS
from minidiff.recipes.pictures import digit_figures, pictures, unet
from minidiff.recipes.presets import UNET
from minidiff.recipes.recipe import Draw, Recipe
from minidiff.samplers.ancestral import ANCESTRAL


def steps_of(config):
    """The path of T steps with betas on a line (Ho et al. 2020, section 4)."""
    return discrete_path(alpha_bar_of(linear_betas(config["T"], *config["betas"])))


def loss(config):
    """L_simple: the mean squared error of the predicted noise (Ho et al. 2020, eq. 14)."""
    path = steps_of(config)
    return lambda net, batch, generator: denoising_loss(net, batch["x"], path, EPS, generator)


def draw(config):
    """By the ancestral walk of chapter 04, in a hundred steps."""
    return Draw(steps_of(config), lambda net, path: denoiser_of(net, path, EPS), config["shape"], ANCESTRAL, steps=100)


RECIPE = Recipe(
    name="mnist-ddpm", data=pictures, net=unet, loss=loss, draw=draw, measure=digit_figures,
    presets=UNET, config={"shape": [1, 28, 28], "T": 1000, "betas": [1e-4, 0.02]})
