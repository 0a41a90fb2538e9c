"""The label as a second input of the U-Net, and labels that are left out."""

import pytest
import torch

from minidiff.models.embedding import Embedding
from minidiff.models.labels import LabelEmbedding, check_labels, drop_labels
from minidiff.models.unet import UNet
from tests.nets import awake
from tests.ch09.worlds import gen


def net_with_labels(width=16):
    """A U-Net with random weights everywhere, which can take a label."""
    net = awake(UNet(channels=(8, 16), width=width))
    net.embed.extra["label"] = LabelEmbedding(10, width)
    return net


def test_the_answer_depends_on_the_label_of_each_picture():
    net, x, t = net_with_labels(), torch.randn(3, 1, 8, 8, generator=gen()), torch.tensor(400)
    one, other = (net(x, t, label=torch.tensor([0, label, 10])) for label in (3, 4))
    torch.testing.assert_close(one[[0, 2]], other[[0, 2]])
    assert (one[1] - other[1]).abs().max() > 1e-3


def test_the_label_is_added_to_the_time():
    net = net_with_labels()
    t, labels = torch.tensor([3, 500]), torch.tensor([7, 10])
    table = net.embed.extra["label"].table.weight
    without = Embedding(16)
    without.load_state_dict({name: p for name, p in net.embed.state_dict().items() if not name.startswith("extra")})
    assert torch.equal(net.embed(t, label=labels), without(t) + table[labels])


def test_every_row_can_be_trained_the_null_too():
    layer = LabelEmbedding(10, 4)
    assert layer.null == 10 and layer.table.weight.shape == (11, 4)
    (layer(torch.arange(11)) * torch.arange(1, 45).reshape(11, 4)).sum().backward()
    assert (layer.table.weight.grad != 0).all()


def test_labels_are_looked_at_at_the_border():
    labels = check_labels([0, 10, 3], 10, 3)
    assert labels.dtype == torch.int64 and labels.tolist() == [0, 10, 3]
    assert check_labels(torch.empty(0, dtype=torch.int32), 10, 0).shape == (0,)


@pytest.mark.parametrize("labels, said", [
    ([-1, 2], r"whole numbers in 0..10, where 10 means none, got -1..2"), ([3, 11], r"got 3..11"),
    ([0.0, 1.0], "whole numbers"), ([1], r"labels must be \(2,\), one a picture, got \(1,\)"), (7, r"got \(\)"),
    ([[1], [2]], r"got \(2, 1\)")], ids=str)
def test_other_labels_are_refused(labels, said):
    with pytest.raises(ValueError, match=said):
        check_labels(labels, 10, 2)


def test_a_forward_does_not_look_at_its_labels():
    """So that it never waits for a device: a layer on no device at all, whose numbers nobody can see, runs too."""
    layer = LabelEmbedding(10, 4).to("meta")
    assert layer(torch.empty(3, dtype=torch.int64, device="meta")).shape == (3, 4)


def test_labels_are_dropped_at_the_rate_and_the_batch_stays():
    labels = torch.arange(100_000) % 10
    kept = labels.clone()
    for rate, error in ((0.0, 0), (0.1, 4 * (0.09 / 1e5) ** 0.5), (1.0, 0)):
        dropped = drop_labels(labels, rate, 10, gen(1))
        assert abs(float((dropped == 10).double().mean()) - rate) <= error
        assert torch.equal(dropped[dropped != 10], labels[dropped != 10])
    assert torch.equal(labels, kept) and dropped.dtype == labels.dtype
