"""The same course on an accelerator: CPU and GPU agree, and a seed means the same noise on both.

In float32 with TF32 off a net's answers agree to 1e-4 of their scale; under bfloat16 autocast to 5e-2.
"""

from dataclasses import replace

import pytest
import torch

from minidiff.models.unet import UNet
from minidiff.process.losses import denoising_loss
from minidiff.process.path import discrete_path
from minidiff.process.schedules import alpha_bar_of, linear_betas
from minidiff.process.targets import EPS
from minidiff.recipes.mnist_ddpm import RECIPE
from minidiff.recipes.recipe import sample
from minidiff.samplers.ancestral import ancestral
from minidiff.samplers.grids import spaced
from minidiff.training.device import autocast
from minidiff.training.fit import fit

PATH = discrete_path(alpha_bar_of(linear_betas()))
pytestmark = [pytest.mark.cuda, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]


@pytest.fixture(autouse=True)
def exact(monkeypatch):
    monkeypatch.setattr(torch.backends.cuda.matmul, "allow_tf32", False)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


def net():
    torch.manual_seed(0)
    net = UNet(channels=(16, 32), attention=(1,), patch=2)
    with torch.no_grad():
        for p in net.parameters():
            p.add_(0.02 * torch.randn(p.shape))  # away from the zero start
    return net.eval()


@pytest.mark.parametrize("precision, tolerance", [("float32", 1e-4), ("bfloat16", 5e-2)])
def test_the_net_answers_alike(precision, tolerance):
    x, t = torch.randn(8, 1, 28, 28, generator=torch.Generator().manual_seed(1)), torch.arange(1, 9) * 100
    with torch.no_grad():
        cpu = net()(x, t)
        with autocast("cuda", precision):
            gpu = net().cuda()(x.cuda(), t.cuda()).float().cpu()
    assert (cpu - gpu).abs().max() <= tolerance * cpu.abs().max()


def test_a_seed_draws_the_same_times_and_noise_on_both():
    x = torch.zeros(16, 1, 28, 28)
    losses = [denoising_loss(net().to(device), x.to(device), PATH, EPS, torch.Generator().manual_seed(2))
              for device in ("cpu", "cuda")]
    assert torch.equal(losses[0][1]["t"], losses[1][1]["t"])
    assert torch.allclose(losses[0][1]["each"], losses[1][1]["each"].cpu(), rtol=1e-3)


def test_ancestral_noise_is_the_same_on_both():
    def ignorant(x, t):
        return torch.zeros_like(x), x
    ends = [list(ancestral(ignorant, torch.ones(2, 1, 4, 4, device=d), spaced(1000, 5), PATH,
                           torch.Generator().manual_seed(3)))[-2][1].cpu() for d in ("cpu", "cuda")]
    assert torch.allclose(*ends, atol=1e-6)


@pytest.mark.parametrize("precision, tolerance", [("float32", 1e-3), ("bfloat16", 5e-2)])
def test_samples_agree_after_a_few_steps(precision, tolerance, monkeypatch):
    monkeypatch.setattr("minidiff.recipes.recipe.autocast", lambda device, _: autocast(device, precision))
    recipe = replace(RECIPE, config=RECIPE.config | {"shape": [1, 28, 28]})
    cpu, gpu = sample(recipe, net(), 4, steps=5), sample(recipe, net().cuda(), 4, steps=5, device="cuda")
    assert (cpu - gpu).abs().mean() < tolerance


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_training_lowers_the_loss(precision):
    images = torch.zeros(64, 1, 28, 28)
    fitted = fit(net(), lambda net, x, g: denoising_loss(net, x, PATH, EPS, g), lambda step: images, steps=60,
                 device="cuda", precision=precision)
    assert len(fitted.losses) == 60 and sum(fitted.losses[-10:]) < 0.5 * sum(fitted.losses[:10])
    assert all(p.is_cuda for p in fitted.ema.parameters())
