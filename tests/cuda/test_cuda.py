"""The same course on an accelerator: CPU and GPU agree, and a seed means the same noise on both.

In float32 with TF32 off a net's answers agree to 1e-4 of their scale; under bfloat16 autocast to 5e-2.
"""

import pytest
import torch

from minidiff.process.losses import denoising_loss
from minidiff.process.path import discrete_path
from minidiff.process.schedules import alpha_bar_of, linear_betas
from minidiff.process.targets import EPS
from minidiff.recipes.recipe import load, sample
from minidiff.recipes.run import CHECKPOINTS
from minidiff.samplers.ancestral import ancestral
from minidiff.samplers.grids import spaced
from minidiff.samplers.step import final_sample
from minidiff.training.device import autocast

pytestmark = [pytest.mark.cuda, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]
PATH = discrete_path(alpha_bar_of(linear_betas()))


@pytest.mark.parametrize("precision, tolerance", [("float32", 1e-4), ("bfloat16", 5e-2)])
def test_the_net_answers_alike(make_net, precision, tolerance):
    x, t = torch.randn(8, 1, 28, 28, generator=torch.Generator().manual_seed(1)), torch.arange(1, 9) * 100
    with torch.no_grad():
        cpu = make_net()(x, t)
        with autocast("cuda", precision):
            gpu = make_net().cuda()(x.cuda(), t.cuda()).float().cpu()
    assert (cpu - gpu).abs().max() <= tolerance * cpu.abs().max()


def test_a_seed_draws_the_same_times_and_noise_on_both(make_net):
    x = torch.zeros(16, 1, 28, 28)
    losses = [denoising_loss(make_net().to(device), x.to(device), PATH, EPS, torch.Generator().manual_seed(2))
              for device in ("cpu", "cuda")]
    assert torch.equal(losses[0][1]["t"].cpu(), losses[1][1]["t"].cpu())
    assert torch.allclose(losses[0][1]["each"], losses[1][1]["each"].cpu(), rtol=1e-3)


def test_ancestral_noise_is_the_same_on_both():
    def ignorant(x, t):
        return torch.zeros_like(x), x
    ends = [final_sample(ancestral(ignorant, torch.ones(2, 1, 4, 4, device=d), spaced(1000, 5)[:-1], PATH,
                                   torch.Generator().manual_seed(3))).cpu() for d in ("cpu", "cuda")]
    assert torch.allclose(*ends, atol=1e-6) and ends[0].std() > 0.1


@pytest.mark.parametrize("name", ["mnist-ddpm", "mnist-edm", "mnist-flow"])
def test_a_seed_draws_the_same_pictures_on_both(name):
    """On CUDA nets answer in bfloat16, which moves a pixel by a hundredth or so, and no digit into another."""
    pictures = []
    for device in ("cpu", "cuda"):
        recipe, net = load(CHECKPOINTS / f"{name}.safetensors", device)
        pictures.append(sample(recipe, net, 4, steps=10, seed=1, device=device))
    assert pictures[1].device.type == "cpu" and (pictures[0] - pictures[1]).abs().mean() < 0.05
