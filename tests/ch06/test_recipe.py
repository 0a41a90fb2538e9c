"""The recipe mnist-targets: runs that differ in what they are told to, and in nothing else."""

import pytest
import torch

from minidiff.data.load import load as load_data
from minidiff.process.continuous import cosine_path
from minidiff.process.targets import EPS, V, X0
from minidiff.process.weighted_loss import stratified_times
from minidiff.process.weights import constant, min_snr, snr_plus_one
from minidiff.recipes import mnist_targets
from minidiff.recipes.mnist_targets import PATHS, TARGETS, TIMES, WEIGHTS, build, load, sample, scaled_loss, small
from minidiff.recipes.run import save_model, train
from minidiff.training.errors import CheckpointError

TINY = {"net": {"channels": [8, 8], "patch": 2, "width": 16}, "batch": 16, "fit": {"lr": 3e-3, "warmup": 5}}


@pytest.fixture
def tiny(monkeypatch):
    """Strokes instead of MNIST, 256 of them, and a net of a few thousand weights."""
    monkeypatch.setitem(mnist_targets.PRESETS, "cpu", TINY)
    monkeypatch.setattr(mnist_targets, "load_data", lambda name, split, n=None: load_data("strokes", split, n=256))


def test_a_run_learns_and_its_checkpoint_is_read_with_its_path_and_target(tiny, tmp_path):
    fitted, record = train(build(data="strokes"), tmp_path, steps=120, progress=False)
    assert sum(fitted.losses[-10:]) < 0.7 * sum(fitted.losses[:10])
    assert {"target": "v", "path": "cosine", "weight": "SNR + 1", "times": "uniform"}.items() <= record.items()
    net, path, target, config = load(tmp_path / "model.safetensors")
    assert path is PATHS["cosine"] and target is V and config["net"] == TINY["net"]
    assert sample(net, path, target, (3, 1, 14, 14), steps=2).shape == (3, 1, 14, 14)


def test_two_runs_of_one_seed_start_alike_and_see_the_same_digits(tiny):
    runs = [build(seed=3, target=target, weight=weight) for target, weight in (("eps", "SNR"), ("v", "min(SNR, 5)"))]
    for one, other in zip(runs[0].net.parameters(), runs[1].net.parameters()):
        assert torch.equal(one, other)
    assert torch.equal(runs[0].batch_at(7), runs[1].batch_at(7)) and runs[0].config != runs[1].config
    assert not torch.equal(build(seed=4).batch_at(7), runs[0].batch_at(7))


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("target", TARGETS)
def test_every_choice_has_a_finite_loss(tiny, path, target):
    for weight in WEIGHTS:
        for times in TIMES:
            run = build(path=path, target=target, weight=weight, times=times)
            loss, _ = run.loss_fn(run.net, run.batch_at(0), torch.Generator().manual_seed(0))
            assert torch.isfinite(loss.detach())


@pytest.mark.parametrize("weight", [min_snr, snr_plus_one, constant])
def test_the_mean_weight_of_a_run_is_1(weight):
    """An error of 1 everywhere costs 1, whatever the weight."""
    path, target, zeros = cosine_path(), V, torch.zeros(4096, 2)
    loss_fn = scaled_loss(path, target, weight, stratified_times)

    def net(x_t, t):  # zeros + sigma eps, of which the true v is alpha eps
        t = t / 1000
        return x_t * (path.alpha(t) / path.sigma(t)).float()[:, None] + 1
    loss, _ = loss_fn(net, zeros, torch.Generator().manual_seed(0))
    assert float(loss) == pytest.approx(1, rel=2e-3)


def test_sampling_is_deterministic_and_starts_at_pure_noise():
    seen = []

    def net(x, t):
        seen.append(float(t))
        return x
    one, other = (sample(net, cosine_path(), V, (2, 1, 4, 4), steps=4, seed=5) for _ in range(2))
    assert torch.equal(one, other) and seen[:4] == [1000, 750, 500, 250]
    assert one.abs().max() <= 1


def test_an_eps_net_on_a_path_that_ends_in_noise_says_what_is_wrong():
    with pytest.raises(ValueError, match="eps does not determine x0 and eps at alpha = 0"):
        sample(lambda x, t: x, cosine_path(), EPS, (2, 1, 4, 4))
    assert sample(lambda x, t: x, cosine_path(), X0, (2, 1, 4, 4)).isfinite().all()


def test_small_digits_stay_on_the_grey_values():
    digits = small(load_data("strokes", "test", n=20)[0])
    assert digits.shape == (20, 1, 14, 14)
    assert torch.equal(((digits + 1) * 127.5).round() / 127.5 - 1, digits)


def test_models_of_other_recipes_are_refused(tmp_path):
    save_model(tmp_path / "x.safetensors", torch.nn.Linear(1, 1), {"recipe": "other"})
    with pytest.raises(CheckpointError, match="not a model of the recipe mnist-targets"):
        load(tmp_path / "x.safetensors")


@pytest.mark.parametrize("what, names", [("path", PATHS), ("target", TARGETS), ("weight", WEIGHTS), ("times", TIMES)])
def test_a_name_that_does_not_exist_is_told_the_ones_that_do(tiny, what, names):
    with pytest.raises(ValueError) as error:
        build(**{what: "nosuch"})
    assert str(error.value) == f"{what} must be one of {', '.join(names)}, got 'nosuch'"
