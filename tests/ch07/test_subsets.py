"""Grids of whole steps: which steps each spacing visits, and that every number of steps works on each."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minidiff.samplers.grids import spaced
from minidiff.samplers.subsets import SPACINGS, timestep_subset


@given(T=st.integers(1, 1500), share=st.floats(0, 1), spacing=st.sampled_from(SPACINGS))
def test_a_grid_falls_to_clean_data_and_visits_n_steps_of_1_to_T(T, share, spacing):
    n = max(1, round(share * T))
    times = timestep_subset(T, n, spacing)
    assert times.dtype == torch.int64 and len(times) == n + 1
    assert times[0] <= T and times[-2] >= 1 and times[-1] == 0 and (times.diff() < 0).all()


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("T", [1, 2, 7, 1000])
def test_as_many_steps_as_there_are_visit_all(T, spacing):
    assert timestep_subset(T, T, spacing).tolist() == list(range(T, -1, -1))


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("n", [1, 3, 7, 13, 30])
def test_an_odd_number_of_steps_works(n, spacing):
    assert len(timestep_subset(1000, n, spacing).unique()) == n + 1


def test_ten_of_a_thousand():
    assert timestep_subset(1000, 10, "trailing").tolist() == [*range(1000, -1, -100)]
    assert timestep_subset(1000, 10, "leading").tolist() == [*range(901, 0, -100), 0]
    assert timestep_subset(1000, 10, "linspace").tolist() == [*range(1000, 0, -111), 0]


@given(n=st.integers(2, 999))
def test_leading_never_visits_T_and_the_others_always_do(n):
    assert timestep_subset(1000, n, "leading")[0] < 1000
    assert timestep_subset(1000, n, "trailing")[0] == timestep_subset(1000, n, "linspace")[0] == 1000


@given(n=st.integers(1, 1000))
def test_trailing_is_the_grid_of_chapter_04(n):
    assert torch.equal(timestep_subset(1000, n), spaced(1000, n))


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("n", [-1, 0, 31])
def test_a_number_of_steps_that_does_not_fit_is_refused(n, spacing):
    with pytest.raises(ValueError, match=f"1..30, got {n}"):
        timestep_subset(30, n, spacing)


def test_another_spacing_is_refused():
    with pytest.raises(ValueError, match="spacing must be one of trailing, leading, linspace, got 'karras'"):
        timestep_subset(30, 5, "karras")
