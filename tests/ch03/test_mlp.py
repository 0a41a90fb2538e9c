"""The small network for points: shapes, the time it is told, and what it refuses."""

import pytest
import torch

from minidiff.models.mlp import MLP


def net(**sizes):
    torch.manual_seed(0)
    return MLP(**sizes)


def test_it_answers_with_one_vector_per_point():
    assert net()(torch.zeros(7, 2), torch.arange(7)).shape == (7, 2)
    assert net(dim=5, width=8, waves=1)(torch.zeros(3, 5), torch.arange(3)).shape == (3, 5)


def test_one_time_for_all_points_is_that_time_for_each():
    f, x = net(), torch.randn(6, 2, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(f(x, torch.tensor(250)), f(x, torch.full((6,), 250)))


def test_it_treats_every_point_alone():
    f, x, t = net(), torch.randn(6, 2, generator=torch.Generator().manual_seed(0)), torch.arange(1, 7) * 100
    torch.testing.assert_close(f(x, t)[3:4], f(x[3:4], t[3:4]))


def test_no_two_steps_look_the_same_to_it():
    f = net()
    times = torch.arange(1001)
    angles = (times / 1000).sqrt()[:, None] * f.frequencies
    seen = torch.cat([angles.cos(), angles.sin()], dim=1)
    distance = torch.cdist(seen, seen) + 10 * torch.eye(1001)
    assert float(distance.min()) > 1e-3


def test_whole_and_float_times_are_one_time():
    f, x = net(), torch.ones(3, 2)
    assert torch.equal(f(x, torch.tensor([1, 500, 1000])), f(x, torch.tensor([1.0, 500.0, 1000.0])))


def test_the_frequencies_are_a_buffer_and_not_learned():
    f = net()
    assert "frequencies" in dict(f.named_buffers()) and "frequencies" not in dict(f.named_parameters())


@pytest.mark.parametrize("shape", [(2,), (4, 3), (4, 2, 1)])
def test_points_of_another_shape_are_refused_in_one_sentence(shape):
    with pytest.raises(ValueError, match=r"\(B, 2\)"):
        net()(torch.zeros(shape), torch.tensor(1))


def test_an_unknown_condition_is_refused_by_its_name():
    with pytest.raises(TypeError, match="label"):
        net()(torch.zeros(1, 2), torch.tensor(1), label=3)
