"""The recipe mnist-edm, its checkpoint, and what the benchmarks of chapter 08 recorded."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from minidiff.data.load import load as load_data
from minidiff.evaluation.digits import JUDGE, load_judge
from minidiff.recipes.mnist_edm import RECIPE, of_c_noise
from minidiff.recipes.recipe import build, load, sample
from minidiff.recipes.run import CHECKPOINTS, train
from minidiff.samplers.heun import HEUN
from minidiff.samplers.stochastic import CHURN, DPMPP_2M_SDE

MODEL = CHECKPOINTS / "mnist-edm.safetensors"
gen = torch.Generator
BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def recorded(name):
    return json.loads((BENCHMARKS / f"{name}.json").read_text())


def told(**changes):
    """The recipe as a file would give it back, for pictures of 4 x 4."""
    return replace(RECIPE, config=RECIPE.config | changes | {"shape": [1, 4, 4]})


def test_the_recipe_learns_strokes(few_strokes, tmp_path):
    small = {"net": {"channels": [8, 16], "patch": 2}, "batch": 16, "fit": {"lr": 3e-3, "warmup": 5}}
    run = build(replace(RECIPE, presets={"cpu": small}), data="strokes", sigma_max=40.0)
    fitted, record = train(run, tmp_path, steps=60, progress=False)
    assert sum(fitted.losses[-10:]) < 0.8 * sum(fitted.losses[:10])
    assert record["recipe"] == "mnist-edm" and record["sigma_data"] == RECIPE.config["sigma_data"]
    recipe, net = load(tmp_path)
    assert recipe.config == run.config and recipe.draw(recipe.config).path.T == 40
    assert sample(recipe, net, 3, steps=3).shape == (3, 1, 28, 28)


def test_sigma_data_is_the_spread_of_the_pixels():
    images, _ = load_data("strokes", "train", n=2000)
    assert float(images.std()) == pytest.approx(RECIPE.config["sigma_data"], abs=0.02)


def test_a_net_is_told_c_noise_on_the_scale_that_it_knows():
    heard = []
    of_c_noise(lambda x, t, **cond: heard.append((t, cond)))(None, torch.tensor(-0.5), label=3)
    assert heard == [(-500, {"label": 3})]


def test_loss_and_denoiser_speak_of_the_same_net():
    """A net that knows F of pictures that are all zero has no loss, and its denoiser answers with these pictures."""
    sigma_data = 0.5

    def net(x, t):  # x is c_in sigma eps, F is -sigma_data eps / r, and c_in = 1 / r
        return -x * sigma_data / torch.exp(4 * t / 1000).to(x).reshape(-1, 1, 1, 1)
    loss, _ = RECIPE.loss({"sigma_data": sigma_data})(net, {"x": torch.zeros(16, 1, 4, 4)}, gen())
    draw = RECIPE.draw(told(sigma_data=sigma_data).config)
    x0, _ = draw.denoiser(net, draw.path)(torch.randn(3, 1, 4, 4, generator=gen()), torch.tensor(2.0))
    assert loss < 1e-10 and x0.abs().max() < 1e-5


def test_sampling_starts_at_sigma_max_and_asks_2n_minus_1_times_for_n_steps():
    asked = []

    def net(x, c_noise):
        asked.append(float(torch.exp(4 * c_noise / 1000)))
        return 0 * x

    digits = sample(told(), net, 2, steps=9, seed=3)
    assert len(asked) == 9 and asked[0] == pytest.approx(80) and asked[-1] == pytest.approx(0.002)
    assert torch.equal(digits, sample(told(), net, 2, steps=10, seed=3)) and digits.isfinite().all()


@pytest.mark.parametrize("sampler", [HEUN, CHURN, DPMPP_2M_SDE], ids=["heun", "churn", "dpmpp_2m_sde"])
def test_a_picture_of_a_seed_is_the_same_for_every_number_and_batch(sampler):
    draw = partial(sample, told(), lambda x, t: 0.3 * x, steps=7, sampler=sampler, seed=2)
    seven = draw(7)
    assert torch.equal(draw(3), seven[:3]) and torch.equal(draw(7, batch=2), seven)
    assert not torch.equal(draw(3, seed=1), seven[:3])


def test_one_evaluation_is_a_step_of_heun_and_none_is_refused():
    assert sample(told(), lambda x, t: x, 1, steps=1).isfinite().all()
    with pytest.raises(ValueError, match="one step takes 1 evaluations of the net, got -1"):
        sample(told(), lambda x, t: x, 1, steps=-1)


def test_the_committed_model_draws_digits():
    """100 digits in 19 evaluations: all ten classes, far nearer to real ones than a Gaussian of their covariance."""
    judge, null = load_judge(), json.loads(JUDGE.with_suffix(".json").read_text())["metrics"]["null"]
    digits = sample(*load(MODEL), 100, steps=19)
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
