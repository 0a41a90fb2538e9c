"""The commands, as a person types them: what they make, and one clear line for everything that is wrong."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from minidiff.cli.main import main
from minidiff.models.unet import UNet
from minidiff.places import CHECKPOINTS
from minidiff.recipes import mnist_ddpm, pictures
from minidiff.recipes.recipe import load
from minidiff.recipes.run import save_model

NET = {"channels": [8, 8], "patch": 4}
DDPM = {"recipe": "mnist-ddpm", "net": NET, "data": "mnist", "shape": [1, 28, 28], "classes": 10,
        **{name: mnist_ddpm.RECIPE.config[name] for name in ("T", "betas")}}
FLOW = CHECKPOINTS / "mnist-flow.safetensors"


@pytest.fixture
def small(monkeypatch):
    """The recipe with a net so small that a test can train it."""
    chosen = {"net": NET, "batch": 16, "fit": {"lr": 1e-3, "precision": "float32"}}
    monkeypatch.setitem(mnist_ddpm.RECIPE.presets, "cpu", chosen)
    data = torch.zeros(64, 1, 28, 28), torch.arange(64) % 10
    monkeypatch.setattr(pictures, "load", lambda name, split, n=None: data)


@pytest.fixture
def model(tmp_path):
    torch.manual_seed(0)
    save_model(tmp_path / "model.safetensors", UNet(**NET), DDPM)
    return tmp_path / "model.safetensors"


def says(capsys, *arguments):
    """The single line that a wrong call prints, after checking that it is one, and exit status 2."""
    capsys.readouterr()
    try:
        status = main([str(a) for a in arguments])
    except SystemExit as stop:
        status = stop.code
    lines = capsys.readouterr().err.strip().splitlines()
    assert status == 2 and len(lines) == 1, (status, lines)
    return lines[0]


def drawn(tmp_path, *arguments):
    """What `sample` writes as numbers, (N, C, H, W)."""
    file = tmp_path / "drawn.npy"
    assert main(["sample", *map(str, arguments), "--out", str(file)]) == 0
    return np.load(file)


def test_train_then_sample(small, tmp_path):
    out = tmp_path / "run"
    assert main(["train", "mnist-ddpm", "--preset", "cpu", "--steps", "3", "--out", str(out)]) == 0
    record = json.loads((out / "model.json").read_text())
    assert record["steps"] == 3 and record["images"] == 48 and len(record["loss_curve"]) == 3
    images = drawn(tmp_path, out, "--n", 5, "--steps", 4)
    assert images.shape == (5, 1, 28, 28) and images.dtype == np.float32 and abs(images).max() <= 1
    assert main(["sample", str(out), "--n", "5", "--steps", "4", "--out", str(tmp_path / "x.png")]) == 0
    assert Image.open(tmp_path / "x.png").size == (903, 93)


def test_evaluate_measures_as_the_recipe_does(model, tmp_path, capsys):
    assert main(["evaluate", str(model), "--n", "20", "--steps", "2", "--out", str(tmp_path / "e.json")]) == 0
    found = json.loads((tmp_path / "e.json").read_text())
    assert found["distance"] > 700 and found["steps"] == 2 and found["data"] == "mnist"
    shown = capsys.readouterr().out
    assert "20 pictures of mnist-ddpm, which learned mnist" in shown and f"distance {found['distance']}" in shown


def test_compare_writes_a_table_a_figure_and_pictures(model, tmp_path):
    out = tmp_path / "side"
    assert main(["compare", str(model), "--samplers", "ddim,heun,unipc", "--evals", "3,4", "--n", "12",
                 "--out", str(out)]) == 0
    table = json.loads((out / "table.json").read_text())
    assert [(r["sampler"], r["evaluations"]) for r in table["rows"]] == [(s, e) for e in (3, 4)
                                                                       for s in ("ddim", "heun", "unipc")]
    assert all(r["distance"] > 0 for r in table["rows"]) and table["n"] == 12
    assert {file.name for file in out.iterdir()} == {"table.json", "quality.png", "pictures-3.png", "pictures-4.png"}


def test_data_that_the_judge_does_not_read_are_drawn_all_the_same(tmp_path, capsys):
    save_model(tmp_path / "m.safetensors", UNet(image_channels=3, **NET), DDPM | {"data": "cifar10",
                                                                                  "shape": [3, 32, 32]})
    assert main(["evaluate", str(tmp_path / "m.safetensors"), "--n", "3", "--steps", "2",
                 "--out", str(tmp_path / "e.json")]) == 0
    found, (first, second) = json.loads((tmp_path / "e.json").read_text()), capsys.readouterr().out.splitlines()
    assert "cifar10" in found["not_measured"] and second == f"not measured: {found['not_measured']}"
    assert found["n"] == 3 and 0 < found["std"] < 1 and "distance" not in found
    assert main(["compare", str(tmp_path / "m.safetensors"), "--n", "3", "--samplers", "ddim", "--evals", "2",
                 "--out", str(tmp_path / "side")]) == 0
    assert {file.name for file in (tmp_path / "side").iterdir()} == {"table.json", "pictures-2.png"}
    assert capsys.readouterr().out.count("not measured: ") == 1


def test_a_label_is_drawn_and_guidance_leads_towards_it(tmp_path):
    recipe, net = load(FLOW)
    judge = pictures.judge_of("mnist")
    sevens = drawn(tmp_path, FLOW, "--n", 12, "--label", 7, "--steps", 5)
    assert (judge.labels(torch.from_numpy(sevens)) == 7).sum() >= 10
    in_turn = drawn(tmp_path, FLOW, "--n", 12, "--label", "7,3", "--steps", 5)
    assert (in_turn[0] == sevens[0]).all() and (judge.labels(torch.from_numpy(in_turn))[1::2] == 3).sum() >= 5
    follows = drawn(tmp_path, FLOW, "--n", 12, "--label", 7, "--steps", 5, "--guidance", 1)
    ignores = drawn(tmp_path, FLOW, "--n", 12, "--label", 7, "--steps", 5, "--guidance", 0)
    none = drawn(tmp_path, FLOW, "--n", 12, "--label", recipe.config["classes"], "--steps", 5)
    assert (follows == sevens).all() and (ignores == none).all() and not (ignores == sevens).all()
    asked = []
    net = type(net).__call__
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(UNet, "__call__", lambda self, *a, **k: asked.append(0) or net(self, *a, **k))
        drawn(tmp_path, FLOW, "--n", 2, "--label", 7, "--steps", 5, "--guidance", 3)
    assert len(asked) == 10


def test_conditions_that_a_model_does_not_know_are_refused(model, tmp_path, capsys):
    out = ("--out", tmp_path / "x.png")
    assert "takes no condition, asked for was label" in says(capsys, "sample", model, "--label", 7, *out)
    assert "mnist-ddpm knows no condition" in says(capsys, "sample", model, "--guidance", 2, *out)
    assert "whole numbers in 0..10" in says(capsys, "sample", FLOW, "--label", 11, *out)
    assert "--label: must be a class" in says(capsys, "sample", FLOW, "--label", "seven", *out)


def test_the_grid_can_be_chosen(model, tmp_path):
    one, other = (drawn(tmp_path, model, "--n", 2, "--sampler", "ddim", "--steps", 3, "--grid", grid)
                  for grid in ("time", "lambda"))
    assert not (one == other).all()
    assert (one == drawn(tmp_path, model, "--n", 2, "--sampler", "ddim", "--steps", 3)).all()


def test_a_wrong_comparison_is_refused_before_anything_is_drawn(model, tmp_path, capsys):
    wrong = {"--samplers": ("nosuch", "there is no sampler 'nosuch'"), "--evals": ("5,x", "--evals: must be"),
             "--n": ("1", "at least 2")}
    for option, (value, words) in wrong.items():
        assert words in says(capsys, "compare", model, option, value, "--out", tmp_path / "side")
    assert "--evals: must be" in says(capsys, "compare", model, "--evals", "0", "--out", tmp_path / "side")
    assert "one step takes 2 evaluations" in says(capsys, "compare", model, "--samplers", "plms", "--evals", "1",
                                                 "--out", tmp_path / "side")
    assert not (tmp_path / "side").exists()


def test_a_checkpoint_that_draws_nothing_is_refused(model, tmp_path, capsys):
    classifier = CHECKPOINTS / "mnist-classifier.safetensors"
    assert "draws no pictures" in says(capsys, "sample", classifier, "--out", tmp_path / "x.png")
    save_model(tmp_path / "other.safetensors", UNet(**NET), {"recipe": "of-tomorrow"})
    assert "of-tomorrow" in says(capsys, "evaluate", tmp_path / "other.safetensors")


@pytest.mark.parametrize("damage, word", [
    ({"T": None}, "T"), ({"shape": None}, "shape"), ({"net": {"channels": [8, 8], "patch": 4, "more": 1}}, "more"),
    ({"net": "large"}, "does not make a model"), ({"shape": [1, 28]}, "does not make a model"),
])
def test_a_description_that_lacks_a_key_or_has_another_is_one_line(tmp_path, capsys, damage, word):
    config = {name: value for name, value in (DDPM | damage).items() if value is not None}
    save_model(tmp_path / "m.safetensors", UNet(**NET), config)
    for command in ("sample", "evaluate", "compare"):
        said = says(capsys, command, tmp_path / "m.safetensors", "--out", tmp_path / "x.png")
        assert word in said and "m.safetensors" in said


def test_weights_that_are_no_numbers_are_refused_by_every_command(tmp_path, capsys):
    net = UNet(**NET)
    torch.nn.init.constant_(net.conv_out.weight, float("nan"))
    save_model(tmp_path / "m.safetensors", net, DDPM)
    for command in ("sample", "evaluate", "compare"):
        said = says(capsys, command, tmp_path / "m.safetensors", "--out", tmp_path / "x.png")
        assert "not finite numbers, in conv_out.weight" in said
    assert not (tmp_path / "x.png").exists()


def test_resume_goes_on_and_a_run_is_never_overwritten(small, tmp_path, capsys):
    out = tmp_path / "run"
    main(["train", "mnist-ddpm", "--steps", "2", "--out", str(out)])
    assert "--resume" in says(capsys, "train", "mnist-ddpm", "--steps", "4", "--out", out)
    assert main(["train", "mnist-ddpm", "--steps", "4", "--out", str(out), "--resume"]) == 0
    assert json.loads((out / "model.json").read_text())["steps"] == 4


@pytest.mark.parametrize("arguments, word", [
    (["train", "nosuch"], "mnist-ddpm"), (["train", "mnist-ddpm", "--minutes", "-1"], "positive"),
    (["train", "mnist-ddpm", "--minutes", "nan"], "positive"), (["train", "mnist-ddpm", "--steps", "0"], "positive"),
    (["train", "mnist-ddpm", "--resume", "--out", "nowhere"], "nothing to resume"), (["nosuch"], "nosuch"),
    (["demo", "--recipe", "mnist-classifier"], "draws no pictures"),
])
def test_wrong_words_get_one_line(capsys, arguments, word):
    assert word in says(capsys, *arguments)


def test_wrong_files_and_numbers_get_one_line(model, tmp_path, capsys):
    text = tmp_path / "text.safetensors"
    text.write_text("these are not weights")
    assert "text.safetensors" in says(capsys, "sample", text, "--out", tmp_path / "x.png")
    text.write_bytes(model.read_bytes()[:-100])
    assert "text.safetensors" in says(capsys, "evaluate", text)
    assert "no checkpoint" in says(capsys, "evaluate", tmp_path / "none.safetensors")
    assert "nosuch" in says(capsys, "sample", model, "--sampler", "nosuch", "--out", tmp_path / "x.png")
    assert "1..1000" in says(capsys, "sample", model, "--steps", "1001", "--out", tmp_path / "x.png")
    assert ".png or .npy" in says(capsys, "sample", model, "--out", tmp_path / "x.jpg")
    assert "no folder" in says(capsys, "sample", model, "--out", tmp_path / "none" / "x.png")
    assert "at least 2" in says(capsys, "evaluate", model, "--n", "1")


def test_a_folder_that_cannot_be_written_is_seen_before_training(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert "cannot write" in says(capsys, "train", "mnist-ddpm", "--steps", "1", "--out", tmp_path / "file" / "run")


def test_two_processes_train_one_net(tmp_path):
    """torchrun with gloo: both ranks end with the weights of one net, and one of them saves."""
    script = tmp_path / "child.py"
    script.write_text("import sys\nfrom minidiff.recipes import mnist_ddpm, pictures\n"
                      f"mnist_ddpm.RECIPE.presets['cpu'] = {{'net': {NET}, 'batch': 16, 'fit': {{}}}}\n"
                      "import torch\npictures.load = lambda *a, **k: (torch.randn(64, 1, 28, 28, generator="
                      "torch.Generator().manual_seed(0)), torch.arange(64))\nfrom minidiff.cli.main import main\n"
                      f"sys.exit(main(['train', 'mnist-ddpm', '--preset', 'cpu', '--steps', '4', "
                      f"'--out', r'{tmp_path}']))\n")
    done = subprocess.run([sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2",
                           "--master_addr=127.0.0.1", "--master_port=0", "--rdzv_backend=c10d",
                           "--rdzv_endpoint=127.0.0.1:0", str(script)],
                          capture_output=True, text=True, timeout=120, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr[-2000:]
    record = json.loads((tmp_path / "model.json").read_text())
    assert record["steps"] == 4 and record["images"] == 64
    assert done.stdout.count("4 steps") == 1
