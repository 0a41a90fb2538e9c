"""The numbers of chapter 09's experiment with shifted grids."""

import functools

import torch

from minidiff.exercises.numbers import Numbers
from minidiff.process.denoiser import denoiser_of
from minidiff.process.flow import FLOW, flow_path, shift_times
from minidiff.samplers.flow import euler_flow
from minidiff.samplers.step import final_sample


@functools.cache
def distance_of_shifted(factor, n=200):
    """The Frechet distance of n digits of mnist-flow by six Euler steps on a grid shifted by a factor."""
    from minidiff.evaluation.digits import load_judge
    from minidiff.recipes.recipe import load
    from minidiff.recipes.run import CHECKPOINTS
    path, (_, net) = flow_path(), load(CHECKPOINTS / "mnist-flow.safetensors")
    noise = torch.randn(n, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    times = torch.linspace(1, 0, 7, dtype=torch.float64)
    denoiser = functools.partial(denoiser_of(net, path, FLOW), label=torch.arange(n) % 10)
    return load_judge().distance(final_sample(euler_flow(denoiser, noise, shift_times(times, factor), path)))


NUMBERS = (Numbers("ch09.experiment_1", lambda: {a: distance_of_shifted(a) for a in (1, 3)}, rtol=0.02),)
EXERCISES = ()
