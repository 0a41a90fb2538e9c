"""Muon: steps that are orthogonal matrices."""

import copy

import pytest
import torch
from torch import nn

from minidiff.models.labels import LabelEmbedding
from minidiff.models.unet import UNet
from minidiff.training.muon import QUINTIC, Muon, muon_split, orthogonalized


def seeded(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", [(8, 8), (12, 40), (40, 12), (1, 30)])
def test_orthogonalized_brings_all_singular_values_near_one_and_keeps_the_directions(shape):
    matrix = seeded(*shape).double()
    out = orthogonalized(matrix)
    u, s, vh = torch.linalg.svd(matrix, full_matrices=False)
    inner = u.T @ out @ vh.T
    diagonal = inner.diagonal()
    well = s / s.norm() > 0.01
    assert out.shape == matrix.shape
    assert (inner - diagonal.diag()).abs().max() < 1e-9
    assert (diagonal[well] > 0.65).all() and (diagonal < 1.25).all()


def test_small_squares_multiplied_first_are_the_published_iteration():
    matrix = seeded(24, 216).double()
    a, b, c = QUINTIC
    x = matrix / (matrix.norm() + 1e-7)
    for _ in range(5):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    assert torch.allclose(orthogonalized(matrix), x, atol=1e-10, rtol=0)


def test_float32_is_as_good_as_float64():
    matrix = seeded(96, 864) * torch.logspace(0, -4, 96)[:, None]
    assert (orthogonalized(matrix) - orthogonalized(matrix.double())).abs().max() < 1e-4


def test_a_gradient_of_zero_moves_nothing():
    assert (orthogonalized(torch.zeros(4, 9)) == 0).all()


def test_size_of_a_gradient_does_not_matter():
    matrix = seeded(6, 10).double()
    assert torch.allclose(orthogonalized(matrix), orthogonalized(1e3 * matrix), atol=1e-5)


@pytest.mark.parametrize("shape", [(16, 40), (40, 16)])
def test_ten_steps_go_where_those_of_torch_go(shape):
    ours, theirs = nn.Parameter(seeded(*shape)), nn.Parameter(seeded(*shape))
    mine = Muon([ours], lr=0.02, momentum=0.9)
    published = torch.optim.Muon([theirs], lr=0.02, momentum=0.9, weight_decay=0.0, adjust_lr_fn="original")
    for i in range(10):
        for p, optimizer in ((ours, mine), (theirs, published)):
            p.grad = seeded(*shape, seed=i + 1)
            optimizer.step()
    moved = (theirs - seeded(*shape)).norm()
    assert (ours - theirs).norm() < 0.02 * moved  # torch iterates in bfloat16


def test_a_kernel_moves_like_its_matrix():
    kernel, matrix = nn.Parameter(seeded(8, 4, 3, 3)), nn.Parameter(seeded(8, 4, 3, 3).flatten(1))
    kernel.grad = seeded(8, 4, 3, 3, seed=1)
    matrix.grad = kernel.grad.flatten(1)
    Muon([kernel]).step()
    Muon([matrix]).step()
    assert torch.equal(kernel.flatten(1), matrix)


def test_channels_last_changes_nothing():
    plain = nn.Parameter(seeded(8, 4, 3, 3))
    last = nn.Parameter(plain.detach().clone(memory_format=torch.preserve_format).to(memory_format=torch.channels_last))
    for p in (plain, last):
        p.grad = seeded(8, 4, 3, 3, seed=1).to(memory_format=torch.channels_last if p is last else
                                               torch.contiguous_format)
        Muon([p]).step()
    assert torch.allclose(plain, last, atol=1e-6)


def test_its_state_can_be_saved_and_gone_on_from():
    a, b = nn.Parameter(seeded(6, 9)), nn.Parameter(seeded(6, 9))
    first, second = Muon([a], lr=0.1), Muon([b], lr=0.1)
    for i in range(2):
        a.grad = seeded(6, 9, seed=i)
        first.step()
    b.data.copy_(a.data)
    second.load_state_dict(copy.deepcopy(first.state_dict()))  # as a file would: no shared tensor
    for p, optimizer in ((a, first), (b, second)):
        p.grad = seeded(6, 9, seed=5)
        optimizer.step()
    assert torch.equal(a, b)


def test_vectors_are_refused_by_name_of_their_shape():
    with pytest.raises(ValueError, match=r"two axes or more, got the shape \(5,\)"):
        Muon([nn.Parameter(torch.zeros(5))])


def test_split_gives_inner_kernels_to_muon_and_every_parameter_to_one_of_the_two():
    net = UNet(channels=(8, 16), width=8)
    net.embed.extra["label"] = LabelEmbedding(10, 8)
    kernels, others = muon_split(net)
    assert {id(p) for p in kernels} | {id(p) for p in others} == {id(p) for p in net.parameters()}
    assert len(kernels) + len(others) == len(list(net.parameters()))
    assert all(p.ndim == 4 for p in kernels)
    assert {id(net.conv_in.weight), id(net.conv_out.weight), id(net.embed.extra["label"].table.weight)} <= {
        id(p) for p in others}
    assert any(p is net.middle[0].block.conv1.weight for p in kernels)
