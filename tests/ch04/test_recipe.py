"""From a recipe to a run, and from a file to a net."""

import shutil
from dataclasses import replace

import pytest
import torch

from minidiff.process.noise import Streams, normal_like
from minidiff.recipes.mnist_ddpm import RECIPE
from minidiff.recipes.recipe import build, find, load, names, sample
from minidiff.recipes.run import halved, save_model, train
from minidiff.training.checkpoint import load_checkpoint, save_checkpoint
from minidiff.training.errors import CheckpointError

TINY = replace(RECIPE, presets={"cpu": {"net": {"channels": [8, 16], "patch": 2, "width": 16}, "batch": 16,
                                        "fit": {"lr": 3e-3, "warmup": 5}}})


# --- found by its file ----------------------------------------------------------------------------------------------

def test_recipes_are_found_by_their_files_and_only_the_one_asked_for_is_imported(recipes_folder):
    (recipes_folder / "two_islands.py").write_text(
        "from dataclasses import replace\nfrom minidiff.recipes.mnist_ddpm import RECIPE as DDPM\n\n"
        "RECIPE = replace(DDPM, name='two-islands')\n")
    (recipes_folder / "broken_one.py").write_text("raise RuntimeError('imported')\n\nRECIPE = None\n")
    (recipes_folder / "helpers.py").write_text("x = 'RECIPE = '\n")
    assert names() == ["broken-one", "two-islands"]
    assert find("two-islands").name == "two-islands"
    with pytest.raises(RuntimeError, match="imported"):
        find("broken-one")


def test_every_recipe_of_the_course_has_the_name_of_its_file():
    assert {"mnist-ddpm", "mnist-classifier"} <= set(names()) and "recipe" not in names()
    for name in names():
        assert find(name).name == name


def test_a_name_that_does_not_exist_is_told_the_ones_that_do():
    with pytest.raises(ValueError, match="no recipe 'mnist-dppm'; there are .*mnist-classifier, mnist-ddpm"):
        find("mnist-dppm")


# --- a run ----------------------------------------------------------------------------------------------------------

def test_a_run_is_described_by_everything_that_it_was_built_from(few_strokes):
    run = build(TINY, seed=3, T=50, data="strokes", betas=[0.01, 0.3])
    assert run.config == {"recipe": "mnist-ddpm", "preset": "cpu", "data": "strokes", "seed": 3, "batch": 16,
                          "net": TINY.presets["cpu"]["net"], "T": 50, "betas": [0.01, 0.3], "shape": [1, 28, 28],
                          "classes": 10}
    assert run.fit == {"lr": 3e-3, "warmup": 5, "seed": 3}
    assert TINY.config == RECIPE.config == {"shape": [1, 28, 28], "T": 1000, "betas": [1e-4, 0.02]}


def test_a_seed_decides_the_first_weights_and_the_order_of_the_batches(few_strokes):
    one, again, other = (build(TINY, seed=seed) for seed in (3, 3, 4))
    for name, value in one.net.state_dict().items():
        assert torch.equal(value, again.net.state_dict()[name])
    assert torch.equal(one.batch_at(5)["x"], again.batch_at(5)["x"])
    assert not torch.equal(one.batch_at(5)["x"], other.batch_at(5)["x"])
    assert not torch.equal(one.net.conv_in.weight, other.net.conv_in.weight)


def test_two_ranks_share_a_batch(few_strokes):
    whole, parts = build(TINY).batch_at(3), [build(TINY, rank=rank, world=2).batch_at(3) for rank in (0, 1)]
    for name in ("x", "label"):
        assert torch.equal(torch.cat([part[name] for part in parts]), whole[name])


@pytest.mark.parametrize("wrong, said", [({"preset": "tpu"}, "preset must be one of cpu, got 'tpu'"),
                                         ({"t": 10}, "mnist-ddpm has no setting t; it has shape, T, betas")])
def test_build_says_what_it_wants(wrong, said):
    with pytest.raises(ValueError, match=said):
        build(TINY, **wrong)


# --- a file ---------------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def short(few_strokes, tmp_path_factory):
    """(the run, its folder) of three steps of training."""
    run, folder = build(TINY, data="strokes", T=40, betas=[0.01, 0.4]), tmp_path_factory.mktemp("short")
    train(run, folder, steps=3, progress=False)
    return run, folder


@pytest.fixture
def trained(short, tmp_path):
    """The same with a file that a test may change."""
    run, folder = short
    shutil.copy(folder / "model.safetensors", tmp_path)
    return run, tmp_path


def test_a_file_gives_back_the_description_and_the_average_frozen(trained):
    run, folder = trained
    recipe, net = load(folder)
    assert recipe == replace(RECIPE, config=run.config)
    saved, _ = load_checkpoint(folder / "model.safetensors")
    assert all(torch.equal(value, saved[name].float()) for name, value in net.state_dict().items())
    assert not net.training and not any(p.requires_grad for p in net.parameters())
    one, other = sample(recipe, net, 2, steps=3), sample(*load(folder / "model.safetensors"), 2, steps=3)
    assert torch.equal(one, other) and one.shape == (2, 1, 28, 28) and one.abs().max() <= 1


