"""A small recipe to plug things into, and the whole way of one: trained, kept, read again, drawn from."""


import pytest
import torch

from minidiff.models.unet import UNet
from minidiff.process.denoiser import denoiser_of
from minidiff.process.losses import denoising_loss
from minidiff.process.path import discrete_path
from minidiff.process.schedules import alpha_bar_of, linear_betas
from minidiff.process.targets import EPS
from minidiff.recipes.recipe import Draw, Recipe, build, load, sample
from minidiff.recipes.run import train
from minidiff.samplers.ancestral import ANCESTRAL
from tests.nets import normal

PATH = discrete_path(alpha_bar_of(linear_betas(50, 1e-3, 0.3)))


def random_pictures(config, n=32):
    """n pictures of config["shape"] and what they add to the description: nothing."""
    return {"x": normal(n, *config["shape"]).clamp(-1, 1)}, {}


def noise_of(net, batch, generator):
    return denoising_loss(net, batch["x"], PATH, EPS, generator)


def draws(config, **how):
    return Draw(**{"path": PATH, "denoiser": lambda net, path: denoiser_of(net, path, EPS), "shape": config["shape"],
                   "sampler": ANCESTRAL, "steps": 3} | how)


def preset(**net):
    return {"cpu": {"net": net, "batch": 8, "fit": {"lr": 1e-3, "warmup": 1}}}


PLAIN = Recipe("plain", random_pictures, net=lambda config: UNet(config["shape"][0], **config["net"]),
               loss=lambda config: noise_of, draw=draws, presets=preset(channels=[8, 8], width=16),
               config={"shape": [1, 4, 4]})


PLUGGED = {}


@pytest.fixture
def plug(recipes_folder):
    """A function that makes a recipe one of the course's, by a file of its own in the folder of recipes."""
    def plugged(recipe):
        PLUGGED[recipe.name] = recipe
        (recipes_folder / f"{recipe.name.replace('-', '_')}.py").write_text(
            f"from tests.course.plugged import PLUGGED\n\nRECIPE = PLUGGED[{recipe.name!r}]\n")
        return recipe
    return plugged


def whole_way(recipe, folder, n=3, **cond):
    """From the recipe through training and its file to n pictures: (recipe, net, pictures)."""
    run = build(recipe)
    fitted, _ = train(run, folder, steps=2, progress=False)
    read, net = load(folder)
    assert read.config == run.config
    saved = fitted.ema.state_dict()
    for name, value in net.state_dict().items():
        torch.testing.assert_close(value, saved[name], rtol=0, atol=1e-3 * float(saved[name].abs().max()))
    pictures = sample(read, net, n, **cond)
    assert pictures.isfinite().all()
    return read, net, pictures
