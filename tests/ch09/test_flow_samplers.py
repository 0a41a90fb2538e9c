"""Samplers of flows: orders, counts of evaluations, their equals among other samplers, and the SDE's law."""

import pytest
import torch

from minidiff.evaluation.gaussian import Gaussian
from minidiff.process.flow import shift_times
from minidiff.samplers.ddim import ddim
from minidiff.samplers.flow import euler_flow, heun_flow, rk4_flow, sde_flow
from minidiff.samplers.reflow import reflow_pairs
from minidiff.samplers.step import final_sample
from tests.ch09.worlds import MIXTURE, PATHS, STRAIGHT, exact, gen, grid, measured_order, randn

WALKS = {"euler": euler_flow, "heun": heun_flow, "rk4": rk4_flow}
every_walk = pytest.mark.parametrize("walk", WALKS.values(), ids=WALKS)


def counted(denoiser):
    """The denoiser, and the list of times at which it was asked."""
    asked = []
    return lambda x, t: asked.append(float(t)) or denoiser(x, t), asked


@pytest.mark.parametrize("name, order, tolerance, steps", [
    ("euler", 1, 0.05, (32, 64, 128, 256)), ("heun", 2, 0.1, (32, 64, 128, 256)), ("rk4", 4, 0.2, (16, 32, 64, 128))])
def test_the_order_of(name, order, tolerance, steps):
    assert measured_order(WALKS[name], steps) == pytest.approx(order, abs=tolerance)


@pytest.mark.parametrize("n", [1, 2, 7])
def test_what_a_walk_costs_and_where_it_asks(n):
    for walk, evaluations in ((euler_flow, n), (heun_flow, 2 * n - 1), (rk4_flow, 4 * n)):
        denoiser, asked = counted(exact(STRAIGHT))
        steps = list(walk(denoiser, randn(3, 2), grid(n), STRAIGHT))
        assert len(asked) == evaluations and asked[0] == 1 and len(steps) == n
        assert [s for s, _, _ in steps] == grid(n)[1:].tolist()
        assert (min(asked) > 0) == (walk is not rk4_flow)


@every_walk
def test_the_tail_of_a_walk_is_a_walk(walk):
    times, x = grid(6), randn(3, 2)
    states = [x for _, x, _ in walk(exact(STRAIGHT), x, times, STRAIGHT)]
    torch.testing.assert_close(final_sample(walk(exact(STRAIGHT), states[2], times[3:], STRAIGHT)), states[-1])


def test_euler_on_the_straight_path_is_ddim():
    x = randn(20, 2)
    ours, theirs = euler_flow(exact(STRAIGHT), x, grid(9), STRAIGHT), ddim(exact(STRAIGHT), x, grid(9), STRAIGHT)
    for (_, a, x0), (_, b, _) in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(a, x0, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["cosine", "vp", "ve"])
def test_on_other_paths_they_go_where_that_flow_goes(name):
    """To a time with a little noise left: at 0 these paths have no velocity."""
    from minidiff.evaluation.convergence import exact_flow
    path, x = PATHS[name], randn(20, 2)
    start, end = 0.9 * path.T, 0.1 * path.T
    times = torch.linspace(start, end, 101, dtype=torch.float64)
    there = exact_flow(MIXTURE, x, path, torch.tensor(start).double(), torch.tensor(end).double(), steps=400)
    ends = {name: final_sample(walk(exact(path), x, times, path)) for name, walk in WALKS.items()}
    away = {name: float((end - there).norm(dim=1).median()) for name, end in ends.items()}
    assert away["rk4"] < 1e-5 and away["rk4"] < away["heun"] < away["euler"] < 0.2 and away["heun"] < 0.02


@every_walk
@pytest.mark.parametrize("times", [[1.0], [0.0, 1.0], [1.0, 0.5, 0.5, 0.0], []])
def test_grids_that_do_not_decrease_are_refused(walk, times):
    with pytest.raises(ValueError, match="times must be a decreasing grid"):
        list(walk(exact(STRAIGHT), randn(2, 2), times, STRAIGHT))


