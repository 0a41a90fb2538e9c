"""The recipe toy-reflow: pairs that belong together, a flow that is straight after training, checkpoints."""

import pytest
import torch

from minidiff.evaluation.convergence import mixture_denoiser
from minidiff.process.couplings import straightness
from minidiff.recipes import toy_reflow
from minidiff.recipes.run import save_model, train
from minidiff.samplers.flow import euler_flow, heun_flow
from minidiff.samplers.step import final_sample
from minidiff.training.errors import CheckpointError
from tests.ch09.worlds import STRAIGHT, gen, grid

EXACT = mixture_denoiser(toy_reflow.ISLANDS, STRAIGHT)


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setitem(toy_reflow.PRESETS, "cpu", {"batch": 512, "pairs": 2000, "fit": {"lr": 8e-3}})


def test_its_rows_are_noise_and_where_the_exact_flow_takes_it(few):
    rows = toy_reflow.build(seed=3).batch_at(0)
    assert rows.shape == (512, 4) and rows.dtype == torch.float32
    end = final_sample(heun_flow(EXACT, rows[:, 2:].double(), grid(64), STRAIGHT))
    torch.testing.assert_close(rows[:, :2], end.float(), rtol=1e-4, atol=1e-4)


def test_a_given_teacher_makes_the_pairs(few):
    run = toy_reflow.build(teacher=lambda x, t: (torch.ones_like(x), (x - (1 - float(t))) / float(t)))
    torch.testing.assert_close(run.batch_at(0)[:, :2], torch.ones(512, 2))
    assert run.config["teacher"] == "given" and toy_reflow.build().config["teacher"] == "exact"


def test_after_training_its_ways_are_straight_and_one_step_arrives(few, tmp_path):
    train(toy_reflow.build(), tmp_path, steps=400, progress=False)
    net, path, target, config = toy_reflow.load(tmp_path / "model.safetensors")
    assert path.T == 1 and target.name == "flow" and config["recipe"] == "toy-reflow"
    start = torch.randn(200, 2, generator=gen())
    true_end = final_sample(heun_flow(EXACT, start.double(), grid(64), STRAIGHT))
    away, bent = {}, {}
    for name, denoiser, x in (("exact", EXACT, start.double()), ("reflowed", toy_reflow.denoiser(net), start)):
        away[name] = float((final_sample(euler_flow(denoiser, x, grid(1), STRAIGHT)) - true_end).norm(dim=1).median())
        way = [x] + [x for _, x, _ in euler_flow(denoiser, x, grid(32), STRAIGHT)]
        bent[name] = straightness(torch.stack(way), grid(32))
    assert away["reflowed"] < 0.15 * away["exact"] and bent["reflowed"] < 0.1 * bent["exact"]


def test_models_of_other_recipes_are_refused(tmp_path):
    save_model(tmp_path / "x.safetensors", torch.nn.Linear(1, 1), {"recipe": "mnist-flow"})
    with pytest.raises(CheckpointError, match="not a model of the recipe toy-reflow"):
        toy_reflow.load(tmp_path / "x.safetensors")
