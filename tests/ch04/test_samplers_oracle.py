"""Samplers against diffusers, with the exact score of a Gaussian mixture as the network and shared noise."""

import pytest
import torch

from minidiff.process.denoiser import denoiser_of
from minidiff.process.path import discrete_path
from minidiff.process.schedules import alpha_bar_of, linear_betas
from minidiff.process.targets import EPS
from minidiff.samplers.ancestral import ancestral
from minidiff.samplers.grids import spaced
from minidiff.samplers.step import final_sample, ddim_step

diffusers = pytest.importorskip("diffusers")

T = 1000
BETAS = linear_betas(T)
ALPHA_BAR = alpha_bar_of(BETAS)
PATH = discrete_path(ALPHA_BAR)
WEIGHTS, MEANS, STDS = (torch.tensor(u, dtype=torch.float64) for u in ([.2, .5, .3], [-.8, .1, .7], [.05, .2, .1]))


def mixture_eps(x, t):
    """The exact noise prediction for pixels that are independent draws of a mixture of three Gaussians."""
    a = ALPHA_BAR[t].reshape(-1, *[1] * (x.ndim - 1), 1)
    centred = x.double()[..., None] - a.sqrt() * MEANS
    variance = a * STDS**2 + 1 - a
    posterior = torch.softmax(WEIGHTS.log() - variance.log() / 2 - centred**2 / (2 * variance), dim=-1)
    return (posterior * centred / variance).sum(dim=-1) * (1 - a[..., 0]).sqrt()


def theirs(kind, n, spacing, exact_table=True, **options):
    """The final picture of a diffusers scheduler of n steps with the same network, and the times that it visits.

    Its own table alpha_bar is float32; exact_table puts the float64 one in its place.
    """
    scheduler = kind(T, trained_betas=BETAS[1:].numpy(), clip_sample=False, timestep_spacing=spacing)
    if exact_table:
        scheduler.alphas_cumprod = ALPHA_BAR[1:]
        scheduler.one = scheduler.final_alpha_cumprod = torch.ones((), dtype=torch.float64)
    scheduler.set_timesteps(n)
    x, generator = start(), torch.Generator().manual_seed(3)
    for t in scheduler.timesteps:
        x = scheduler.step(mixture_eps(x, t[None] + 1), int(t), x, generator=generator, **options).prev_sample
    return x, (scheduler.timesteps + 1).tolist()


def ours(times, eta=None):
    """The final picture of our ancestral sampler, or of the one general step with this eta."""
    denoiser = denoiser_of(lambda x, t: mixture_eps(x, t[None]), PATH, EPS)
    x, generator = start(), torch.Generator().manual_seed(3)
    if eta is None:
        return final_sample(ancestral(denoiser, x, times, PATH, generator))
    for t, s in zip(times[:-1], times[1:], strict=True):
        x = ddim_step(*denoiser(x, t), t, s, PATH, eta=eta, generator=generator)
    return x


def start():
    return torch.randn(2, 1, 4, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def grid(n, spacing):
    """Our times for a grid of diffusers: `trailing` starts at T, `leading` at T - T/n + 1 and goes through 1."""
    return spaced(T, n) if spacing == "trailing" else torch.tensor([*range(T - T // n + 1, 0, -T // n), 0])


def error(x, reference):
    return float((x - reference).abs().max() / reference.abs().max())


@pytest.mark.parametrize("spacing", ["leading", "trailing"])
@pytest.mark.parametrize("n", [10, 50, 1000])
def test_ancestral_is_the_ddpm_scheduler(n, spacing):
    reference, visited = theirs(diffusers.DDPMScheduler, n, spacing)
    assert visited == grid(n, spacing)[:-1].tolist()
    # trailing: where the variance of the last step is 0, theirs adds noise of standard deviation 1e-10
    assert error(ours(grid(n, spacing)), reference) < (1e-9 if spacing == "trailing" else 1e-12)


@pytest.mark.parametrize("n, tolerance", [(50, 2e-5), (1000, 1e-4)])
def test_ancestral_is_the_ddpm_scheduler_with_its_own_float32_table(n, tolerance):
    reference, _ = theirs(diffusers.DDPMScheduler, n, "leading", exact_table=False)
    assert error(ours(grid(n, "leading")), reference) < tolerance


@pytest.mark.parametrize("spacing", ["leading", "trailing"])
@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("n", [10, 50])
def test_the_general_step_is_the_ddim_scheduler(n, eta, spacing):
    reference, _ = theirs(diffusers.DDIMScheduler, n, spacing, eta=eta)
    assert error(ours(grid(n, spacing), eta), reference) < 1e-12


def test_eta_of_one_is_ancestral_sampling():
    assert torch.equal(ours(spaced(T, 30)), ours(spaced(T, 30), eta=1.0))
