"""mnist-edm: the U-Net of chapter 4 with EDM's inputs, targets and noise levels, drawn with Heun's method."""

from minidiff.process.edm import edm_denoiser_of, edm_loss, ve_path
from minidiff.recipes.pictures import digit_figures, pictures, unet
from minidiff.recipes.presets import UNET
from minidiff.recipes.recipe import Draw, Recipe
from minidiff.samplers.heun import HEUN
from minidiff.samplers.lambda_grids import karras_times


def of_c_noise(net):
    """A U-Net, which knows times on a scale of 1000, as a function of c_noise = ln(sigma) / 4."""
    return lambda x, c_noise, **cond: net(x, 1000 * c_noise, **cond)


def loss(config):
    """The error of F at random noise levels (Karras et al. 2022, eq. 8)."""
    return lambda net, batch, generator: edm_loss(of_c_noise(net), batch["x"], config["sigma_data"], generator)


def draw(config):
    """By Heun's method on Karras' grid, in 18 steps."""
    return Draw(ve_path(config["sigma_max"]),
                lambda net, path: edm_denoiser_of(of_c_noise(net), path, config["sigma_data"]),
                config["shape"], HEUN, steps=35, grid=karras_times)


RECIPE = Recipe(
    name="mnist-edm", data=pictures, net=unet, loss=loss, draw=draw, measure=digit_figures, presets=UNET,
    config={"shape": [1, 28, 28],
            "sigma_data": 0.62,  # the standard deviation of MNIST's pixels in [-1, 1]
            "sigma_max": 80.0})  # Karras et al. 2022, table 1
