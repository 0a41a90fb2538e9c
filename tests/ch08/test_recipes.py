"""The recipe mnist-edm, its checkpoint, and what the benchmarks of chapter 08 recorded."""

import json
from pathlib import Path

import pytest
import torch

from minidiff.data.load import load as load_data
from minidiff.evaluation.digits import JUDGE, load_judge
from minidiff.recipes import mnist_edm
from minidiff.recipes.run import CHECKPOINTS, save_model, train
from minidiff.training.errors import CheckpointError

MODEL = CHECKPOINTS / "mnist-edm.safetensors"
BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def recorded(name):
    return json.loads((BENCHMARKS / f"{name}.json").read_text())


def test_the_recipe_learns_strokes(tmp_path, monkeypatch):
    monkeypatch.setitem(mnist_edm.PRESETS, "cpu", {"net": {"channels": [8, 16], "patch": 2}, "batch": 16,
                                                   "fit": {"lr": 3e-3, "warmup": 5}})
    monkeypatch.setattr(mnist_edm, "load_data", lambda name, split, n: load_data(name, split, n=256))
    run = mnist_edm.build("cpu", "strokes")
    fitted, record = train(run, tmp_path, steps=60, progress=False)
    assert sum(fitted.losses[-10:]) < 0.8 * sum(fitted.losses[:10])
    assert record["recipe"] == "mnist-edm" and record["sigma_data"] == mnist_edm.SIGMA_DATA
    net, path, target, config = mnist_edm.load(tmp_path / "model.safetensors")
    assert config == run.config and path.T == 80 and target.name == "F"
    assert mnist_edm.sample(net, 3, steps=2).shape == (3, 1, 28, 28)


def test_sigma_data_is_the_spread_of_the_pixels():
    images, _ = load_data("strokes", "train", n=2000)
    assert float(images.std()) == pytest.approx(mnist_edm.SIGMA_DATA, abs=0.02)


def test_a_net_is_told_c_noise_on_the_scale_that_it_knows():
    heard = []
    mnist_edm.of_c_noise(lambda x, t: heard.append(t))(None, torch.tensor(-0.5))
    assert heard == [-500]


def test_sampling_starts_at_sigma_max_and_asks_2n_minus_1_times():
    asked = []

    def net(x, c_noise):
        asked.append(float(torch.exp(4 * c_noise / 1000)))
        return 0 * x

    digits = mnist_edm.sample(net, 2, steps=5, seed=3)
    assert len(asked) == 9 and asked[0] == pytest.approx(80) and asked[-1] == pytest.approx(0.002)
    assert torch.equal(digits, mnist_edm.sample(net, 2, steps=5, seed=3)) and digits.isfinite().all()


@pytest.mark.parametrize("wrong, word", [({"n": 0}, "n must"), ({"n": 1, "steps": 0}, "n >= 1 levels")])
def test_sample_says_what_it_wants(wrong, word):
    with pytest.raises(ValueError, match=word):
        mnist_edm.sample(lambda x, t: x, **wrong)


def test_models_of_other_recipes_are_refused(tmp_path):
    save_model(tmp_path / "x.safetensors", torch.nn.Linear(1, 1), {"recipe": "other"})
    with pytest.raises(CheckpointError, match="not a model of the recipe mnist-edm"):
        mnist_edm.load(tmp_path / "x.safetensors")


def test_the_committed_model_draws_digits():
    """100 digits in 19 evaluations: all ten classes, far nearer to real ones than a Gaussian of their covariance."""
    net, *_ = mnist_edm.load(MODEL)
    judge, null = load_judge(), json.loads(JUDGE.with_suffix(".json").read_text())["metrics"]["null"]
    digits = mnist_edm.sample(net, 100, steps=10)
    assert len(judge.labels(digits).unique()) == 10
    assert judge.distance(digits) < 0.33 * null["gaussian with the data's covariance"]


# --- the benchmarks -------------------------------------------------------------------------------------------------

def test_every_oracle_was_met_to_rounding():
    rows = recorded("solvers")["oracles"]
    assert len(rows) >= 20 and all(row["seen"] < min(row["asked"], 1e-11) for row in rows)


def test_every_order_lies_in_its_range():
    for row in recorded("solvers")["orders"]:
        low, high = row["accepted"]
        assert low <= row["order"] <= high, row["solver"]


def test_a_step_costs_at_most_a_twentieth_more_than_its_evaluations():
    overhead = recorded("solvers")["overhead"]
    assert overhead.pop("batch") == 64 and overhead.pop("evaluation_ms") > 0
    assert len(overhead) >= 20 and max(overhead.values()) <= 1.05


def test_ten_evaluations_come_within_a_tenth_of_a_thousand_ancestral_steps():
    at = {(c["sampler"], c["evaluations"]): c["distance"]["250"] for c in recorded("evaluations")["cells"]}
    best = {n: min(at["dpmpp_2m", n], at["unipc", n], at["heun", of_heun]) for n, of_heun in ((5, 5), (10, 9))}
    assert best[10] <= 1.1 * at["ancestral", 1000] and best[5] <= 1.5 * at["ancestral", 1000]
