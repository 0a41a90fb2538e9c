"""The flow samplers against diffusers, with the exact velocity of a mixture as the network."""

import pytest
import torch

from minidiff.process.flow import shift_times
from minidiff.samplers.flow import euler_flow, heun_flow
from minidiff.samplers.step import final_sample
from tests.ch09.worlds import STRAIGHT, exact, randn

diffusers = pytest.importorskip("diffusers")


def theirs(kind, n, shift=1.0):
    """The end of a diffusers scheduler of n steps with the exact velocity, and the grid that it walks."""
    scheduler = kind(num_train_timesteps=1000, shift=shift)
    scheduler.set_timesteps(n)
    x = randn(50, 2)
    for t in scheduler.timesteps:
        x0, eps = exact(STRAIGHT)(x.double(), t.double() / 1000)
        x = scheduler.step(eps - x0, t, x).prev_sample
    return x.double(), torch.unique(scheduler.sigmas.double()).flip(0)


def error(walk, times, reference):
    ours = final_sample(walk(exact(STRAIGHT), randn(50, 2), times, STRAIGHT))
    return float((ours - reference).abs().max() / reference.abs().max())


@pytest.mark.parametrize("n", [5, 20, 50])
def test_euler_is_flow_match_euler(n):
    reference, times = theirs(diffusers.FlowMatchEulerDiscreteScheduler, n)
    assert len(times) == n + 1 and times[0] == 1 and times[-1] == 0
    assert error(euler_flow, times, reference) < 1e-6


@pytest.mark.parametrize("n", [5, 20, 50])
def test_heun_is_flow_match_heun(n):
    reference, times = theirs(diffusers.FlowMatchHeunDiscreteScheduler, n)
    assert len(times) == n + 1
    assert error(heun_flow, times, reference) < 1e-6


def test_a_shifted_grid_is_theirs_when_shifted_once():
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0)
    even = torch.linspace(1, 0.001, 20, dtype=torch.float64)
    scheduler.set_timesteps(sigmas=even.tolist())
    torch.testing.assert_close(shift_times(even, 3.0), scheduler.sigmas[:-1].double(), rtol=1e-6, atol=1e-7)
    scheduler.set_timesteps(20)  # its own ends are shifted already, when the grid between them is shifted again
    assert scheduler.sigmas[-2] > 2.9 * shift_times(torch.tensor(0.001), 3.0)
