"""DDIM and its inversion: what is visited and drawn, the ends of the family, and the order at which walks arrive."""

import pytest
import torch

from minidiff.evaluation.convergence import mixture_denoiser, order_of_convergence
from minidiff.process.path import discrete_path
from minidiff.process.schedules import alpha_bar_of, linear_betas
from minidiff.samplers.ancestral import ancestral
from minidiff.samplers.ddim import ddim, invert, slerp
from minidiff.samplers.grids import spaced
from minidiff.samplers.step import final_sample, ddim_step
from tests.ch07.worlds import MIXTURE, PATHS, TO, arrival, gaussian_denoiser, generator, normal, start, times_of

T = 30
TABLE = discrete_path(alpha_bar_of(linear_betas(T, 0.01, 0.4)))
STEPS = (16, 32, 64, 128, 256)
MEAN, VARIANCE = 0.5, 0.3**2


def walk(eta=0.0, times=spaced(T, 7), seed=0, x=None):
    x = normal(4, 2) if x is None else x
    return list(ddim(mixture_denoiser(MIXTURE, TABLE), x, times, TABLE, eta, generator(seed)))


# --- the walk -------------------------------------------------------------------------------------------------------

def test_eta_of_one_is_ancestral_sampling_to_the_bit():
    theirs = ancestral(mixture_denoiser(MIXTURE, TABLE), normal(4, 2), spaced(T, 7), TABLE, generator())
    for (s, x, x0), (s_a, x_a, x0_a) in zip(walk(eta=1.0), theirs, strict=True):
        assert s == s_a and torch.equal(x, x_a) and torch.equal(x0, x0_a)


def test_eta_of_zero_draws_nothing_and_needs_no_generator():
    g = generator()
    before = g.get_state()
    with_generator = final_sample(ddim(mixture_denoiser(MIXTURE, TABLE), normal(4, 2), spaced(T, 7), TABLE, 0.0, g))
    without = final_sample(ddim(mixture_denoiser(MIXTURE, TABLE), normal(4, 2), spaced(T, 7), TABLE))
    assert torch.equal(g.get_state(), before) and torch.equal(with_generator, without)


@pytest.mark.parametrize("n", [1, 3, 7, 13, 30])
@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_every_number_of_steps_works_and_ends_with_the_last_picture(n, eta):
    steps = walk(eta, spaced(T, n))
    assert [s for s, _, _ in steps] == spaced(T, n)[1:].tolist()
    assert torch.equal(steps[-1][1], steps[-1][2]) and steps[-1][1].isfinite().all()


@pytest.mark.parametrize("eta", [0.0, 0.5])
def test_starting_in_the_middle_of_a_grid_is_the_tail_of_the_whole_run(eta):
    times, g = spaced(T, 10), generator()
    run = ddim(mixture_denoiser(MIXTURE, TABLE), normal(4, 2), times, TABLE, eta, g)
    for _ in range(4):
        _, x, _ = next(run)
    rest = ddim(mixture_denoiser(MIXTURE, TABLE), x, times[4:], TABLE, eta, generator().set_state(g.get_state()))
    assert torch.equal(final_sample(rest), final_sample(run))


def test_more_eta_is_more_noise_from_the_same_draws():
    t, s, zero = torch.tensor(20), torch.tensor(10), torch.zeros(4, 2, dtype=torch.float64)
    new = [ddim_step(zero, zero, t, s, TABLE, eta, generator()).square().sum().sqrt() for eta in (0.0, 0.2, 0.5, 1.0)]
    assert new[0] == 0 and [float(n / new[3]) for n in new] == pytest.approx([0, 0.2, 0.5, 1])


def test_steps_of_a_table_are_yielded_whole_and_real_times_as_they_are():
    assert all(type(s) is int for s, _, _ in walk())
    times = times_of("vp", 4)
    visited = [s for s, _, _ in ddim(mixture_denoiser(MIXTURE, PATHS["vp"]), normal(4, 2), times, PATHS["vp"])]
    assert visited == times[1:].tolist()


def test_walking_keeps_float32_and_no_gradient():
    scale = torch.nn.Parameter(torch.tensor(0.5))

    def denoiser(x, t):
        return scale * x, x
    x = torch.randn(2, 1, 3, 3, generator=generator())
    for up, x in [(False, x) for _, x, _ in ddim(denoiser, x, spaced(T, 3), TABLE, 0.5, generator())] + [
            (True, x) for _, x, _ in invert(denoiser, x, spaced(T, 3).flip(0), TABLE)]:
        assert x.dtype == torch.float32 and not x.requires_grad
    assert torch.is_grad_enabled()


# --- order ----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", PATHS)
def test_ddim_arrives_where_the_ode_does_with_order_1(name):
    errors = []
    for n in STEPS:
        there = final_sample(ddim(mixture_denoiser(MIXTURE, PATHS[name]), start(name), times_of(name, n), PATHS[name]))
        errors.append(float((there - arrival(name)).norm(dim=1).median()))
    assert order_of_convergence(STEPS, errors) == pytest.approx(1, abs=0.05)
    assert errors[-1] < 0.005


