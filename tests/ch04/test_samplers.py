"""The structure of sampling: which times are visited, what is drawn, and where the noise of a step comes from."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minidiff.process.denoiser import denoiser_of
from minidiff.process.losses import draw_times
from minidiff.process.path import discrete_path
from minidiff.process.posterior import posterior, posterior_variance
from minidiff.process.schedules import alpha_bar_of, cosine_betas, linear_betas
from minidiff.process.targets import EPS
from minidiff.samplers.ancestral import ancestral
from minidiff.samplers.grids import spaced
from minidiff.samplers.step import final_sample, ddim_step

T = 30
ALPHA_BAR = alpha_bar_of(linear_betas(T, 0.01, 0.4))
PATH = discrete_path(ALPHA_BAR)
LONG = discrete_path(alpha_bar_of(linear_betas()))
PATHS = {"short": PATH, "linear": LONG, "cosine": discrete_path(alpha_bar_of(cosine_betas()))}
MEAN, VARIANCE = 0.5, 0.3**2  # the data of the exact denoiser: N(MEAN, VARIANCE), every pixel on its own


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=1):
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


def exact(path):
    """The denoiser E[x0 | x_t] of Gaussian data."""
    def denoise(x, t):
        alpha, sigma = path.alpha(t), path.sigma(t)
        x0 = MEAN + alpha * VARIANCE / (alpha**2 * VARIANCE + sigma**2) * (x - alpha * MEAN)
        return x0, (x - alpha * x0) / sigma
    return denoise


class Recorder:
    """A denoiser that writes down the times it is asked at."""

    def __init__(self, path):
        self.denoise, self.times = exact(path), []

    def __call__(self, x, t):
        self.times.append(int(t))
        return self.denoise(x, t)


def after(draws, shape, seed=0):
    """The state of a generator from which `draws` batches of noise were taken."""
    g = generator(seed)
    for _ in range(draws):
        torch.randn(shape, generator=g, dtype=torch.float64)
    return g.get_state()


# --- grids ----------------------------------------------------------------------------------------------------------

@given(T=st.integers(1, 2000), fraction=st.floats(0, 1))
def test_a_grid_falls_from_T_to_clean_data_and_visits_no_time_twice(T, fraction):
    n = max(1, round(fraction * T))
    times = spaced(T, n)
    assert times.dtype == torch.int64 and len(times) == n + 1
    assert times[0] == T and times[-1] == 0 and (times[1:] < times[:-1]).all()
    gaps = times[:-1] - times[1:]
    assert gaps.max() - gaps.min() <= 1


def test_a_grid_of_T_steps_visits_every_time():
    for T in (1, 2, 7, 1000):
        assert spaced(T, T).tolist() == list(range(T, -1, -1))


@pytest.mark.parametrize("n", [-1, 0, 31])
def test_a_grid_refuses_a_number_of_steps_that_does_not_fit(n):
    with pytest.raises(ValueError, match=f"1..30, got {n}"):
        spaced(30, n)


# --- the walk -------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("n", [1, 3, 7, 13, 30])
def test_the_sampler_asks_at_every_time_of_the_grid_but_0_and_yields_the_rest(n):
    denoiser, times = Recorder(PATH), spaced(T, n)
    steps = list(ancestral(denoiser, normal(2, 1, 3, 3), times, PATH, generator()))
    assert denoiser.times == times[:-1].tolist()
    assert [s for s, _, _ in steps] == times[1:].tolist()


def test_the_times_that_are_trained_are_the_times_that_are_visited():
    denoiser = Recorder(PATH)
    final_sample(ancestral(denoiser, normal(1, 1, 2, 2), spaced(T, T), PATH, generator()))
    assert set(draw_times(4000, T, generator()).tolist()) == set(denoiser.times)


@pytest.mark.parametrize("n", [1, 3, 7, 13, 30])
def test_n_steps_draw_noise_n_minus_1_times_because_the_last_step_draws_none(n):
    g, x = generator(), normal(2, 1, 3, 3)
    *_, (s, x_s, x0) = ancestral(exact(PATH), x, spaced(T, n), PATH, g)
    assert torch.equal(g.get_state(), after(n - 1, x.shape))
    assert s == 0 and torch.equal(x_s, x0)


def test_ddim_draws_nothing():
    g = generator()
    for t in range(T, 0, -1):
        ddim_step(normal(2, 1, 3, 3), normal(2, 1, 3, 3, seed=2), t, t - 1, PATH, eta=0.0, generator=g)
    assert torch.equal(g.get_state(), after(0, ()))


def test_starting_in_the_middle_of_a_grid_is_the_tail_of_the_whole_run():
    times, g = spaced(T, 10), generator()
    walk = ancestral(exact(PATH), normal(2, 1, 3, 3), times, PATH, g)
    for _ in range(4):
        _, x, _ = next(walk)
    rest = ancestral(exact(PATH), x, times[4:], PATH, generator(0).set_state(g.get_state()))
    assert torch.equal(final_sample(rest), final_sample(walk))


def test_a_seed_gives_one_picture_and_another_seed_another():
    def run(seed):
        return final_sample(ancestral(exact(PATH), normal(2, 1, 3, 3), spaced(T, 5), PATH, generator(seed)))
    assert torch.equal(run(3), run(3)) and not torch.equal(run(3), run(4))


def test_sampling_keeps_float32_and_no_gradient_and_leaves_the_callers_gradients_on():
    scale = torch.nn.Parameter(torch.tensor(0.5))
    denoiser = denoiser_of(lambda x, t: scale * x, PATH, EPS)
    for _, x, _ in ancestral(denoiser, torch.randn(2, 1, 3, 3, generator=generator()), spaced(T, 4), PATH, generator()):
        assert x.dtype == torch.float32 and not x.requires_grad
        assert torch.is_grad_enabled()


# --- one step -------------------------------------------------------------------------------------------------------

def pairs(path):
    return st.integers(1, path.T).flatmap(lambda t: st.tuples(st.just(t), st.integers(0, t - 1)))


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
@given(data=st.data())
@settings(max_examples=60)
def test_one_ancestral_step_draws_from_the_posterior_of_its_own_pair_of_times(path, data):
    t, s = data.draw(pairs(path))
    alpha_bar = path.alpha(torch.arange(path.T + 1)) ** 2
    x_t, x0 = normal(2, 1, 3, 3), normal(2, 1, 3, 3, seed=2)
    eps = (x_t - path.alpha(t) * x0) / path.sigma(t)
    z = torch.randn(2, 1, 3, 3, generator=generator(), dtype=torch.float64)
    mean, variance = posterior(x_t, x0, t, alpha_bar, s)
    x_s = ddim_step(x0, eps, t, s, path, eta=1.0, generator=generator())
    torch.testing.assert_close(x_s, mean + variance.sqrt() * z, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
@given(data=st.data(), eta=st.floats(0, 1))
@settings(max_examples=60)
def test_the_noise_that_is_kept_and_the_noise_that_is_new_have_the_variance_of_s_together(path, data, eta):
    t, s = data.draw(pairs(path))
    zero, one = torch.zeros(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
    z = torch.randn(1, generator=generator(), dtype=torch.float64)
    new = ddim_step(zero, zero, t, s, path, eta, generator()) / z
    kept = ddim_step(zero, one, t, s, path, eta, generator()) - ddim_step(zero, zero, t, s, path, eta, generator())
    torch.testing.assert_close(kept**2 + new**2, path.sigma(s)[None] ** 2, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(new, eta * posterior_of(path, t, s).sqrt()[None], rtol=1e-6, atol=1e-9)


def posterior_of(path, t, s):
    return posterior_variance(t, path.alpha(torch.arange(path.T + 1)) ** 2, s)


# --- the whole walk in closed form ----------------------------------------------------------------------------------

def affine_map(n, path):
    """The sampler of n steps with the exact denoiser of Gaussian data is an affine map of x_T and of its n - 1 noises.

    Returns (its slope in x_T, its slopes in the noises, its offset), found by solving a linear system.
    """
    count = n + 1
    x_T, g = normal(count), generator()
    x_0 = final_sample(ancestral(exact(path), x_T, spaced(path.T, n), path, g))
    g.manual_seed(0)
    noises = [torch.randn(count, generator=g, dtype=torch.float64) for _ in range(n - 1)]
    solution = torch.linalg.solve(torch.stack([x_T, *noises, torch.ones_like(x_T)], dim=1), x_0)
    return solution[0], solution[1:-1], solution[-1]


@pytest.mark.parametrize("n", [1, 2, 10, 100])
def test_the_mean_of_the_samples_is_exactly_the_mean_of_the_data(n):
    slope, _, offset = affine_map(n, LONG)
    assert float(slope * LONG.alpha(1000) * MEAN + offset) == pytest.approx(MEAN, abs=1e-10)


def test_the_variance_of_the_samples_approaches_that_of_the_data_in_first_order():
    missing = []
    for n in (100, 200, 400):
        log_snr = torch.linspace(14, -14, n, dtype=torch.float64)
        path = discrete_path(torch.cat([torch.ones(1, dtype=torch.float64), torch.sigmoid(log_snr)]))
        slope, slopes, _ = affine_map(n, path)
        x_T = path.alpha(n) ** 2 * VARIANCE + path.sigma(n) ** 2
        missing.append(VARIANCE - float(slope**2 * x_T + slopes.square().sum()))
    # each step leaves out that x0 is not known exactly, so that the spread is too small, by half for twice the steps
    orders = torch.tensor(missing[:2]).div(torch.tensor(missing[1:])).log2()
    assert min(missing) > 0
    assert orders.tolist() == pytest.approx([1, 1], abs=0.1)
