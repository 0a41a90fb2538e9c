"""Training on an accelerator: it learns, repeats what the CPU does, and waits for the device only to read losses."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from minidiff.data.batches import Batches
from minidiff.process.losses import denoising_loss
from minidiff.process.path import discrete_path
from minidiff.process.schedules import alpha_bar_of, linear_betas
from minidiff.process.targets import EPS
from minidiff.recipes.recipe import build, find
from minidiff.training.fit import fit
from minidiff.training.prefetch import Prefetch

pytestmark = [pytest.mark.cuda, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]
PATH = discrete_path(alpha_bar_of(linear_betas()))


def eps_loss(net, x, generator):
    return denoising_loss(net, x, PATH, EPS, generator)


def pictures(n=64):
    return torch.randn(n, 1, 28, 28, generator=torch.Generator().manual_seed(0)).clamp(-1, 1)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_training_lowers_the_loss(make_net, precision):
    """In 60 steps the default warm-up of 100 would never reach the learning rate, on any device."""
    images = torch.zeros(64, 1, 28, 28)
    fitted = fit(make_net(), eps_loss, lambda step: images, steps=60, lr=2e-3, warmup=10, device="cuda",
                 precision=precision)
    assert len(fitted.losses) == 60 and sum(fitted.losses[-10:]) < 0.5 * sum(fitted.losses[:10])
    assert all(p.is_cuda for p in fitted.ema.parameters())


def test_a_run_is_the_same_on_both(make_net):
    losses = [fit(make_net(), eps_loss, Batches(pictures(), 16, seed=0).to(device).at, steps=8, warmup=1,
                  device=device).losses for device in ("cpu", "cuda")]
    assert losses[1] == pytest.approx(losses[0], rel=2e-2)  # the trainer multiplies in TF32


def test_batches_lie_on_the_device_in_the_same_order():
    whole = {"x": pictures(), "label": torch.arange(64)}
    here, there = Batches(whole, 24, seed=3), Batches(whole, 24, seed=3).to("cuda")
    assert here.images["x"].device.type == "cpu" and there.at(0)["x"].is_cuda
    for step in range(6):
        assert all(torch.equal(here.at(step)[name], there.at(step)[name].cpu()) for name in whole)


def test_prefetched_batches_train_the_same(make_net):
    batches = Batches(pictures(), 16, seed=0)
    ahead = Prefetch(batches.at)
    runs = [fit(make_net(), eps_loss, batch_at, steps=25, device="cuda") for batch_at in (batches.at, ahead.at)]
    ahead.close()
    assert runs[1].losses == pytest.approx(runs[0].losses, rel=1e-3)


def test_between_two_readings_nothing_waits_for_the_device():
    """CUDA raises here on whatever would: the loss draws nothing, for what a CPU draws has to be waited for."""
    def loss(net, x, generator):
        return net(x).square().mean(), {}

    def watch(step, loss, ema):
        torch.cuda.set_sync_debug_mode("error" if step % 20 not in (19, 0) else "default")
    net = nn.Sequential(nn.Conv2d(1, 8, 3), nn.GroupNorm(2, 8), nn.Flatten(), nn.Linear(8 * 26 * 26, 4))
    try:
        fitted = fit(net, loss, Batches(pictures(), 16, seed=0).to("cuda").at, steps=45, device="cuda",
                     precision="bfloat16", callback=watch)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert len(fitted.losses) == 45 and fitted.losses[-1] < fitted.losses[0]


def test_a_resumed_run_goes_on(make_net, tmp_path):
    class Stop(Exception):
        pass

    def stop(step, loss, ema):
        if step == 21:
            raise Stop
    given = {"steps": 40, "device": "cuda", "state_path": tmp_path / "state"}
    whole = fit(make_net(), eps_loss, lambda step: pictures(16), steps=40, device="cuda")
    with pytest.raises(Stop):
        fit(make_net(), eps_loss, lambda step: pictures(16), save_every=0.0, callback=stop, **given)
    resumed = fit(make_net(), eps_loss, lambda step: pictures(16), resume=True, **given)
    assert resumed.begun == 20 and resumed.losses == pytest.approx(whole.losses, rel=1e-2)


def test_compiling_is_before_the_clock_and_changes_nothing(make_net):
    runs = [fit(make_net(), eps_loss, Batches(pictures(), 16, seed=0).to("cuda").at, steps=20, device="cuda",
                compile=compile) for compile in (False, True)]
    assert runs[1].compiled and runs[1].compile_seconds > runs[1].seconds
    assert runs[1].losses == pytest.approx(runs[0].losses, rel=2e-2)


@pytest.mark.parametrize("name", ["mnist-ddpm", "mnist-edm", "mnist-flow"])
def test_the_preset_for_a_card_trains(name):
    recipe = find(name)
    preset = recipe.presets["cuda"]
    data = {"x": pictures(), "label": torch.arange(64) % 10}, {"shape": [1, 28, 28], "classes": 10}
    preset = preset | {"batch": 32, "fit": preset["fit"] | {"compile": False, "warmup": 2}}
    run = build(replace(recipe, presets={"cuda": preset}, data=lambda config: data), "cuda", device="cuda")
    fitted = fit(run.net, run.loss_fn, run.batch_at, steps=12, device="cuda", **run.fit)
    assert fitted.precision == "bfloat16" and sum(fitted.losses[-4:]) < sum(fitted.losses[:4])
