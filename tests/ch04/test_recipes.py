"""The recipes: what they build, and that their committed checkpoints are what their records say."""

import json
from dataclasses import replace

import pytest
import torch

from minidiff.evaluation.digits import JUDGE, load_judge
from minidiff.evaluation.eps_baselines import eps_mse
from minidiff.recipes import mnist_classifier, mnist_ddpm
from minidiff.recipes.pictures import digit_figures
from minidiff.recipes.recipe import build, load, sample
from minidiff.recipes.run import CHECKPOINTS, thin, train
from minidiff.training.checkpoint import load_checkpoint

MODEL = CHECKPOINTS / "mnist-ddpm.safetensors"
SMALL = {"cpu": {"net": {"channels": [8, 16], "patch": 2}, "batch": 16, "fit": {"lr": 3e-3, "warmup": 5}}}


def test_a_recipe_learns_strokes(few_strokes, tmp_path):
    run = build(replace(mnist_ddpm.RECIPE, presets=SMALL), data="strokes")
    fitted, record = train(run, tmp_path, steps=60, progress=False)
    assert sum(fitted.losses[-10:]) < 0.6 * sum(fitted.losses[:10])
    assert record["steps"] == 60 and record["data"] == "strokes" and len(record["loss_curve"]) == 60
    recipe, net = load(tmp_path)
    assert recipe.config == run.config and record.items() >= run.config.items()
    assert sample(recipe, net, 3, steps=2).shape == (3, 1, 28, 28)


def test_the_ddpm_recipe_asks_for_the_noise_on_the_path_of_its_description(few_strokes):
    run = build(replace(mnist_ddpm.RECIPE, presets=SMALL), T=200, betas=[1e-3, 0.05])
    path = mnist_ddpm.steps_of(run.config)
    betas = 1 - path.alpha_bar[1:] / path.alpha_bar[:-1]
    assert path.T == 200 and betas[[0, -1]].tolist() == pytest.approx([1e-3, 0.05])

    def knows_the_noise(x_t, t):  # of pictures that are all zero
        return x_t / path.sigma((t / 5).round().long()).float().reshape(-1, 1, 1, 1)
    loss, logs = run.loss_fn(knows_the_noise, {"x": torch.zeros(64, 1, 4, 4)}, torch.Generator().manual_seed(0))
    assert loss < 1e-6 and logs["t"].max() > 100
    denoiser = mnist_ddpm.RECIPE.draw(run.config).denoiser(knows_the_noise, path)
    x_t = torch.ones(2, 1, 4, 4)
    torch.testing.assert_close(denoiser(x_t, 150)[1], x_t / float(path.sigma(150)))


def test_the_classifier_recipe_learns_to_read(few_strokes):
    run = build(mnist_classifier.RECIPE)
    batch = run.batch_at(0)
    assert batch["x"].shape == (128, 1, 28, 28) and batch["label"].unique().tolist() == list(range(10))
    loss, _ = run.loss_fn(run.net, batch, None)
    assert 2.2 < loss.item() < 2.4  # ln 10 before training
    batch["label"] = run.net(batch["x"]).argmin(dim=1)
    assert run.loss_fn(run.net, batch, None)[0] > loss


@pytest.mark.parametrize("file", sorted(CHECKPOINTS.glob("*.safetensors")), ids=lambda file: file.name)
def test_committed_checkpoints_are_small_and_have_a_record(file):
    assert file.stat().st_size <= 12e6
    record = json.loads(file.with_suffix(".json").read_text())
    assert {"recipe", "steps", "seconds", "hardware", "seed", "loss_curve", "metrics"} <= record.keys()
    assert record.items() >= load_checkpoint(file)[1].items()
    assert file != MODEL or not load(file)[1].training  # those of later recipes are read in their own chapters


def test_the_committed_model_draws_digits_from_noise():
    """100 digits in 25 steps: read as all ten classes, and far nearer to real digits than the null models are."""
    judge, null = load_judge(), json.loads(JUDGE.with_suffix(".json").read_text())["metrics"]["null"]
    images = sample(*load(MODEL), 100, steps=25)
    assert len(judge.labels(images).unique()) == 10
    assert judge.distance(images) < 0.5 * min(null["noise"], null["gaussian with the data's covariance"])


def test_the_error_of_the_committed_model_is_below_its_bar():
    record = json.loads(MODEL.with_suffix(".json").read_text())
    assert record["metrics"]["eps_mse_test"] < 0.030
    assert len(record["metrics"]["eps_mse_of_t"]) == 10


def test_eps_mse_of_a_net_that_says_zero_is_the_variance_of_the_noise():
    path = mnist_ddpm.steps_of(mnist_ddpm.RECIPE.config)
    mean, bins = eps_mse(lambda x, t: torch.zeros_like(x), torch.zeros(1000, 1, 28, 28), path)
    assert mean == pytest.approx(1, abs=0.01) and all(b == pytest.approx(1, abs=0.02) for b in bins)


def test_thin_keeps_the_mean():
    assert thin(list(range(10)), 5) == [0.5, 2.5, 4.5, 6.5, 8.5] and thin([1.0], 100) == [1.0]


# --- the measure of digits ------------------------------------------------------------------------------------------

class Reader:
    """A judge that reads the grey value of the first pixel, and for whom the distance is the mean."""

    def labels(self, images):
        return images[:, 0, 0, 0].long()

    def distance(self, images):
        return float(images.mean())


@pytest.fixture
def reader(monkeypatch):
    monkeypatch.setattr("minidiff.recipes.pictures.load_judge", Reader)
    monkeypatch.setattr("minidiff.recipes.pictures.available", lambda data: False)


def test_the_share_that_is_read_as_asked_leaves_out_those_of_whom_nothing_was_asked(reader):
    images = torch.tensor([3.0, 4.0, 5.0, 6.0])[:, None, None, None].expand(4, 1, 2, 2)
    config = {"data": "mnist", "classes": 10}
    asked = {"label": torch.tensor([3, 4, 0, 10])}
    assert digit_figures(config, images, asked) == {"distance": 4.5, "label_accuracy": pytest.approx(2 / 3, abs=1e-3)}
    assert digit_figures(config, images, {}) == {"distance": 4.5}


@pytest.mark.parametrize("data, n, said", [("fashion-mnist", 5, "reads handwritten digits.*learned fashion-mnist"),
                                           ("mnist", 1, "at least 2 pictures, got 1")])
def test_a_measure_that_does_not_fit_says_so(reader, data, n, said):
    with pytest.raises(ValueError, match=said):
        digit_figures({"data": data}, torch.zeros(n, 1, 28, 28), {})
