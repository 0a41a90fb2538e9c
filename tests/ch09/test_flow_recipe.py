"""The recipe mnist-flow: what it trains on, what it draws, and that its checkpoint is what the record says."""

import json

import pytest
import torch

from minidiff.data.load import load as load_data
from minidiff.evaluation.digits import load_judge
from minidiff.process.flow import FLOW, flow_path
from minidiff.process.weighted_loss import logit_normal_times
from minidiff.recipes import mnist_flow
from minidiff.recipes.run import CHECKPOINTS, save_model, train
from minidiff.training.errors import CheckpointError
from tests.nets import awake
from tests.ch09.worlds import gen

MODEL = CHECKPOINTS / "mnist-flow.safetensors"
SMALL = {"net": {"channels": [8, 16], "patch": 2, "width": 32}, "batch": 16, "fit": {"lr": 3e-3, "warmup": 5}}


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setitem(mnist_flow.PRESETS, "cpu", SMALL)
    monkeypatch.setattr(mnist_flow, "load_data", lambda name, split, n: load_data("strokes", "train", n=256))


def test_it_learns_strokes_and_is_read_again(small, tmp_path):
    run = mnist_flow.build("cpu", "strokes")
    fitted, record = train(run, tmp_path, steps=60, progress=False)
    assert sum(fitted.losses[-10:]) < 0.6 * sum(fitted.losses[:10])
    assert record["steps"] == 60 and record["data"] == "strokes" and record["target"] == "flow"
    net, path, target, config = mnist_flow.load(tmp_path / "model.safetensors")
    assert config == run.config and path.T == 1 and target is FLOW
    table = net.embed.extra["label"].table.weight
    assert table.shape == (11, 32) and (table.norm(dim=1) > 0).all()  # the row of "no label" was trained too
    assert mnist_flow.sample(net, 3, steps=2).shape == (3, 1, 28, 28)


def test_the_loss_is_that_of_flow_matching_with_the_labels_of_the_rows(small):
    rows = mnist_flow.build("cpu", "strokes").batch_at(0)
    assert rows.shape == (16, 785) and set(rows[:, -1].tolist()) <= set(range(10))
    seen = {}

    def net(x, t, label):
        seen.update(x=x, t=t, label=label)
        return torch.zeros_like(x)

    loss, _ = mnist_flow.flow_loss(net, rows, gen(2))
    generator, x0 = gen(2), rows[:, :-1].reshape(16, 1, 28, 28)
    dropped = torch.rand(16, generator=generator) < 0.1
    t = logit_normal_times(16, generator)
    eps = torch.randn(x0.shape, generator=generator)
    assert torch.equal(seen["label"], torch.where(dropped, 10, rows[:, -1].long())) and torch.equal(seen["t"], 1000 * t)
    t = t.float()[:, None, None, None]
    torch.testing.assert_close(seen["x"], (1 - t) * x0 + t * eps)
    assert float(loss) == pytest.approx(float((eps - x0).square().mean()), rel=1e-6) and loss.dtype == torch.float32


def test_labels_reach_the_pictures_in_their_order():
    net = awake(mnist_flow.make_net(SMALL["net"])).eval()
    labels = torch.tensor([3, 3, 7, 10, 7])
    drawn = mnist_flow.sample(net, 5, 2, labels=labels, batch=2)
    torch.testing.assert_close(drawn, mnist_flow.sample(net, 5, 2, labels=labels, batch=5), rtol=1e-4, atol=1e-5)
    other = mnist_flow.sample(net, 5, 2, labels=torch.tensor([3, 3, 8, 10, 7]))
    changed = (drawn - other).abs().flatten(1).amax(dim=1)
    assert changed[2] > 1e-3 and changed[[0, 1, 3, 4]].max() < 1e-4
    in_turn = mnist_flow.sample(net, 12, 1, sampler="euler")
    torch.testing.assert_close(in_turn, mnist_flow.sample(net, 12, 1, labels=torch.arange(12) % 10, sampler="euler"))


@pytest.mark.parametrize("sampler, steps, evaluations", [("euler", 3, 3), ("heun", 3, 5)])
def test_what_a_picture_costs(sampler, steps, evaluations):
    calls = []

    def net(x, t, label):
        calls.append(float(t))
        return -x / flow_path().T

    drawn = mnist_flow.sample(net, 2, steps, sampler=sampler)
    assert len(calls) == evaluations and calls[0] == 1000 and drawn.abs().max() <= 1


@pytest.mark.parametrize("wrong, word", [({"n": 0}, "n and steps"), ({"n": 1, "steps": 0}, "n and steps"),
                                         ({"n": 1, "sampler": "nosuch"}, "euler, heun"),
                                         ({"n": 3, "labels": [1, 2]}, r"labels must be \(3,\)")])
def test_sample_says_what_it_wants(wrong, word):
    with pytest.raises(ValueError, match=word):
        mnist_flow.sample(lambda x, t, label: x, **wrong)


def test_models_of_other_recipes_are_refused(tmp_path):
    save_model(tmp_path / "x.safetensors", torch.nn.Linear(1, 1), {"recipe": "mnist-ddpm", "net": {}})
    with pytest.raises(CheckpointError, match="not a model of the recipe mnist-flow"):
        mnist_flow.load(tmp_path / "x.safetensors")


def test_the_committed_model_draws_the_digits_that_it_is_asked_for():
    """200 digits in 5 Heun steps: nearly all read as their label, and far nearer to real digits than null models."""
    judge, labels = load_judge(), torch.arange(200) % 10
    images = mnist_flow.sample(mnist_flow.load(MODEL)[0], 200, steps=5)
    assert (judge.labels(images) == labels).float().mean() > 0.93
    null = json.loads((CHECKPOINTS / "mnist-classifier.json").read_text())["metrics"]["null"]
    assert judge.distance(images) < 0.2 * min(null["noise"], null["gaussian with the data's covariance"])


def test_the_record_holds_what_the_chapter_quotes():
    record = json.loads(MODEL.with_suffix(".json").read_text())
    assert {"n", "sampler", "steps", "evaluations", "distance", "accuracy"} <= record["metrics"]["samples"][0].keys()
