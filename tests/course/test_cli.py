"""The commands, as a person types them: what they make, and one clear line for everything that is wrong."""

import json
import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from minidiff.cli import walks
from minidiff.cli.evaluate import distance_of_real
from minidiff.cli.main import main
from minidiff.models.unet import UNet
from minidiff.process.continuous import cosine_path, interpolated_path
from minidiff.process.edm import ve_path
from minidiff.process.flow import flow_path
from minidiff.process.schedules import alpha_bar_of, linear_betas
from minidiff.recipes import mnist_ddpm
from minidiff.recipes.run import CHECKPOINTS, save_model

NET = {"channels": [8, 8], "patch": 4}


@pytest.fixture
def small(monkeypatch):
    """The recipe with a net so small that a test can train it."""
    chosen = {"net": NET, "batch": 16, "fit": {"lr": 1e-3, "precision": "float32"}}
    monkeypatch.setitem(mnist_ddpm.PRESETS, "cpu", chosen)
    pictures, labels = torch.zeros(64, 1, 28, 28), torch.zeros(64)
    monkeypatch.setattr(mnist_ddpm, "load_data", lambda name, split, n=None: (pictures, labels))


@pytest.fixture
def model(tmp_path):
    torch.manual_seed(0)
    config = {"recipe": "mnist-ddpm", "net": NET, "data": "strokes", "preset": "cpu"}
    save_model(tmp_path / "model.safetensors", UNet(**NET), config)
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


def test_train_then_sample_then_evaluate(small, tmp_path, capsys):
    out = tmp_path / "run"
    assert main(["train", "mnist-ddpm", "--preset", "cpu", "--steps", "3", "--out", str(out)]) == 0
    record = json.loads((out / "model.json").read_text())
    assert record["steps"] == 3 and record["images"] == 48 and len(record["loss_curve"]) == 3
    assert main(["sample", str(out), "--n", "5", "--steps", "4", "--out", str(tmp_path / "x.npy")]) == 0
    images = np.load(tmp_path / "x.npy")
    assert images.shape == (5, 1, 28, 28) and images.dtype == np.float32 and abs(images).max() <= 1
    assert main(["sample", str(out), "--n", "5", "--steps", "4", "--out", str(tmp_path / "x.png")]) == 0
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")


def test_evaluate_measures_beside_real_data(model, tmp_path, capsys):
    assert main(["evaluate", str(model), "--n", "20", "--steps", "2", "--out", str(tmp_path / "e.json")]) == 0
    found = json.loads((tmp_path / "e.json").read_text())
    assert found["distance"] > 3 * found["distance_of_real"] > 0 and 0.9 < found["eps_mse_test"] < 1.1
    assert "Fréchet distance of 20 pictures" in capsys.readouterr().out


def test_real_digits_are_drawn_at_random_since_the_test_set_is_not_in_random_order():
    ordered = torch.arange(1000.0)[:, None]
    seen = []
    judge = SimpleNamespace(distance=lambda images: seen.append(images[:, 0]) or 0.0)
    assert distance_of_real(judge, ordered, 100) == 0 and distance_of_real(judge, ordered, 1001) is None
    assert len(seen[0].unique()) == 100 and 400 < seen[0].mean() < 600
    assert distance_of_real(judge, ordered, 100) == 0 and torch.equal(seen[0], seen[1])


def test_compare_writes_a_table_a_figure_and_pictures(model, tmp_path, capsys):
    out = tmp_path / "side"
    assert main(["compare", str(model), "--samplers", "ddim,heun,unipc", "--evals", "3,4", "--n", "12",
                 "--out", str(out)]) == 0
    table = json.loads((out / "table.json").read_text())
    assert [(r["sampler"], r["evaluations"]) for r in table["rows"]] == [(s, e) for e in (3, 4)
                                                                       for s in ("ddim", "heun", "unipc")]
    assert all(r["distance"] > 0 for r in table["rows"]) and table["n"] == 12
    assert {file.name for file in out.iterdir()} == {"table.json", "quality.png", "pictures-3.png", "pictures-4.png"}


