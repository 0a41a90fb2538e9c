"""DDIM and its family against diffusers: an exact mixture denoiser as the network, shared noise, three spacings."""

import pytest
import torch

from minidiff.evaluation.convergence import mixture_denoiser
from minidiff.evaluation.mixture import Mixture
from minidiff.process.path import discrete_path
from minidiff.process.schedules import alpha_bar_of, linear_betas
from minidiff.samplers.ddim import ddim, invert
from minidiff.samplers.step import final_sample
from minidiff.samplers.subsets import SPACINGS, timestep_subset
from tests.ch07.worlds import generator, normal

diffusers = pytest.importorskip("diffusers")

T = 1000
BETAS = linear_betas(T)
ALPHA_BAR = alpha_bar_of(BETAS)
PATH = discrete_path(ALPHA_BAR)
DENOISER = mixture_denoiser(Mixture([0.2, 0.5, 0.3], [[-0.8, 0.3], [0.1, 0.9], [0.7, -0.6]], [0.05, 0.2, 0.1]), PATH)


def scheduler_of(kind, spacing, exact_table=True, **options):
    """A diffusers scheduler; its own table alpha_bar is float32, exact_table puts the float64 one in its place."""
    scheduler = kind(T, trained_betas=BETAS[1:].numpy(), clip_sample=False, timestep_spacing=spacing, **options)
    if exact_table:
        scheduler.alphas_cumprod = ALPHA_BAR[1:]
        for name in ("one", "final_alpha_cumprod", "initial_alpha_cumprod"):
            setattr(scheduler, name, torch.ones((), dtype=torch.float64))
    return scheduler


def theirs(scheduler, n, **options):
    """The final points, and the times (counted from 1) at which the network was asked."""
    scheduler.set_timesteps(n)
    x, g = normal(50, 2), generator(3)
    for t in scheduler.timesteps:
        x = scheduler.step(DENOISER(x, t + 1)[1], int(t), x, generator=g, **options).prev_sample
    return x, (scheduler.timesteps + 1).tolist()


def ours(n, spacing, eta):
    return final_sample(ddim(DENOISER, normal(50, 2), timestep_subset(T, n, spacing), PATH, eta, generator(3)))


def error(x, reference):
    return float((x - reference).abs().max() / reference.abs().max())


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("n", [2, 3, 7, 10, 30, 50, 333, 1000])
def test_the_spacings_are_those_of_diffusers(n, spacing):
    scheduler = scheduler_of(diffusers.DDIMScheduler, spacing)
    scheduler.set_timesteps(n)
    assert timestep_subset(T, n, spacing)[:-1].tolist() == (scheduler.timesteps + 1).tolist()


@pytest.mark.parametrize("spacing", ["leading", "trailing"])
@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("n", [10, 50])
def test_ddim_is_the_ddim_scheduler(n, eta, spacing):
    reference, _ = theirs(scheduler_of(diffusers.DDIMScheduler, spacing), n, eta=eta)
    assert error(ours(n, spacing, eta), reference) < 1e-11


@pytest.mark.parametrize("eta, tolerance", [(0.0, 1e-5), (0.5, 1e-5), (1.0, 2e-5)])
def test_ddim_is_the_ddim_scheduler_with_its_own_float32_table(eta, tolerance):
    reference, _ = theirs(scheduler_of(diffusers.DDIMScheduler, "leading", exact_table=False), 50, eta=eta)
    assert error(ours(50, "leading", eta), reference) < tolerance


@pytest.mark.parametrize("n", [10, 50])
def test_eta_of_one_is_the_ddpm_scheduler(n):
    reference, _ = theirs(scheduler_of(diffusers.DDPMScheduler, "leading", variance_type="fixed_small"), n)
    assert error(ours(n, "leading", 1.0), reference) < 1e-11


def test_inversion_is_the_inverse_scheduler_asked_where_we_ask():
    scheduler = scheduler_of(diffusers.DDIMInverseScheduler, "leading")
    scheduler.set_timesteps(20)
    times = timestep_subset(T, 20, "leading").flip(0)
    x, asked = normal(50, 2), torch.cat([times[1:2], times[1:-1]])
    for t, ask in zip(scheduler.timesteps, asked, strict=True):
        x = scheduler.step(DENOISER(x, ask)[1], int(t), x).prev_sample
    ours_up = final_sample((t, x, None) for t, x, _ in invert(DENOISER, normal(50, 2), times, PATH))
    assert error(ours_up, x) < 1e-11
