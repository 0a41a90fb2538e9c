"""A path says how much picture and how much noise there is at every time."""

import pytest
import torch

from minidiff.process.path import discrete_path
from minidiff.process.schedules import alpha_bar_of, cosine_betas, linear_betas

ALPHA_BAR = alpha_bar_of(linear_betas())
PATH = discrete_path(ALPHA_BAR)


def test_picture_and_noise_share_one_unit_of_variance():
    t = torch.arange(1001)
    for path in (PATH, discrete_path(alpha_bar_of(cosine_betas()))):
        assert (path.alpha(t) ** 2 + path.sigma(t) ** 2 - 1).abs().max() < 1e-15
        assert (path.alpha(t).diff() < 0).all() and (path.sigma(t).diff() > 0).all()


def test_clean_data_is_exactly_clean():
    assert PATH.T == 1000
    assert PATH.alpha(0) == 1 and PATH.sigma(0) == 0
    assert PATH.alpha(1000).item() == pytest.approx(6.35e-3, rel=1e-3)


@pytest.mark.parametrize("t", [7, torch.tensor(7), torch.tensor([7, 0, 1000]), torch.tensor([[3], [4]])])
def test_times_of_any_shape_are_looked_up_in_float64(t):
    shape = torch.as_tensor(t).shape
    for of_time, table in ((PATH.alpha, ALPHA_BAR.sqrt()), (PATH.sigma, (1 - ALPHA_BAR).sqrt())):
        assert of_time(t).shape == shape and of_time(t).dtype == torch.float64
        assert torch.equal(of_time(t), table[t])


def test_no_times_at_all_are_no_error():
    assert PATH.alpha(torch.empty(0, dtype=torch.long)).shape == (0,)


@pytest.mark.parametrize("t", [-1, 1001, torch.tensor([5, -3])])
def test_a_time_outside_the_table_is_refused(t):
    with pytest.raises(ValueError, match=r"0\.\.1000"):
        PATH.alpha(t)


def test_a_table_cannot_be_asked_between_its_steps():
    with pytest.raises(TypeError, match="whole times"):
        PATH.sigma(torch.tensor(2.5))


def test_a_network_is_told_times_from_0_to_1000_on_every_path():
    t = torch.tensor([0, 5, 10])
    assert torch.equal(PATH.net_time(t), t)
    assert torch.equal(discrete_path(ALPHA_BAR[:11]).net_time(t), torch.tensor([0.0, 500.0, 1000.0]))
