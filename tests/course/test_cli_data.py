"""Data of every shape, and a folder of one's own pictures, from `train` to `sample`."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from minidiff.cli.main import main
from minidiff.recipes import mnist_flow, pictures
from minidiff.recipes.recipe import load
from tests.course.test_cli import says

NET = {"channels": [8, 8], "patch": 2, "width": 16}


@pytest.fixture
def small(monkeypatch):
    """The recipe with a net that a test can train."""
    chosen = {"net": NET, "batch": 8, "fit": {"lr": 1e-3, "precision": "float32"}}
    monkeypatch.setitem(mnist_flow.RECIPE.presets, "cpu", chosen)


@pytest.fixture
def mine(tmp_path):
    """A folder of pictures of two kinds."""
    for name, grey in (("cats/1.png", 0), ("cats/2.jpg", 50), ("dogs/1.png", 255)):
        (tmp_path / "mine" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (50, 30), (grey, 255, 0)).save(tmp_path / "mine" / name)
    return tmp_path / "mine"


def trained_and_drawn(tmp_path, *data):
    """The pictures that `sample` draws after `train` on these data, as (N, C, H, W), and the trained recipe."""
    out = tmp_path / "run"
    assert main(["train", "mnist-flow", "--device", "cpu", "--steps", "2", "--out", str(out), *map(str, data)]) == 0
    assert main(["sample", str(out), "--n", "3", "--steps", "3", "--device", "cpu", "--out",
                 str(tmp_path / "x.npy")]) == 0
    return np.load(tmp_path / "x.npy"), load(out)[0]


@pytest.mark.parametrize("options, shape", [((), (1, 28, 28)), (("--shape", "3,16,24"), (3, 16, 24))])
def test_a_folder_of_pictures_is_learned_and_drawn_in_the_shape_asked_for(small, mine, tmp_path, options, shape):
    images, recipe = trained_and_drawn(tmp_path, "--data", mine, *options)
    assert images.shape == (3, *shape)
    assert recipe.config["data"] == str(mine.resolve()) and recipe.config["class_names"] == ["cats", "dogs"]
    assert recipe.config["classes"] == 2 and recipe.draw(recipe.config).cond(3)["label"].tolist() == [0, 1, 0]


@pytest.mark.parametrize("name, shape", [("fashion-mnist", (1, 28, 28)), ("cifar10", (3, 32, 32))])
def test_a_data_set_brings_its_own_shape(small, tmp_path, monkeypatch, name, shape):
    asked, data = [], (torch.zeros(20, *shape), torch.arange(20) % 10)
    monkeypatch.setattr(pictures, "load", lambda *arguments, **_: asked.append(arguments) or data)
    images, recipe = trained_and_drawn(tmp_path, "--data", name)
    assert asked == [(name, "train")] and images.shape == (3, *shape) and recipe.config["classes"] == 10


def test_evaluate_says_that_the_judge_does_not_read_them(small, mine, tmp_path, capsys):
    trained_and_drawn(tmp_path, "--data", mine)
    capsys.readouterr()
    assert main(["evaluate", str(tmp_path / "run"), "--n", "2", "--steps", "1"]) == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("not measured: the judge reads handwritten digits")


def test_demo_shows_its_pictures_without_a_measure(small, mine, tmp_path, capsys):
    out = tmp_path / "demo"
    assert main(["demo", "--data", str(mine), "--minutes", "0.01", "--device", "cpu", "--out", str(out)]) == 0
    assert "not measured, the judge reads handwritten digits" in capsys.readouterr().out
    assert json.loads((out / "record.json").read_text())["metrics"]["n"] == 200 and (out / "grid.png").is_file()


def test_what_is_wrong_with_a_folder_is_one_line(small, mine, tmp_path, capsys):
    train = ("train", "mnist-flow", "--steps", "1", "--out", tmp_path / "run", "--data")
    (tmp_path / "empty").mkdir()
    assert "empty holds no PNG or JPEG files" in says(capsys, *train, tmp_path / "empty")
    assert "neither a data set (strokes, mnist, fashion-mnist, cifar10) nor a folder" in says(capsys, *train, "nosuch")
    assert "cannot be cut into patches of 2 x 2" in says(capsys, *train, mine, "--shape", "1,27,28")
    assert "--shape C,H,W goes with a folder" in says(capsys, *train, "mnist", "--shape", "1,28,28")
    assert "must be C,H,W, such as 3,32,32" in says(capsys, *train, mine, "--shape", "large")
    (mine / "cats" / "3.png").write_bytes(b"\x89PNG and nothing more")
    assert "3.png cannot be read as a picture" in says(capsys, *train, mine)
    assert "classifier reads ten classes" in says(capsys, "train", "mnist-classifier", "--steps", "1", "--out",
                                                  tmp_path / "run", "--data", mine / "dogs")


def test_damaged_and_missing_data_get_one_line_that_says_where_they_belong(tmp_path, capsys, monkeypatch):
    (tmp_path / "mnist").mkdir()
    for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (tmp_path / "mnist" / f"{name}-ubyte.gz").write_bytes(b"damaged")
    monkeypatch.setenv("MINIDIFF_DATA", str(tmp_path))
    train = ("train", "mnist-ddpm", "--steps", "1", "--out", tmp_path / "run", "--data")
    assert "train-images" in says(capsys, *train, "mnist")
    assert "or let MINIDIFF_DATA name a folder that has cifar10/" in says(capsys, *train, "cifar10")