def law_of_sde(gaussian, times, diffusion):
    """Mean and variance of sde_flow's last state for affine steps, carried through the sampler itself, without chance.

    A step is affine in x and z, so its effect on mean and variance is read off its answers at x = 0 and 1, z = 0 and 1.
    """
    mean, variance = torch.zeros((), dtype=torch.float64), torch.ones((), dtype=torch.float64)

    def denoise(x, t):
        x0 = gaussian.denoise(x, STRAIGHT.alpha(t), STRAIGHT.sigma(t))
        return x0, (x - STRAIGHT.alpha(t) * x0) / STRAIGHT.sigma(t)

    for t, s in zip(times[:-1], times[1:], strict=True):
        x, noise = torch.tensor([0.0, 1.0], dtype=torch.float64), gen(0)
        z = torch.randn(2, generator=gen(0), dtype=torch.float64)
        out = final_sample(sde_flow(denoise, x, torch.stack([t, s]), STRAIGHT, diffusion, noise))
        still = final_sample(sde_flow(denoise, x, torch.stack([t, s]), STRAIGHT, lambda t: 0.0, None))
        g2 = float(diffusion(t)) if s > 0 else 0.0
        out = out - (g2 * float(t - s)) ** 0.5 * z
        if g2 == 0:
            torch.testing.assert_close(out, still)
        mean, slope = out[0] + (out[1] - out[0]) * mean, out[1] - out[0]
        variance = slope**2 * variance + g2 * (t - s)
    return float(mean), float(variance)


@pytest.mark.parametrize("diffusion", [lambda t: 0.0 * t, lambda t: t, lambda t: 2 * t * (1 - t), lambda t: 3.0 * t**2])
def test_every_diffusion_ends_in_the_same_law(diffusion):
    gaussian, errors = Gaussian(0.6, 0.25), []
    for n in (100, 200, 400):
        mean, variance = law_of_sde(gaussian, grid(n), diffusion)
        errors.append(abs(variance - 0.25) + abs(mean - 0.6))
    assert errors[2] < 0.01 and 1.7 < errors[0] / errors[1] < 2.3 and 1.7 < errors[1] / errors[2] < 2.3


def test_the_sde_without_diffusion_is_euler_and_draws_nothing():
    x = randn(10, 2)
    walks = sde_flow(exact(STRAIGHT), x, grid(7), STRAIGHT, lambda t: 0.0, None), euler_flow(
        exact(STRAIGHT), x, grid(7), STRAIGHT)
    for (_, a, _), (_, b, _) in zip(*walks, strict=True):
        assert torch.equal(a, b)


def test_the_sde_draws_once_a_step_but_for_the_last():
    generator, tape = gen(4), gen(4)
    *_, (_, x, x0) = sde_flow(exact(STRAIGHT), randn(3, 2), grid(5), STRAIGHT, lambda t: t, generator)
    for _ in range(4):
        torch.randn(3, 2, generator=tape, dtype=torch.float64)
    assert torch.equal(generator.get_state(), tape.get_state())
    torch.testing.assert_close(x, x0)


def test_a_negative_diffusion_is_refused():
    with pytest.raises(ValueError, match="diffusion must be at least 0, got -1"):
        list(sde_flow(exact(STRAIGHT), randn(3, 2), grid(5), STRAIGHT, lambda t: -1.0, gen()))


def test_pairs_of_reflow_are_walks_from_noise_in_their_order():
    pairs = [reflow_pairs(exact(STRAIGHT), (7, 2), grid(5), STRAIGHT, gen(1), batch=batch) for batch in (1, 3, 100)]
    for x0, eps in pairs:
        assert torch.equal(eps, torch.randn(7, 2, generator=gen(1)))
        torch.testing.assert_close(x0, final_sample(euler_flow(exact(STRAIGHT), eps, grid(5), STRAIGHT)))
    by_heun, _ = reflow_pairs(exact(STRAIGHT), (7, 2), grid(5), STRAIGHT, gen(1), walk=heun_flow)
    assert (by_heun - pairs[0][0]).abs().max() > 1e-3


def test_shifted_times_walk_to_the_same_end():
    x = randn(30, 2)
    ends = [final_sample(rk4_flow(exact(STRAIGHT), x, shift_times(grid(60), a), STRAIGHT)) for a in (1.0, 3.0)]
    assert (ends[0] - ends[1]).abs().max() < 1e-3
