"""The exact flow of a mixture, against closed forms, and the order of convergence that errors show."""

import pytest
import torch

from minidiff.evaluation.convergence import exact_flow, mixture_denoiser, order_of_convergence
from minidiff.evaluation.mixture import Mixture
from tests.ch07.worlds import FROM, MIXTURE, PATHS, STEPS, TO, arrival, generator, normal, start, times_of


@pytest.mark.parametrize("name", PATHS)
def test_the_flow_of_one_gaussian_is_its_closed_form(name):
    path, (t, s) = PATHS[name], times_of(name, 1)
    mean, std = torch.tensor([0.7, -0.3], dtype=torch.float64), 0.4
    x = normal(50, 2)
    S_t, S_s = ((path.alpha(u) ** 2 * std**2 + path.sigma(u) ** 2).sqrt() for u in (t, s))
    expected = path.alpha(s) * mean + S_s / S_t * (x - path.alpha(t) * mean)
    there = exact_flow(Mixture([1.0], mean[None], [std]), x, path, t, s)
    torch.testing.assert_close(there, expected, rtol=1e-9, atol=1e-9)


def test_all_paths_have_one_flow_up_to_scale():
    flat = {name: start(name) / path.alpha(times_of(name, 1)[0]) for name, path in PATHS.items()}
    there = {name: arrival(name) / path.alpha(times_of(name, 1)[1]) for name, path in PATHS.items()}
    for name in ("vp", "cosine"):
        torch.testing.assert_close(flat[name], flat["ve"], rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(there[name], there["ve"], rtol=1e-8, atol=1e-8)


def test_the_flow_has_no_error_left_that_a_sampler_could_show():
    fine = exact_flow(MIXTURE, start("ve")[:50], PATHS["ve"], *times_of("ve", 1), steps=2 * STEPS)
    assert (fine - arrival("ve")[:50]).abs().max() < 1e-7


def test_the_flow_up_undoes_the_flow_down():
    t, s = times_of("cosine", 1)
    back = exact_flow(MIXTURE, arrival("cosine"), PATHS["cosine"], s, t)
    torch.testing.assert_close(back, start("cosine"), rtol=1e-6, atol=1e-6)


def test_the_flow_carries_the_noised_density_into_that_of_the_data():
    t, s = times_of("vp", 1)
    there, noised = arrival("vp"), MIXTURE.noised(PATHS["vp"].alpha(s), PATHS["vp"].sigma(s))
    share = noised.share(there).mean(dim=0)
    error = (MIXTURE.weights * (1 - MIXTURE.weights) / len(there)).sqrt()
    assert ((share - MIXTURE.weights).abs() < 4 * error).all()


@pytest.mark.parametrize("name", PATHS)
def test_the_denoiser_of_a_mixture_takes_one_time_or_one_per_point(name):
    denoise, x, times = mixture_denoiser(MIXTURE, PATHS[name]), normal(5, 2), times_of(name, 5)[:5]
    x0, eps = denoise(x, times)
    for i in range(5):
        one = denoise(x[i:i + 1], times[i])
        torch.testing.assert_close(torch.cat(one), torch.stack([x0[i], eps[i]]), rtol=1e-12, atol=1e-12)
    alpha, sigma = PATHS[name].alpha(times), PATHS[name].sigma(times)
    torch.testing.assert_close(alpha[:, None] * x0 + sigma[:, None] * eps, x, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(eps, -sigma[:, None] * MIXTURE.noised(alpha, sigma).score(x), rtol=1e-8, atol=1e-9)


def test_the_order_is_the_slope_of_log_error():
    assert order_of_convergence([10, 20, 40], [3.0, 0.75, 0.1875]) == pytest.approx(2)
    noise = torch.rand(6, generator=generator(), dtype=torch.float64).mul(0.1).exp()
    steps = torch.tensor([8, 16, 32, 64, 128, 256])
    assert order_of_convergence(steps, 5 * steps**-3.0 * noise) == pytest.approx(3, abs=0.05)


@pytest.mark.parametrize("steps, errors", [([10], [1.0]), ([10, 20], [1.0]), ([10, 20], [1.0, 0.0]), ([0, 2], [1, 1])])
def test_the_order_of_less_than_two_positive_pairs_is_refused(steps, errors):
    with pytest.raises(ValueError, match="pairs of positive numbers"):
        order_of_convergence(steps, errors)


def test_the_range_of_the_tests_is_sigma_10_to_0_02():
    assert times_of("ve", 1).tolist() == pytest.approx([10, 0.02]) and FROM < TO
