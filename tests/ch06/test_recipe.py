"""The recipe mnist-targets: runs that differ in what they are told to, and in nothing else."""

from dataclasses import replace
from functools import partial

import pytest
import torch

from minidiff.data.load import load as load_data
from minidiff.recipes.mnist_targets import CHOICES, RECIPE, loss as loss_of, small
from minidiff.recipes.recipe import build, load, sample
from minidiff.recipes.run import train

TINY = {"net": {"channels": [8, 8], "patch": 2, "width": 16}, "batch": 16, "fit": {"lr": 3e-3, "warmup": 5}}
SMALL = replace(RECIPE, presets={"cpu": TINY})
new = partial(build, SMALL)
pytestmark = pytest.mark.usefixtures("few_strokes")


def told(**changes):
    """The recipe as a file would give it back, for pictures of 4 x 4."""
    return replace(RECIPE, config=RECIPE.config | changes | {"shape": [1, 4, 4]})


def test_a_run_learns_and_its_checkpoint_is_read_with_its_path_and_target(tmp_path):
    fitted, record = train(new(data="strokes", path="linear", target="x0"), tmp_path, steps=120, progress=False)
    assert sum(fitted.losses[-10:]) < 0.7 * sum(fitted.losses[:10])
    assert {"target": "x0", "path": "linear", "weight": "SNR + 1", "times": "uniform"}.items() <= record.items()
    recipe, net = load(tmp_path)
    draw = recipe.draw(recipe.config)
    assert draw.path is CHOICES["path"]["linear"] and recipe.config["net"] == TINY["net"]
    x0, _ = draw.denoiser(lambda x, t: 0 * x + 0.25, draw.path)(torch.ones(1, 1, 2, 2), 500.0)
    torch.testing.assert_close(x0, torch.full((1, 1, 2, 2), 0.25))  # what the net says is the picture
    assert sample(recipe, net, 3, steps=2).shape == (3, 1, 14, 14)


def test_two_runs_of_one_seed_start_alike_and_see_the_same_digits():
    runs = [new(seed=3, target=target, weight=weight) for target, weight in (("eps", "SNR"), ("v", "min(SNR, 5)"))]
    for one, other in zip(runs[0].net.parameters(), runs[1].net.parameters()):
        assert torch.equal(one, other)
    assert torch.equal(runs[0].batch_at(7)["x"], runs[1].batch_at(7)["x"]) and runs[0].config != runs[1].config
    assert not torch.equal(new(seed=4).batch_at(7)["x"], runs[0].batch_at(7)["x"])


@pytest.mark.parametrize("path", CHOICES["path"])
@pytest.mark.parametrize("target", CHOICES["target"])
def test_every_choice_has_a_finite_loss(path, target):
    for weight in CHOICES["weight"]:
        for times in CHOICES["times"]:
            run = new(path=path, target=target, weight=weight, times=times)
            loss, _ = run.loss_fn(run.net, run.batch_at(0), torch.Generator().manual_seed(0))
            assert torch.isfinite(loss.detach())


@pytest.mark.parametrize("path", CHOICES["path"])
@pytest.mark.parametrize("weight", ["min(SNR, 5)", "SNR + 1", "1"])
def test_the_mean_weight_of_a_run_is_1(weight, path):
    """An error of 1 everywhere costs 1, whatever the weight."""
    loss_fn, path = loss_of(RECIPE.config | {"weight": weight, "path": path}), CHOICES["path"][path]

    def net(x_t, t):  # zeros + sigma eps, of which the true v is alpha eps
        t = t * path.T / 1000
        return x_t * (path.alpha(t) / path.sigma(t)).float()[:, None] + 1
    loss, _ = loss_fn(net, {"x": torch.zeros(4096, 2)}, torch.Generator().manual_seed(0))
    assert float(loss) == pytest.approx(1, rel=3e-3)


def test_sampling_is_deterministic_and_starts_at_the_last_step():
    seen = []

    def net(x, t):
        seen.append(float(t))
        return x
    one, other = (sample(told(), net, 2, steps=4, seed=5) for _ in range(2))
    assert torch.equal(one, other) and seen[:4] == [1000, 750, 500, 250]
    assert one.abs().max() <= 1


def test_small_digits_stay_on_the_grey_values():
    digits = small(load_data("strokes", "test", n=20)[0])
    assert digits.shape == (20, 1, 14, 14)
    assert torch.equal(((digits + 1) * 127.5).round() / 127.5 - 1, digits)


@pytest.mark.parametrize("what", CHOICES)
def test_a_name_that_does_not_exist_is_told_the_ones_that_do(what):
    with pytest.raises(ValueError) as error:
        new(**{what: "nosuch"})
    assert str(error.value) == f"{what} must be one of {', '.join(CHOICES[what])}, got 'nosuch'"
