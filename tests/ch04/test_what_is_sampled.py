"""From training to samples: it is the average that is kept, it is frozen, and no dropout acts in it."""

from dataclasses import replace

import torch

from minidiff.recipes.mnist_ddpm import RECIPE
from minidiff.recipes.recipe import build, load
from minidiff.recipes.run import Run, save_model, train
from minidiff.training.checkpoint import load_checkpoint


def short_run():
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Dropout(0.5))
    return Run(net, lambda net, batch, generator: (net(batch).square().mean(), {}),
               lambda step: torch.ones(4, 3), {"lr": 0.1, "warmup": 1}, {"recipe": "tiny"})


def test_the_average_is_saved_and_not_the_last_weights(tmp_path):
    fitted, _ = train(short_run(), tmp_path, steps=5, progress=False)
    saved, config = load_checkpoint(tmp_path / "model.safetensors")
    assert config == {"recipe": "tiny"}
    for name, value in saved.items():
        assert torch.equal(value, fitted.ema.state_dict()[name].half())
        assert not torch.equal(value, fitted.net.state_dict()[name].half())


def test_training_ends_with_two_nets_that_can_be_sampled_from(tmp_path):
    fitted, _ = train(short_run(), tmp_path, steps=2, progress=False)
    for net in (fitted.net, fitted.ema):
        assert torch.equal(net(torch.ones(4, 3)), net(torch.ones(4, 3)))  # dropout would differ
    assert all(p.grad is None and not p.requires_grad for p in fitted.ema.parameters())


def test_a_loaded_model_is_frozen_and_without_dropout(few_strokes, tmp_path):
    dropping = {"net": {"channels": [8, 16], "patch": 2, "dropout": 0.5}, "batch": 4, "fit": {}}
    run = build(replace(RECIPE, presets={"cpu": dropping}), data="strokes")
    save_model(tmp_path / "model.safetensors", run.net, run.config)
    _, net = load(tmp_path)
    assert any(isinstance(m, torch.nn.Dropout) and m.p == 0.5 for m in net.modules())
    assert not any(m.training for m in net.modules())
    assert not any(p.requires_grad for p in net.parameters())
