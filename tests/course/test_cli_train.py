"""`train`, as a person types it: nothing that was learned is lost, and nothing of an earlier run either."""

import json
import os
import shlex
import signal
from dataclasses import replace

import pytest
import torch

from minidiff.cli.main import main
from minidiff.recipes import mnist_ddpm
from minidiff.recipes.recipe import load
from minidiff.training.checkpoint import load_checkpoint
from minidiff.training.lock import alone_in

NET = {"channels": [8, 8], "patch": 4}
SMALL = {"net": NET, "batch": 8, "fit": {"lr": 1e-3, "precision": "float32", "save_every": 0.0}}


@pytest.fixture
def calls(monkeypatch):
    """The recipe mnist-ddpm, so small that a test can train it. {3: action}: what happens in the third pass."""
    calls, recipe = {"made": 0}, mnist_ddpm.RECIPE

    def loss(config):
        of_recipe = recipe.loss(config)

        def loss_fn(net, batch, generator):
            calls["made"] += 1
            calls.get(calls["made"], lambda: None)()
            return of_recipe(net, batch, generator)
        return loss_fn

    def data(config):
        x = torch.randn(64, 1, 28, 28, generator=torch.Generator().manual_seed(0))
        return {"x": x, "label": torch.zeros(64, dtype=torch.int64)}, {"shape": [1, 28, 28], "classes": 10}
    presets = {"cpu": SMALL, "cuda": SMALL | {"batch": 4}}
    monkeypatch.setattr(mnist_ddpm, "RECIPE", replace(recipe, presets=presets, loss=loss, data=data))
    return calls


def train(out, *words):
    return main(["train", "mnist-ddpm", "--out", str(out), *map(str, words)])


def refusal(capsys, out, *words):
    """The single line that a wrong call prints, after checking that it is one, and exit status 2."""
    capsys.readouterr()
    try:
        status = train(out, *words)
    except SystemExit as stop:  # argparse
        status = stop.code
    said = capsys.readouterr()
    assert status == 2 and said.out == "" and len(said.err.splitlines()) == 1, said
    return said.err


@pytest.mark.parametrize("number, status", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("step", [1, 4])
def test_a_run_that_is_stopped_keeps_its_model_and_says_how_to_go_on(calls, tmp_path, capsys, number, status, step):
    """Asked in its first step, or later: the state of every step is saved here, so the last one is that of the end."""
    out = tmp_path / "a run"
    calls[step] = lambda: os.kill(os.getpid(), number)
    assert train(out, "--steps", 9, "--seed", 3) == status
    assert json.loads((out / "model.json").read_text())["steps"] == step
    state, config = load_checkpoint(out / "state.safetensors")
    assert config["step"] == step
    _, net = load(out)
    assert torch.allclose(net.conv_in.weight, state["ema.conv_in.weight"], atol=1e-3)
    last = capsys.readouterr().out.splitlines()[-1]
    said, _, command = last.partition("go on: ")
    assert said.startswith("stopped") and shlex.split(command)[:3] == ["python", "-m", "minidiff"]
    assert main(shlex.split(command)[3:]) == 0
    assert train(tmp_path / "whole", "--steps", 9, "--seed", 3) == 0
    assert ((out / "model.safetensors").read_bytes() == (tmp_path / "whole" / "model.safetensors").read_bytes())


def test_a_length_that_was_reached_is_said_and_the_model_written(calls, tmp_path, capsys):
    assert train(tmp_path, "--steps", 3) == 0
    (tmp_path / "model.safetensors").unlink()
    for words, had in ((("--steps", 2), "3 steps, and --steps 2"), (("--minutes", 1e-9), "0.0 minutes, and --minutes")):
        capsys.readouterr()
        assert train(tmp_path, *words, "--resume") == 0
        assert f"nothing left to train: the run in {tmp_path} has had {had}" in capsys.readouterr().out
        assert load(tmp_path)[0].name == "mnist-ddpm"
    assert train(tmp_path, "--steps", 5, "--resume") == 0
    assert json.loads((tmp_path / "model.json").read_text())["steps"] == 5


def test_a_run_is_never_overwritten(calls, tmp_path, capsys):
    assert train(tmp_path / "run", "--steps", 1) == 0
    for kept in ("state.safetensors", "model.safetensors"):
        assert "holds a run already: go on with --resume" in refusal(capsys, tmp_path / "run", "--steps", 2)
        (tmp_path / "run" / kept).unlink()
    assert "nothing to resume" in refusal(capsys, tmp_path / "run", "--steps", 2, "--resume")
    assert "nothing to resume" in refusal(capsys, tmp_path / "none", "--resume") and not (tmp_path / "none").exists()


def test_two_runs_in_one_folder_are_refused(calls, tmp_path, capsys):
    with alone_in(tmp_path):
        assert f"another run is training in {tmp_path} (process {os.getpid()})" in refusal(capsys, tmp_path)
    assert calls["made"] == 0 and train(tmp_path, "--steps", 1) == 0


def test_a_full_disk_is_one_line_and_the_last_state_stays(calls, tmp_path, capsys, monkeypatch):
    def full(fd):
        raise OSError(28, "No space left on device")
    calls[4] = lambda: monkeypatch.setattr(os, "fsync", full)
    said = refusal(capsys, tmp_path, "--steps", 9)
    assert "state.safetensors: No space left on device" in said
    assert {file.name for file in tmp_path.iterdir()} == {".lock", "state.safetensors"}
    monkeypatch.undo()
    assert load_checkpoint(tmp_path / "state.safetensors")[1]["step"] == 3


def test_what_a_killed_process_left_half_written_is_removed(calls, tmp_path):
    assert train(tmp_path, "--steps", 1) == 0
    for name in (".state.safetensors.x7d", ".model.safetensors.k2_"):
        (tmp_path / name).write_bytes(b"half")
    assert train(tmp_path, "--steps", 2, "--resume") == 0
    assert {file.name for file in tmp_path.iterdir()} == {".lock", "state.safetensors", "model.safetensors",
                                                          "model.json"}


def test_a_device_is_taken_or_refused_with_a_reason(calls, tmp_path, capsys, monkeypatch):
    assert "choice: 'tpu' (choose from 'cpu', 'cuda', 'mps')" in refusal(capsys, tmp_path, "--device", "tpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert "no usable CUDA device" in refusal(capsys, tmp_path, "--device", "cuda")
    assert "no usable CUDA device" in refusal(capsys, tmp_path, "--preset", "cuda")
    assert "'mps' was asked for" in refusal(capsys, tmp_path, "--device", "mps")
    assert train(tmp_path, "--steps", 1, "--device", "cpu", "--preset", "cuda") == 0
    record = json.loads((tmp_path / "model.json").read_text())
    assert record["preset"] == "cuda" and record["images"] == 4 and record["compiled"] is False


def test_a_failure_is_said_by_the_first_of_several_processes(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("minidiff.training.parallel.join", lambda device: device)
    for rank, lines in (("0", 1), ("1", 0)):
        monkeypatch.setenv("WORLD_SIZE", "2")
        monkeypatch.setenv("RANK", rank)
        assert train(tmp_path, "--resume") == 2 and len(capsys.readouterr().err.splitlines()) == lines