def test_all_paths_give_one_walk_up_to_scale():
    there = {}
    for name, path in PATHS.items():
        times = times_of(name, 10)
        walk = ddim(mixture_denoiser(MIXTURE, path), start(name), times, path)
        there[name] = final_sample(walk) / path.alpha(times[-1])
    for name in ("vp", "cosine"):
        torch.testing.assert_close(there[name], there["ve"], rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("name", PATHS)
def test_up_and_down_again_comes_back_with_order_1(name):
    path, errors = PATHS[name], []
    for n in STEPS:
        times, denoiser = times_of(name, n), mixture_denoiser(MIXTURE, path)
        up = final_sample(invert(denoiser, arrival(name), times.flip(0), path))
        errors.append(float((final_sample(ddim(denoiser, up, times, path)) - arrival(name)).norm(dim=1).median()))
    assert order_of_convergence(STEPS, errors) == pytest.approx(1, abs=0.05)


def test_inversion_finds_the_noise_that_the_ode_came_from():
    times = times_of("cosine", 1000)
    path = PATHS["cosine"]
    up = final_sample(invert(mixture_denoiser(MIXTURE, path), arrival("cosine"), times.flip(0), path))
    assert (up - start("cosine")).norm(dim=1).median() < 0.02


def test_inversion_asks_where_it_stands_but_at_clean_data_where_it_goes():
    asked = []

    def denoiser(x, t):
        asked.append(int(t))
        return x, x
    steps = list(invert(denoiser, normal(2, 3), torch.tensor([0, 4, 10, 30]), TABLE))
    assert asked == [4, 4, 10] and [t for t, _, _ in steps] == [4, 10, 30]


def test_one_step_up_and_the_step_down_with_the_same_noise_are_inverse():
    x, eps, s, t = normal(3, 2), normal(3, 2, seed=2), torch.tensor(4), torch.tensor(11)
    (_, up, _), = invert(lambda x, t: (None, eps), x, torch.stack([s, t]), TABLE)
    x0 = (up - TABLE.sigma(t) * eps) / TABLE.alpha(t)
    torch.testing.assert_close(ddim_step(x0, eps, t, s, TABLE, eta=0.0), x, rtol=1e-12, atol=1e-12)


# --- the whole family, exactly --------------------------------------------------------------------------------------

def moments_of_samples(n, eta):
    """Mean and variance of what a walk of n steps makes of Gaussian data, and what they should be, without chance.

    The walk is affine in x_T and in its n noises; a linear system finds the n + 1 slopes and the offset.
    """
    path, times = PATHS["vp"], times_of("vp", n)
    x_T, g = normal(n + 2), generator()
    there = final_sample(ddim(gaussian_denoiser(path, MEAN, VARIANCE), x_T, times, path, eta, g))
    g.manual_seed(0)
    noises = [torch.randn(n + 2, generator=g, dtype=torch.float64) for _ in range(n)]
    *slopes, offset = torch.linalg.solve(torch.stack([x_T, *noises, torch.ones_like(x_T)], dim=1), there)
    (alpha_T, sigma_T), (alpha, sigma) = ((path.alpha(t), path.sigma(t)) for t in (times[0], times[-1]))
    variance = slopes[0] ** 2 * (alpha_T**2 * VARIANCE + sigma_T**2) + torch.stack(slopes[1:]).square().sum()
    return slopes[0] * alpha_T * MEAN + offset, variance, alpha * MEAN, alpha**2 * VARIANCE + sigma**2


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_the_mean_is_exact_and_the_variance_is_of_order_1_for_every_eta(eta):
    errors = []
    for n in (25, 50, 100, 200):
        mean, variance, true_mean, true_variance = moments_of_samples(n, eta)
        assert float(mean) == pytest.approx(float(true_mean), abs=1e-12)
        errors.append(float((variance - true_variance).abs()))
    assert order_of_convergence((25, 50, 100, 200), errors) == pytest.approx(1, abs=0.1)


# --- interpolation --------------------------------------------------------------------------------------------------

def test_slerp_keeps_the_length_of_noise_and_the_straight_line_loses_it():
    a, b = normal(1, 28, 28), normal(1, 28, 28, seed=2)
    assert torch.equal(slerp(a, b, 0.0), a) and torch.allclose(slerp(a, b, 1.0), b, atol=1e-14)
    middle = slerp(a, b, 0.5)
    assert float(middle.std()) == pytest.approx(1, abs=0.05) and float(((a + b) / 2).std()) < 0.75


def test_slerp_walks_along_the_circle_at_constant_speed():
    a, b = torch.tensor([3.0, 0.0]).double(), torch.tensor([0.0, 3.0]).double()
    for share in (0.0, 0.2, 0.5, 1.0):
        angle = torch.tensor(share * torch.pi / 2, dtype=torch.float64)
        torch.testing.assert_close(slerp(a, b, share), 3 * torch.stack([angle.cos(), angle.sin()]))


def test_slerp_between_parallel_vectors_is_refused():
    a = normal(4, 4)
    with pytest.raises(ValueError, match="parallel"):
        slerp(a, 2 * a, 0.5)