def test_every_walk_keeps_to_its_evaluations_and_starts_from_the_same_noise(model):
    known = walks.trained(model)
    for name, walk in walks.WALKS.items():
        asked = []
        net = known.net.register_forward_pre_hook(lambda net, inputs: asked.append(inputs[0]))
        images = walks.draw(known, 2, name, 7, seed=3)
        net.remove()
        assert len(asked) == walk.each * walk.steps(7) + walk.more <= 7, name
        assert images.shape == (2, 1, 28, 28) and images.isfinite().all() and images.abs().max() <= 1
        start = torch.randn(2, 1, 28, 28, generator=torch.Generator().manual_seed(3))
        torch.testing.assert_close(asked[0], start, rtol=1e-4, atol=0)


@pytest.mark.parametrize("kind", walks.GRIDS)
def test_grids_of_any_path_fall_to_clean(kind):
    for path in (interpolated_path(alpha_bar_of(linear_betas())), flow_path(), ve_path(), cosine_path()):
        times = walks.grid_of(path, 7, kind)
        assert len(times) == 8 and (times.diff() < 0).all() and times[-1] == 0 and path.alpha(times[0]) > 0


def test_a_named_sampler_draws_what_compare_draws(model, tmp_path):
    main(["sample", str(model), "--n", "3", "--sampler", "heun", "--steps", "5", "--out", str(tmp_path / "x.npy")])
    again = walks.draw(walks.trained(model), 3, "heun", 5).numpy()
    assert (np.load(tmp_path / "x.npy") == again).all()


def test_a_wrong_comparison_is_refused_before_anything_is_drawn(model, tmp_path, capsys):
    wrong = {"--samplers": ("nosuch", "there is no sampler 'nosuch'"), "--evals": ("5,x", "--evals must be"),
             "--n": ("1", "at least 2")}
    for option, (value, words) in wrong.items():
        assert words in says(capsys, "compare", model, option, value, "--out", tmp_path / "side")
    assert "--evals must be" in says(capsys, "compare", model, "--evals", "0", "--out", tmp_path / "side")
    assert "one step takes 2 evaluations" in says(capsys, "compare", model, "--samplers", "plms", "--evals", "1",
                                                 "--out", tmp_path / "side")
    assert not (tmp_path / "side").exists()


def test_a_checkpoint_that_draws_nothing_is_refused(model, tmp_path, capsys):
    classifier = CHECKPOINTS / "mnist-classifier.safetensors"
    assert "draws no pictures" in says(capsys, "sample", classifier, "--out", tmp_path / "x.png")
    save_model(tmp_path / "other.safetensors", UNet(**NET), {"recipe": "of-tomorrow"})
    assert "of-tomorrow" in says(capsys, "evaluate", tmp_path / "other.safetensors")


def test_the_same_seed_draws_the_same_pictures(model, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        out = str(tmp_path / f"{name}.npy")
        main(["sample", str(model), "--n", "2", "--steps", "3", "--seed", str(seed), "--out", out])
    a, b, c = (np.load(tmp_path / f"{name}.npy") for name in "abc")
    assert (a == b).all() and not (a == c).all()


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


def test_a_damaged_data_folder_gets_one_line(tmp_path, capsys, monkeypatch):
    (tmp_path / "mnist").mkdir()
    for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (tmp_path / "mnist" / f"{name}-ubyte.gz").write_bytes(b"damaged")
    monkeypatch.setenv("MINIDIFF_DATA", str(tmp_path))
    assert "train-images" in says(capsys, "train", "mnist-ddpm", "--steps", "1", "--out", tmp_path / "run")


def test_two_processes_train_one_net(tmp_path):
    """torchrun with gloo: both ranks end with the weights of one net, and one of them saves."""
    script = tmp_path / "child.py"
    script.write_text("import sys\nfrom minidiff.recipes import mnist_ddpm\n"
                      f"mnist_ddpm.PRESETS['cpu'] = {{'net': {NET}, 'batch': 16, 'fit': {{'precision': 'float32'}}}}\n"
                      "import torch\nmnist_ddpm.load_data = lambda *a, **k: (torch.randn(64, 1, 28, 28, "
                      "generator=torch.Generator().manual_seed(0)), None)\nfrom minidiff.cli.main import main\n"
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
