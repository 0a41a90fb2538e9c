"""The schedulers of diffusers, run with the exact denoiser of a mixture, each beside the solver that it should equal.

Their tables and some of their pictures are float32. Each scheduler is given our levels, and float64 where it says
float32, so that its formulas are left and the rest is rounding.
"""

import sys
from functools import partial
from unittest import mock

import diffusers
import torch

from minidiff.evaluation.convergence import mixture_denoiser
from minidiff.process.edm import edm_denoiser_of, edm_precond, ve_path
from minidiff.process.path import Path, discrete_path
from minidiff.process.schedules import alpha_bar_of, linear_betas
from minidiff.samplers.ancestral import ancestral
from minidiff.samplers.ddim import ddim
from minidiff.samplers.heun import heun
from minidiff.samplers.lms import lms, plms
from minidiff.samplers.multistep import multistep
from minidiff.samplers.singlestep import singlestep
from minidiff.samplers.step import final_sample
from minidiff.samplers.stochastic import dpmpp_2m_sde
from minidiff.samplers.unipc import unipc
from tests.ch08.worlds import MIXTURE, generator, normal

T, SIGMA_DATA = 1000, 0.5
BETAS = linear_betas(T)
ALPHA_BAR = alpha_bar_of(BETAS)
VE = ve_path(1000.0)
VP = Path(lambda k: 1 / (1 + level(k) ** 2).sqrt(), lambda k: level(k) / (1 + level(k) ** 2).sqrt(), 1000.0)


class Double:
    """torch for a module that casts to float32: float64 by that name, everything else as it is."""
    float32 = torch.float64

    def __getattr__(self, name):
        return getattr(torch, name)


def level(k):
    """On both paths here, time is the level sigma / alpha."""
    return torch.as_tensor(k, dtype=torch.float64)


def scheduler_of(kind, n, **options):
    """A diffusers scheduler of n steps on our betas, its levels as float64."""
    scheduler = kind(T, trained_betas=BETAS[1:].numpy(), **options)
    return with_exact_levels(scheduler, n)


def with_exact_levels(scheduler, n):
    scheduler.set_timesteps(n)
    scheduler.sigmas = scheduler.sigmas.double()
    scheduler.set_begin_index(0)
    return scheduler


def theirs(scheduler, x, network, **options):
    """The final picture of a scheduler; network: (x on its scale, level) -> what it wants."""
    scheduler.is_scale_input_called = True
    with mock.patch.object(sys.modules[type(scheduler).__module__], "torch", Double()):
        for t in scheduler.timesteps:
            at = scheduler.sigmas[scheduler.step_index or 0]
            x = scheduler.step(network(x, at), t, x, **options).prev_sample
    return x


def error(x, reference):
    """The largest difference, relative to the largest number."""
    return float((x - reference).abs().max() / reference.abs().max())


def noise_of(path):
    """The exact noise prediction on a path, as a network."""
    denoiser = mixture_denoiser(MIXTURE, path)
    return lambda x, k: denoiser(x, level(k))[1]


def compare(kind, path, sampler, n, noise=False, **options):
    """The error between a scheduler of diffusers with n steps and a sampler of ours, on one grid and with one noise."""
    scheduler = scheduler_of(kind, n, **options)
    times = torch.unique_consecutive(scheduler.sigmas)
    x = normal(50, 2) * (times[0] if path is VE else 1)
    reference, ours = ({"generator": generator(3)} if noise else {} for _ in range(2))
    reference = theirs(scheduler, x, noise_of(path), **reference)
    return error(final_sample(sampler(mixture_denoiser(MIXTURE, path), x, times, path, **ours)), reference)


