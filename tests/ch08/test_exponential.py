"""The exponential integrator: its phi functions, its one step, and that the step is DDIM."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minidiff.process.continuous import cosine_path, vp_path
from minidiff.process.edm import ve_path
from minidiff.samplers.exponential import exponential_step, phi
from minidiff.samplers.step import ddim_step
from tests.ch08.worlds import normal

PATHS = {"ve": ve_path(), "vp": vp_path(), "cosine": cosine_path()}


@pytest.mark.parametrize("k", [1, 2, 3, 4])
@given(z=st.floats(-30, 30))
def test_phi_is_its_series_in_exact_fractions(k, z):
    exact, term, j = Fraction(0), Fraction(1, math.factorial(k)), 0
    while abs(term) > Fraction(1, 10**40):
        exact += term
        j += 1
        term *= Fraction(z) / (j + k)
    assert phi(k, z) == pytest.approx(float(exact), rel=1e-12)


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_phi_is_smooth_where_its_two_formulas_meet(k):
    for z in (1.0, -1.0):
        assert phi(k, np.nextafter(z, 0)) == pytest.approx(phi(k, z), rel=1e-14)
    assert phi(k, 0) == 1 / math.factorial(k)


@pytest.mark.parametrize("form", ["x0", "eps"])
@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
@given(fractions=st.tuples(st.floats(0.01, 0.99), st.floats(0.0, 0.98)))
def test_with_the_denoisers_own_answer_the_step_is_ddim(path, form, fractions):
    t = torch.tensor(fractions[0] * path.T, dtype=torch.float64)
    s = t * fractions[1]
    x0, eps = normal(3, 2, seed=2), normal(3, 2, seed=3)
    x = path.alpha(t) * x0 + path.sigma(t) * eps
    x_s = exponential_step(x, x0 if form == "x0" else eps, t, s, path, form)
    expected = ddim_step(x0, eps, t, s, path, eta=0.0)
    torch.testing.assert_close(x_s, expected, rtol=1e-9, atol=1e-9 * float(path.sigma(t) + 1))


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
def test_a_step_to_clean_data_is_the_answer_itself(path):
    x, value = normal(3, 2), normal(3, 2, seed=2)
    assert torch.equal(exponential_step(x, value, path.T / 2, 0.0, path), value)


def test_from_pure_noise_the_form_x0_goes_on_and_the_form_eps_says_why_not():
    path = cosine_path()
    x, value = normal(3, 2), normal(3, 2, seed=2)
    x_s = exponential_step(x, value, 1.0, 0.6, path)
    torch.testing.assert_close(x_s, path.alpha(0.6) * value + path.sigma(0.6) * x)
    with pytest.raises(ValueError, match="alpha = 0, at t = 1: take the form x0"):
        exponential_step(x, value, 1.0, 0.6, path, "eps")