def test_a_changed_constant_of_the_recipe_does_not_change_what_an_old_file_means(trained, monkeypatch):
    _, folder = trained
    before = sample(*load(folder), 2, steps=3)
    changed = replace(RECIPE, config={"T": 100, "betas": [0.2, 0.3]}, presets={"cpu": {"net": {"channels": [8]}}})
    monkeypatch.setattr("minidiff.recipes.mnist_ddpm.RECIPE", changed)
    assert torch.equal(sample(*load(folder), 2, steps=3), before)


NEEDED = ["recipe", "data", "net", "shape", "T", "betas"]


@pytest.mark.parametrize("key", ["preset", "seed", "batch", "classes"] + NEEDED)
def test_a_description_that_lacks_a_key_is_one_line_or_a_whole_model(key, trained):
    run, folder = trained
    tensors, config = load_checkpoint(folder / "model.safetensors")
    before = sample(*load(folder), 1, steps=2)
    assert config == run.config and key in config
    save_checkpoint(folder / "model.safetensors", tensors, {k: v for k, v in config.items() if k != key})
    if key not in NEEDED:
        assert torch.equal(sample(*load(folder), 1, steps=2), before)
        return
    with pytest.raises(CheckpointError) as error:
        load(folder)
    assert "\n" not in str(error.value) and str(folder / "model.safetensors") in str(error.value)
    assert (key if key != "recipe" else "None") in str(error.value)


@pytest.mark.parametrize("wrong", [
    {"recipe": "mnist-dppm"}, {"recipe": 3}, {"net": None}, {"net": {"channels": []}}, {"net": {"channels": [7, 16]}},
    {"net": {"chanels": [8, 16]}}, {"net": {"channels": [8, 16], "width": -4}}, {"shape": []}, {"shape": None},
    {"shape": [3, 28, 28]}, {"T": "many"}, {"T": -1}, {"betas": [0.1, 0.2, 0.3, 0.4]}, {"betas": [0.5, 1.5]}], ids=str)
def test_a_wrong_description_is_one_line(wrong, trained):
    _, folder = trained
    tensors, config = load_checkpoint(folder / "model.safetensors")
    save_checkpoint(folder / "model.safetensors", tensors, config | wrong)
    with pytest.raises(CheckpointError) as error:
        load(folder)
    assert "\n" not in str(error.value) and "model.safetensors" in str(error.value)


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(number, trained):
    _, folder = trained
    tensors, config = load_checkpoint(folder / "model.safetensors")
    tensors["norm.bias"][3] = number
    save_checkpoint(folder / "model.safetensors", tensors, config)
    with pytest.raises(CheckpointError, match="not finite numbers, in norm.bias"):
        load(folder)


def test_half_precision_is_kept_only_where_the_weights_survive_it():
    ordinary = torch.randn(100, generator=torch.Generator().manual_seed(0))
    assert halved(ordinary).dtype == torch.float16
    survivors = [ordinary.double(), ordinary.bfloat16(), torch.arange(5, dtype=torch.int8), torch.tensor(True),
                 1e-9 * ordinary, 1e6 * ordinary, torch.tensor([1.0, float("nan")]), torch.tensor([float("inf")]),
                 torch.empty(0)]
    for value in survivors:
        kept = halved(value)
        assert kept.dtype == value.dtype and torch.equal(kept.nan_to_num(), value.nan_to_num())


def test_a_model_is_saved_within_a_thousandth_of_its_largest_weights(tmp_path):
    net = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.Linear(8, 8))
    net.register_buffer("scale", torch.tensor([3e-8]))
    net.register_buffer("codes", torch.arange(-3, 3, dtype=torch.int8))
    save_model(tmp_path / "x.safetensors", net, {"recipe": "x"})
    saved, config = load_checkpoint(tmp_path / "x.safetensors")
    assert config == {"recipe": "x"} and saved.keys() == net.state_dict().keys()
    kinds = {name: value.dtype for name, value in saved.items()}
    assert kinds["0.weight"] == torch.float16 and kinds["scale"] == torch.float32 and kinds["codes"] == torch.int8
    for name, value in net.state_dict().items():
        assert (saved[name].double() - value.double()).abs().max() <= value.double().abs().max() / 1024


# --- noise, a stream a picture --------------------------------------------------------------------------------------

@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_stream_of_a_picture_does_not_know_its_batch(dtype):
    whole, part = Streams(7, 0, 5), Streams(7, 3, 2)
    x = torch.zeros(5, 2, 3, dtype=dtype)
    for _ in range(3):
        all_of_them, some = normal_like(x, whole), normal_like(x[3:], part)
        assert all_of_them.dtype == dtype and torch.equal(all_of_them[3:], some)
    assert len({float(row.sum()) for row in all_of_them}) == 5
    assert not torch.equal(normal_like(x, Streams(8, 0, 5)), normal_like(x, Streams(7, 0, 5)))
    with pytest.raises(ValueError, match="got 5 streams for a batch of 2"):
        normal_like(x[:2], whole)
