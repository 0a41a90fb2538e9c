"""The recipe mnist-flow: what it trains on, what it draws, and that its checkpoint is what the record says."""

import json
from dataclasses import replace
from functools import partial

import pytest
import torch

from minidiff.evaluation.digits import load_judge
from minidiff.process.weighted_loss import logit_normal_times
from minidiff.recipes.mnist_flow import RECIPE
from minidiff.recipes.recipe import build, load, sample
from minidiff.recipes.run import CHECKPOINTS, train
from minidiff.samplers.flow import EULER_FLOW, HEUN_FLOW
from tests.nets import awake
from tests.ch09.worlds import gen

MODEL = CHECKPOINTS / "mnist-flow.safetensors"
SMALL = replace(RECIPE, presets={"cpu": {"net": {"channels": [8, 16], "patch": 2, "width": 32}, "batch": 16,
                                         "fit": {"lr": 3e-3, "warmup": 5}}})


def told(**changes):
    """The recipe as a file would give it back, for pictures of 4 x 4."""
    return replace(RECIPE, config=RECIPE.config | {"shape": [1, 4, 4], "classes": 10, **changes})


def test_it_learns_strokes_and_is_read_again(few_strokes, tmp_path):
    run = build(SMALL, data="strokes")
    fitted, record = train(run, tmp_path, steps=60, progress=False)
    assert sum(fitted.losses[-10:]) < 0.6 * sum(fitted.losses[:10])
    assert record["steps"] == 60 and record["data"] == "strokes" and record["classes"] == 10
    recipe, net = load(tmp_path)
    assert recipe.config == run.config and recipe.draw(recipe.config).path.T == 1
    table = net.embed.extra["label"].table.weight
    assert table.shape == (11, 32) and (table.norm(dim=1) > 0).all()  # the row of "no label" was trained too
    assert sample(recipe, net, 3, steps=2).shape == (3, 1, 28, 28)


def test_the_loss_is_that_of_flow_matching_with_the_labels_of_the_pictures(few_strokes):
    run = build(SMALL)
    batch = run.batch_at(0)
    x0 = batch["x"]
    assert x0.shape == (16, 1, 28, 28) and set(batch["label"].tolist()) <= set(range(10))
    seen = {}

    def net(x, t, label):
        seen.update(x=x, t=t, label=label)
        return torch.zeros_like(x)

    loss, _ = run.loss_fn(net, batch, gen(2))
    generator = gen(2)
    dropped = torch.rand(16, generator=generator) < 0.1
    t = logit_normal_times(16, generator)
    eps = torch.randn(x0.shape, generator=generator)
    assert torch.equal(seen["label"], torch.where(dropped, 10, batch["label"])) and torch.equal(seen["t"], 1000 * t)
    t = t.float()[:, None, None, None]
    torch.testing.assert_close(seen["x"], (1 - t) * x0 + t * eps)
    assert float(loss) == pytest.approx(float((eps - x0).square().mean()), rel=1e-6) and loss.dtype == torch.float32


def test_a_net_of_other_classes_knows_them_and_none(few_strokes):
    net = RECIPE.net(told(classes=7, net={"channels": [8], "width": 16}).config)
    assert net.embed.extra["label"].null == 7 and net.embed.extra["label"].table.weight.shape == (8, 16)


def test_labels_reach_the_pictures_in_their_order():
    recipe = told(net={"channels": [8, 16], "patch": 2, "width": 32}, shape=[1, 8, 8])
    net = awake(RECIPE.net(recipe.config)).eval()
    draw, labels = partial(sample, recipe, net, steps=3), torch.tensor([3, 3, 7, 10, 7])
    drawn = draw(5, label=labels, batch=2)
    torch.testing.assert_close(drawn, draw(5, label=labels), rtol=1e-4, atol=1e-5)
    changed = (drawn - draw(5, label=torch.tensor([3, 3, 8, 10, 7]))).abs().flatten(1).amax(dim=1)
    assert changed[2] > 1e-3 and changed[[0, 1, 3, 4]].max() < 1e-4
    torch.testing.assert_close(draw(12), draw(12, label=torch.arange(12) % 10))  # in turn, where none is asked for
    torch.testing.assert_close(draw(2, label=3), draw(2, label=[3, 3]))
    with pytest.raises(TypeError, match=r"takes the conditions \['label'\], got \[\]"):
        net(torch.zeros(1, 1, 4, 4), torch.tensor(3))


@pytest.mark.parametrize("sampler, steps, evaluations", [(EULER_FLOW, 3, 3), (HEUN_FLOW, 5, 5), (HEUN_FLOW, 6, 5),
                                                         (None, None, 9)])
def test_what_a_picture_costs(sampler, steps, evaluations):
    calls = []

    def net(x, t, label):
        calls.append(float(t))
        return -x

    drawn = sample(told(), net, 2, steps=steps, sampler=sampler)
    assert len(calls) == evaluations and calls[0] == 1000 and drawn.abs().max() <= 1


@pytest.mark.parametrize("sampler", [EULER_FLOW, HEUN_FLOW], ids=["euler", "heun"])
def test_a_picture_of_a_seed_is_the_same_for_every_number_and_batch(sampler):
    draw = partial(sample, told(), lambda x, t, label: 0.03 * label[:, None, None, None] * x, steps=5, sampler=sampler)
    seven = draw(7)
    assert torch.equal(draw(3), seven[:3]) and torch.equal(draw(7, batch=2), seven)
    assert not torch.equal(draw(7, seed=1), seven)


@pytest.mark.parametrize("wrong, word", [({"n": 0}, "n and batch"), ({"steps": -1}, "got -1"),
                                         ({"n": 3, "label": [1, 2]}, r"labels must be \(3,\)"),
                                         ({"label": 11}, r"0\.\.10, where 10 means none, got 11\.\.11")])
def test_sample_says_what_it_wants(wrong, word):
    with pytest.raises(ValueError, match=word):
        sample(told(), lambda x, t, label: x, **{"n": 1} | wrong)


def test_the_committed_model_draws_the_digits_that_it_is_asked_for():
    """200 digits in 9 evaluations: nearly all read as asked for, and far nearer to real digits than null models."""
    judge, labels = load_judge(), torch.arange(200) % 10
    images = sample(*load(MODEL), 200, steps=9)
    assert (judge.labels(images) == labels).float().mean() > 0.93
    null = json.loads((CHECKPOINTS / "mnist-classifier.json").read_text())["metrics"]["null"]
    assert judge.distance(images) < 0.2 * min(null["noise"], null["gaussian with the data's covariance"])


def test_the_record_holds_what_the_chapter_quotes():
    record = json.loads(MODEL.with_suffix(".json").read_text())
    assert {"n", "sampler", "steps", "evaluations", "distance", "accuracy"} <= record["metrics"]["samples"][0].keys()
