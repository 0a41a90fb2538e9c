"""What is kept of a run: weights in half precision where they survive it, and a record of what it took."""

import json

import pytest
import torch
from torch import nn

from minidiff.data.batches import Batches
from minidiff.recipes.run import Run, halved, save_model, train
from minidiff.training.checkpoint import load_checkpoint


@pytest.mark.parametrize("value, kept", [
    (torch.tensor([1.0, -0.3, 1e-9]), torch.float16), (torch.tensor([1e-8, 2e-8]), torch.float32),
    (torch.tensor([1e6, 1.0]), torch.float32), (torch.tensor([float("nan"), 1.0]), torch.float32),
    (torch.tensor([3], dtype=torch.int8), torch.int8), (torch.tensor([2**40]), torch.int64),
    (torch.tensor([True]), torch.bool), (torch.tensor([1 / 3], dtype=torch.float64), torch.float64),
    (torch.zeros(0), torch.float32)])
def test_weights_are_halved_where_they_survive_it(value, kept):
    half = halved(value)
    assert half.dtype == kept
    if kept != torch.float16:
        assert half is value
    else:
        assert (half.float() - value).abs().max() <= value.abs().max() / 1024


def test_a_net_of_mixed_weights_comes_back(tmp_path):
    net = nn.BatchNorm1d(3)
    net.register_buffer("codes", torch.tensor([-7, 5], dtype=torch.int8))
    save_model(tmp_path / "model", net, {"recipe": "x"})
    tensors, _ = load_checkpoint(tmp_path / "model")
    assert tensors["codes"].tolist() == [-7, 5] and tensors["num_batches_tracked"].dtype == torch.int64


def test_the_record_says_what_was_trained_for_how_long_and_on_what(tmp_path):
    torch.manual_seed(0)
    run = Run(nn.Linear(3, 3), lambda net, x, generator: (net(x).square().mean(), {}),
              Batches(torch.randn(20, 3), 5, seed=0).at, {"lr": 1e-2}, {"recipe": "x"})
    fitted, record = train(run, tmp_path / "out", steps=7, progress=False)
    assert record == json.loads((tmp_path / "out" / "model.json").read_text())
    assert (record["steps"], record["images"], record["precision"], record["compiled"]) == (7, 35, "float32", False)
    assert record["recipe"] == "x" and record["compile_seconds"] == 0 and len(record["loss_curve"]) == 7
    tensors, config = load_checkpoint(tmp_path / "out" / "model.safetensors")
    assert config == {"recipe": "x"} and torch.allclose(tensors["weight"].float(), fitted.ema.weight, atol=1e-3)
