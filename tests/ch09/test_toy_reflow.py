"""The recipe toy-reflow: pairs that belong together, a flow that is straight after training, checkpoints."""

from dataclasses import replace

import torch

from minidiff.evaluation.convergence import mixture_denoiser
from minidiff.process.couplings import straightness
from minidiff.recipes.recipe import build, load, sample
from minidiff.recipes.run import train
from minidiff.recipes.toy_reflow import ISLANDS, RECIPE, taught_by
from minidiff.samplers.flow import euler_flow, heun_flow
from minidiff.samplers.step import final_sample
from tests.ch09.worlds import STRAIGHT, gen, grid

EXACT = mixture_denoiser(ISLANDS, STRAIGHT)


def few(recipe, seed=0):
    """A run of the recipe on 2,000 pairs."""
    smaller = {"net": {}, "batch": 512, "fit": {"lr": 8e-3}}
    return build(replace(recipe, presets={"cpu": smaller}), seed=seed, pairs=2000)


def test_its_pairs_are_noise_and_where_the_exact_flow_takes_it():
    pairs = few(RECIPE, seed=3).batch_at(0)
    assert pairs["x0"].shape == pairs["eps"].shape == (512, 2) and pairs["x0"].dtype == torch.float32
    end = final_sample(heun_flow(EXACT, pairs["eps"].double(), grid(64), STRAIGHT))
    torch.testing.assert_close(pairs["x0"], end.float(), rtol=1e-4, atol=1e-4)


def test_a_given_teacher_makes_the_pairs():
    run = few(taught_by(lambda x, t: (torch.ones_like(x), (x - (1 - float(t))) / float(t))))
    torch.testing.assert_close(run.batch_at(0)["x0"], torch.ones(512, 2))
    assert run.config["teacher"] == "given" and few(RECIPE).config["teacher"] == "exact"


def test_after_training_its_ways_are_straight_and_one_step_arrives(tmp_path):
    train(few(RECIPE), tmp_path, steps=400, progress=False)
    recipe, net = load(tmp_path)
    assert recipe.config["recipe"] == "toy-reflow" and recipe.config["data"] == "islands"
    draw = recipe.draw(recipe.config)
    start = torch.randn(200, 2, generator=gen())
    true_end = final_sample(heun_flow(EXACT, start.double(), grid(64), STRAIGHT))
    away, bent = {}, {}
    for name, denoiser, x in (("exact", EXACT, start.double()), ("reflowed", draw.denoiser(net, draw.path), start)):
        away[name] = float((final_sample(euler_flow(denoiser, x, grid(1), STRAIGHT)) - true_end).norm(dim=1).median())
        way = [x] + [x for _, x, _ in euler_flow(denoiser, x, grid(32), STRAIGHT)]
        bent[name] = straightness(torch.stack(way), grid(32))
    assert away["reflowed"] < 0.15 * away["exact"] and bent["reflowed"] < 0.1 * bent["exact"]
    points = sample(recipe, net, 300)
    assert points.shape == (300, 2) and 1 < points.abs().max() < 3  # points are no pictures, and are not clipped
    assert (points.sign() == torch.tensor([1.0, 1.0])).all(dim=1).any()
