"""The grids: even in lambda or in a root of the level, from the first time to the last, and then clean."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minidiff.process.continuous import cosine_path, interpolated_path, lambda_of, vp_path
from minidiff.process.edm import ve_path
from minidiff.process.schedules import alpha_bar_of, linear_betas
from minidiff.samplers.lambda_grids import karras_grid, karras_sigmas, lambda_grid

PATHS = {"ve": (ve_path(), 80.0, 0.002), "vp": (vp_path(), 1.0, 1e-3), "cosine": (cosine_path(), 0.99, 0.01),
         "table": (interpolated_path(alpha_bar_of(linear_betas())), 1000.0, 1.0)}


@pytest.mark.parametrize("grid", [lambda_grid, karras_grid])
@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("n", [1, 2, 3, 17])
def test_a_grid_goes_from_the_first_time_to_the_last_and_then_to_clean_data(grid, name, n):
    path, first, last = PATHS[name]
    times = grid(path, n, first, last)
    assert times.shape == (n + 1,) and times.dtype == torch.float64 and times[-1] == 0
    assert (times.diff() < 0).all() and float(times[0]) == pytest.approx(first)
    if n > 1:
        assert float(times[-2]) == pytest.approx(last)


@pytest.mark.parametrize("name", PATHS)
def test_a_lambda_grid_is_even_in_lambda(name):
    path, first, last = PATHS[name]
    gaps = lambda_of(path, lambda_grid(path, 12, first, last)[:-1]).diff()
    torch.testing.assert_close(gaps, gaps.mean().expand(11), rtol=1e-6, atol=0)


@given(n=st.integers(2, 50), low=st.floats(1e-4, 0.1), high=st.floats(1.0, 200.0), rho=st.floats(1, 10))
def test_karras_levels_are_even_in_their_root(n, low, high, rho):
    roots = karras_sigmas(n, low, high, rho)[:-1] ** (1 / rho)
    torch.testing.assert_close(roots.diff(), roots.diff().mean().expand(n - 1), rtol=1e-6, atol=1e-12)
    assert roots[0] == pytest.approx(high ** (1 / rho)) and roots[-1] == pytest.approx(low ** (1 / rho))


def test_the_two_grids_meet_for_a_large_rho():
    """The n-th root tends to the logarithm, so a grid even in lambda is Karras' with rho -> infinity."""
    levels = karras_sigmas(9, 0.01, 50, rho=1e6)[:-1]
    torch.testing.assert_close(levels, torch.logspace(torch.tensor(50.0).log10(), -2, 9, dtype=torch.float64),
                               rtol=1e-4, atol=0)


@pytest.mark.parametrize("n, low, high", [(0, 1.0, 2.0), (-3, 1.0, 2.0), (5, 0.0, 2.0), (5, 2.0, 2.0), (5, 3.0, 2.0)])
def test_a_grid_that_does_not_fall_is_refused(n, low, high):
    with pytest.raises(ValueError, match="a grid has n >= 1"):
        karras_sigmas(n, low, high)
    with pytest.raises(ValueError, match="a grid has n >= 1"):
        lambda_grid(ve_path(), n, high, low)
