"""Every sampler of the command line, on every trained model of the course: digits, and the same ones for every n."""

import json
from functools import cache

import pytest
import torch

from minidiff.cli.samplers import GRIDS, SAMPLERS, grid_named, sampler_named
from minidiff.evaluation.digits import JUDGE
from minidiff.models.unet import UNet
from minidiff.places import CHECKPOINTS
from minidiff.recipes.catalogue import find
from minidiff.recipes.mnist_ddpm import RECIPE
from minidiff.recipes.pictures import digit_figures, judge_of
from minidiff.recipes.recipe import load, sample
from minidiff.samplers.sampler import Sampler

NOISE = json.loads(JUDGE.with_suffix(".json").read_text())["metrics"]["null"]["noise"]
MODELS = [file.stem for file in sorted(CHECKPOINTS.glob("*.safetensors")) if find(file.stem).measure is digit_figures]
N = 24  # so few that the distance of real digits is itself near 300: its bias falls like 1 / N

load_once = cache(lambda name: load(CHECKPOINTS / f"{name}.safetensors"))


@pytest.fixture
def tiny():
    """A net for the recipe's pictures that a test can run many times."""
    torch.manual_seed(0)
    net = UNet(channels=(8, 8), patch=4).eval().requires_grad_(False)
    torch.nn.init.normal_(net.conv_out.weight, std=0.1)  # it starts at zero, where no two pictures would differ
    return net


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_draws_digits_at_10_evaluations_from_every_model(name, sampler):
    recipe, net = load_once(name)
    asked = []
    counted = net.register_forward_pre_hook(lambda net, inputs: asked.append(len(inputs[0])))
    images = sample(recipe, net, N, steps=10, sampler=sampler_named(sampler), batch=N)
    counted.remove()
    assert len(asked) <= 10, "--steps counts evaluations of the net"
    assert judge_of("mnist").distance(images) < 0.4 * NOISE


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_picture_i_of_a_seed_is_the_same_for_every_n_and_batch(sampler, tiny):
    def drawn(n, batch, seed=3):
        return sample(RECIPE, tiny, n, steps=7, sampler=sampler_named(sampler), seed=seed, batch=batch)

    many, few = drawn(5, 2), drawn(3, 3)
    torch.testing.assert_close(many[:3], few, rtol=1e-4, atol=1e-4)
    assert (many[0] - many[1]).abs().max() > 0.1 and (drawn(1, 1, seed=4)[0] - many[0]).abs().max() > 0.1


def test_a_name_is_that_of_a_sampler_of_its_module():
    assert all(isinstance(sampler_named(name), Sampler) for name in SAMPLERS)
    with pytest.raises(ValueError, match="no sampler 'nosuch'; there are ancestral, ddim"):
        sampler_named("nosuch")


@pytest.mark.parametrize("kind", GRIDS)
@pytest.mark.parametrize("name", MODELS)
def test_grids_of_every_model_fall_to_clean(name, kind):
    recipe, _ = load_once(name)
    path = sampler_named("heun").ready(recipe.draw(recipe.config).path)
    times = grid_named(kind)(path, 7)
    assert len(times) == 8 and (times.diff() < 0).all() and times[-1] == 0


@pytest.mark.parametrize("sampler", ["heun", "unipc", "lms", "plms"])
def test_a_sampler_that_cannot_start_without_any_picture_says_so(sampler):
    recipe, net = load_once("mnist-flow")
    with pytest.raises(ValueError, match="alpha = 0"):
        sample(recipe, net, 1, steps=10, sampler=sampler_named(sampler), grid=grid_named("time"))
