"""The recipes: what they build, and that their committed checkpoints are what their records say."""

import json

import pytest
import torch

from minidiff.evaluation.digits import JUDGE, load_judge
from minidiff.recipes import mnist_classifier, mnist_ddpm
from minidiff.recipes.run import CHECKPOINTS, save_model, thin, train
from minidiff.training.errors import CheckpointError

MODEL = CHECKPOINTS / "mnist-ddpm.safetensors"


def test_a_recipe_learns_strokes(tmp_path, monkeypatch):
    monkeypatch.setitem(mnist_ddpm.PRESETS, "cpu", {"net": {"channels": [8, 16], "patch": 2}, "batch": 16,
                                                    "fit": {"lr": 3e-3, "warmup": 5}})
    monkeypatch.setattr(mnist_ddpm, "load_data", lambda name, split, n: mnist_ddpm_data(n=256))
    run = mnist_ddpm.build("cpu", "strokes")
    fitted, record = train(run, tmp_path, steps=60, progress=False)
    assert sum(fitted.losses[-10:]) < 0.6 * sum(fitted.losses[:10])
    assert record["steps"] == 60 and record["data"] == "strokes" and len(record["loss_curve"]) == 60
    net, path, target, config = mnist_ddpm.load(tmp_path / "model.safetensors")
    assert config == run.config and path.T == 1000 and target.name == "eps"
    assert mnist_ddpm.sample(net, 3, steps=2).shape == (3, 1, 28, 28)


def mnist_ddpm_data(n):
    from minidiff.data.load import load
    return load("strokes", "train", n=n)


def test_the_classifier_recipe_learns_to_read():
    run = mnist_classifier.build("cpu", "strokes")
    rows = run.batch_at(0)
    assert rows.shape == (128, 785) and rows[:, -1].unique().tolist() == list(range(10))
    assert 2.2 < run.loss_fn(run.net, rows, None)[0].item() < 2.4  # ln 10 before training


@pytest.mark.parametrize("file", sorted(CHECKPOINTS.glob("*.safetensors")), ids=lambda file: file.name)
def test_committed_checkpoints_are_small_and_have_a_record(file):
    assert file.stat().st_size <= 3e6
    record = json.loads(file.with_suffix(".json").read_text())
    assert {"recipe", "steps", "seconds", "hardware", "seed", "loss_curve", "metrics"} <= record.keys()


def test_the_committed_model_draws_digits_from_noise():
    """100 digits in 50 steps: read as all ten classes, and far nearer to real digits than the null models are."""
    net, *_ = mnist_ddpm.load(MODEL)
    judge, null = load_judge(), json.loads(JUDGE.with_suffix(".json").read_text())["metrics"]["null"]
    images = mnist_ddpm.sample(net, 100, steps=50)
    assert len(judge.labels(images).unique()) == 10
    assert judge.distance(images) < 0.5 * min(null["noise"], null["gaussian with the data's covariance"])


def test_the_error_of_the_committed_model_is_below_its_bar():
    record = json.loads(MODEL.with_suffix(".json").read_text())
    assert record["metrics"]["eps_mse_test"] < 0.030
    assert len(record["metrics"]["eps_mse_of_t"]) == 10


def test_eps_mse_of_a_net_that_says_zero_is_the_variance_of_the_noise():
    mean, bins = mnist_ddpm.eps_mse(lambda x, t: torch.zeros_like(x), torch.zeros(1000, 1, 28, 28))
    assert mean == pytest.approx(1, abs=0.01) and all(b == pytest.approx(1, abs=0.02) for b in bins)


def test_models_of_other_recipes_are_refused(tmp_path):
    save_model(tmp_path / "x.safetensors", torch.nn.Linear(1, 1), {"recipe": "other"})
    with pytest.raises(CheckpointError, match="not a model of the recipe"):
        mnist_ddpm.load(tmp_path / "x.safetensors")


@pytest.mark.parametrize("wrong, word", [({"n": 0}, "n must"), ({"n": 1, "steps": 0}, "1..1000"),
                                         ({"n": 1, "sampler": "nosuch"}, "ancestral")])
def test_sample_says_what_it_wants(wrong, word):
    with pytest.raises(ValueError, match=word):
        mnist_ddpm.sample(lambda x, t: x, **wrong)


def test_thin_keeps_the_mean():
    assert thin(list(range(10)), 5) == [0.5, 2.5, 4.5, 6.5, 8.5] and thin([1.0], 100) == [1.0]