def compare_plms(n):
    """PNDM walks over a table at whole times, and asks at the first arrival twice."""
    scheduler = diffusers.PNDMScheduler(T, trained_betas=BETAS[1:].numpy(), skip_prk_steps=True, set_alpha_to_one=True,
                                        timestep_spacing="leading")
    scheduler.alphas_cumprod, scheduler.final_alpha_cumprod = ALPHA_BAR[1:], torch.ones((), dtype=torch.float64)
    scheduler.set_timesteps(n)
    path = discrete_path(ALPHA_BAR)
    denoiser, x = mixture_denoiser(MIXTURE, path), normal(50, 2)
    times, reference = torch.tensor([*range(T - T // n + 1, 0, -T // n), 0]), x
    for t in scheduler.timesteps:
        reference = scheduler.step(denoiser(reference, t + 1)[1], int(t), reference).prev_sample
    return error(final_sample(plms(denoiser, x, times, path)), reference)


def f_network(scaled, c_noise):
    """The exact F of the mixture, which sees what EDM's network sees: the scaled picture and c_noise."""
    sigma = torch.exp(4 * level(c_noise))
    c_skip, c_out, c_in, _ = edm_precond(sigma, SIGMA_DATA)
    x = scaled / c_in
    return (MIXTURE.denoise(x, 1.0, sigma) - c_skip * x) / c_out


def compare_edm(kind, sampler, n, **options):
    """The error between a scheduler of EDM, which does the preconditioning itself, and a sampler of ours."""
    scheduler = with_exact_levels(kind(sigma_data=SIGMA_DATA, **options), n)
    x = normal(50, 2) * scheduler.sigmas[0]

    def network(x, sigma):
        return f_network(scheduler.precondition_inputs(x, sigma), sigma.log() / 4)

    reference = theirs(scheduler, x, network)
    denoiser = edm_denoiser_of(f_network, VE, SIGMA_DATA)
    return error(final_sample(sampler(denoiser, x, scheduler.sigmas, VE)), reference)


def compare_singlestep(n, form, algorithm):
    """The singlestep scheduler takes the middle of a step from its grid: hand it one that is even in lambda."""
    scheduler = scheduler_of(diffusers.DPMSolverSinglestepScheduler, 2 * n, solver_order=2, algorithm_type=algorithm,
                             final_sigmas_type="sigma_min", lower_order_final=False)
    scheduler.sigmas = torch.logspace(1, -1.5, 2 * n + 1, dtype=torch.float64)
    x = normal(50, 2)
    reference = theirs(scheduler, x, noise_of(VP))
    walk = singlestep(mixture_denoiser(MIXTURE, VP), x, scheduler.sigmas[::2], VP, 2, form)
    return error(final_sample(walk), reference)


DPM, UNIPC = diffusers.DPMSolverMultistepScheduler, diffusers.UniPCMultistepScheduler
TRAILING = {"timestep_spacing": "trailing"}
DPM_OPTIONS = {**TRAILING, "lower_order_final": False}
GRIDS = {"": {}, ", Karras": {"use_karras_sigmas": True}, ", Lu": {"use_lu_lambdas": True}}
N = 20

# name -> (the tolerance that the plan of the course asks for, a function that gives the error)
ROWS = {
    "EulerDiscrete": (2e-7, partial(compare, diffusers.EulerDiscreteScheduler, VE, ddim, N, **TRAILING)),
    "EulerDiscrete, Karras": (2e-7, partial(compare, diffusers.EulerDiscreteScheduler, VE, ddim, N, **TRAILING,
                                            use_karras_sigmas=True)),
    "EulerAncestral": (1.3e-7, partial(compare, diffusers.EulerAncestralDiscreteScheduler, VE, ancestral, N, noise=True,
                                       **TRAILING)),
    "HeunDiscrete": (1e-7, partial(compare, diffusers.HeunDiscreteScheduler, VE, heun, N, **TRAILING)),
    "LMSDiscrete, order 4": (1.3e-7, partial(compare, diffusers.LMSDiscreteScheduler, VE, lms, N, **TRAILING)),
    "PNDM, skip_prk_steps": (1.3e-6, partial(compare_plms, N)),
    **{f"DPMSolverMultistep, ++{order}M{grid}": (3e-7, partial(
        compare, DPM, VP, partial(multistep, order=order, published=True), N, solver_order=order,
        final_sigmas_type="zero", **DPM_OPTIONS, **flags)) for order in (1, 2, 3) for grid, flags in GRIDS.items()},
    **{f"DPMSolverMultistep, {order}M": (6e-7, partial(
        compare, DPM, VP, partial(multistep, order=order, form="eps", published=True), N, solver_order=order,
        algorithm_type="dpmsolver", final_sigmas_type="sigma_min", **DPM_OPTIONS)) for order in (2, 3)},
    "DPMSolverMultistep, ++2M SDE": (1e-6, partial(
        compare, DPM, VP, dpmpp_2m_sde, N, noise=True, algorithm_type="sde-dpmsolver++", final_sigmas_type="zero",
        **DPM_OPTIONS)),
    **{f"DPMSolverSinglestep, {name}": (1e-6, partial(compare_singlestep, N // 2, form, algorithm))
       for name, form, algorithm in (("++2S", "x0", "dpmsolver++"), ("2", "eps", "dpmsolver"))},
    **{f"UniPCMultistep {order}, bh2": (4e-7, partial(
        compare, UNIPC, VP, partial(unipc, order=order), N, solver_order=order, final_sigmas_type="zero", **TRAILING))
       for order in (1, 2, 3)},
    "EDMEuler": (1.6e-7, partial(compare_edm, diffusers.EDMEulerScheduler, ddim, N)),
    **{f"EDMDPMSolverMultistep, ++{order}M": (4e-7, partial(
        compare_edm, diffusers.EDMDPMSolverMultistepScheduler, partial(multistep, order=order, published=True), N,
        solver_order=order, final_sigmas_type="zero", lower_order_final=False)) for order in (2, 3)},
}
