"""The U-Net as a whole: shapes, sockets for later chapters, what it sees, and that all of it can learn."""

import pytest
import torch
from torch import nn

from minidiff.models.unet import UNet
from tests.nets import awake, normal


class Witness(nn.Module):
    """An attention layer of a later chapter, as the U-Net sees it: it changes nothing and remembers its context."""

    def __init__(self, channels):
        super().__init__()
        self.channels, self.contexts = channels, []

    def forward(self, h, context):
        self.contexts.append(context)
        return h


def without_norms(net):
    """Take the normalisations out: they look at the whole image, and hide what the convolutions see."""
    for module in list(net.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.GroupNorm):
                setattr(module, name, nn.Identity())
    return net


@pytest.mark.parametrize("options, shape", [
    ({}, (2, 1, 28, 28)), ({}, (1, 1, 7, 9)), ({"patch": 2}, (2, 1, 28, 28)),
    ({"patch": 2, "image_channels": 3}, (2, 3, 10, 14)), ({"channels": (8, 16, 16)}, (2, 1, 28, 28)),
    ({"channels": (8, 16, 16)}, (1, 1, 5, 3)), ({"channels": (8,)}, (2, 1, 6, 6)),
    ({"blocks": 2, "attention": (0, 1)}, (2, 1, 8, 8)), ({"image_channels": 3, "dropout": 0.1}, (2, 3, 8, 8)),
], ids=str)
def test_the_output_has_the_shape_of_the_input(options, shape):
    net = awake(UNet(**{"channels": (8, 16), "width": 16, **options}))
    out = net(normal(*shape), torch.tensor(500))
    assert out.shape == shape and out.isfinite().all() and out.std() > 0


def test_a_new_net_answers_zero():
    out = UNet(channels=(8, 16), attention=(1,))(normal(2, 1, 8, 8), torch.tensor([1, 1000]))
    assert torch.equal(out, torch.zeros(2, 1, 8, 8))


@pytest.mark.parametrize("t", [torch.tensor(7), 7, 7.0, torch.tensor([7, 7]), torch.tensor([7.0, 7.0])], ids=str)
def test_one_time_for_all_images_is_that_time_for_each(t):
    net, x = awake(UNet(channels=(8, 16), width=16)).eval(), normal(2, 1, 8, 8)
    torch.testing.assert_close(net(x, t), torch.cat([net(x[i:i + 1], torch.tensor([7])) for i in range(2)]))


def test_the_time_matters_image_by_image():
    net, x = awake(UNet(channels=(8, 16), width=16)).eval(), normal(2, 1, 8, 8)
    a, b = net(x, torch.tensor([7, 7])), net(x, torch.tensor([7, 8]))
    assert torch.allclose(a[0], b[0], atol=1e-6) and (a[1] - b[1]).abs().max() > 1e-3


def test_float64_nets_run_in_float64():
    net = awake(UNet(channels=(8, 16), width=16))
    x, t = normal(2, 1, 8, 8), torch.tensor([3, 900])
    single, double = net(x, t), net.double()(x.double(), t)
    assert double.dtype == torch.float64
    torch.testing.assert_close(single.double(), double, rtol=1e-3, atol=1e-3)


# --- sockets --------------------------------------------------------------------------------------------------------

def test_every_attention_layer_gets_the_context_untouched():
    made, context = [], object()

    def make_attention(channels):
        made.append(Witness(channels))
        return made[-1]
    net = UNet(channels=(8, 16), blocks=2, attention=(1,), width=16, make_attention=make_attention)
    net(normal(1, 1, 8, 8), torch.tensor(1), context=context)
    assert [layer.channels for layer in made] == [16] * 5  # two on the way down, the middle, two on the way up
    assert all(len(layer.contexts) == 1 and layer.contexts[0] is context for layer in made)


def test_q_k_v_and_o_are_linear_layers_that_a_walk_finds_by_name():
    net = UNet(channels=(8, 16), attention=(1,))
    linear = [name for name, module in net.named_modules() if isinstance(module, nn.Linear)]
    assert len([name for name in linear if name[-2:] in (".q", ".k", ".v", ".o")]) == 4 * 3


def test_residuals_are_added_to_the_skips_one_each_and_one_to_the_middle():
    net, x, t = awake(UNet(channels=(8, 16), width=16)), normal(2, 1, 8, 8), torch.tensor(5)
    seen = []
    for stage in (net.up[0], net.up[2]):
        stage.block.register_forward_pre_hook(lambda block, inputs: seen.append(inputs[0]))
    net(x, t)
    residuals = [normal(2, 8, 8, 8), normal(2, 16, 4, 4), normal(2, 16, 4, 4, seed=2)]
    net(x, t, residuals=residuals)
    torch.testing.assert_close(seen[2][:, 16:] - seen[0][:, 16:], residuals[1], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(seen[3][:, 16:] - seen[1][:, 16:], residuals[0], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(seen[2][:, :16] - seen[0][:, :16], residuals[2], atol=1e-5, rtol=1e-4)
    assert torch.equal(net(x, t, residuals=[torch.zeros_like(r) for r in residuals]), net(x, t))
    for wrong in (residuals[::2], residuals[:2] + residuals[1:]):
        with pytest.raises(ValueError, match="argument 2 is (shorter|longer)"):
            net(x, t, residuals=wrong)


@pytest.mark.parametrize("patch", [1, 2])
def test_an_answer_may_have_other_channels_than_the_picture(patch):
    net = awake(UNet(image_channels=3, out_channels=6, channels=(8, 16), width=16, patch=patch))
    out = net(normal(2, 3, 8, 8), torch.tensor([5, 900]))
    assert out.shape == (2, 6, 8, 8) and out.std(dim=(0, 2, 3)).min() > 0


def test_a_condition_that_the_net_does_not_know_is_an_error():
    with pytest.raises(TypeError, match="label"):
        UNet(channels=(8, 16))(normal(1, 1, 8, 8), torch.tensor(1), label=torch.tensor([3]))


# --- what it sees ---------------------------------------------------------------------------------------------------

def test_the_output_moves_with_the_picture_away_from_the_border():
    net = without_norms(awake(UNet(channels=(8, 8), width=16, make_attention=Witness))).double()
    x = normal(1, 1, 64, 64).double()
    moved = torch.roll(x, (2, 4), dims=(2, 3))  # by multiples of the coarsest pixel
    a, b = net(x, torch.tensor(9)), net(moved, torch.tensor(9))
    inner = (..., slice(30, 36), slice(30, 36))
    torch.testing.assert_close(torch.roll(a, (2, 4), dims=(2, 3))[inner], b[inner])
    assert (a - b)[inner].abs().max() > 1e-3


def field(net, size):
    """The rows of the image (1, 1, size, size) on which the pixel in the middle of the output depends."""
    x = normal(1, 1, size, size).double().requires_grad_()
    net.double()(x, torch.tensor(9))[0, 0, size // 2, size // 2].backward()
    rows = x.grad[0, 0].abs().sum(dim=1).nonzero()[:, 0]
    return int(rows[-1] - rows[0]) + 1


def test_one_level_of_ten_convolutions_sees_21_pixels_and_a_second_level_sees_a_whole_digit():
    def plain(channels):
        return without_norms(awake(UNet(channels=channels, width=16, make_attention=Witness)))
    assert field(plain((8,)), 64) == 2 * 10 + 1
    assert 28 < field(plain((8, 8)), 64) < 64


def test_attention_sees_everything():
    assert field(without_norms(awake(UNet(channels=(8, 8), width=16))), 64) == 64


# --- learning -------------------------------------------------------------------------------------------------------

def test_the_gradient_reaches_every_parameter():
    net = awake(UNet(channels=(16, 32), attention=(1,), blocks=2, width=16)).double()
    net(normal(2, 1, 8, 8).double(), torch.tensor([3, 900])).square().sum().backward()
    unreached = {name for name, p in net.named_parameters() if p.grad is None or p.grad.abs().max() < 1e-9}
    # a bias of the keys adds the same to all scores of a query, and softmax does not see it
    assert {name for name in unreached if not name.endswith(".k.bias")} == set()


def test_the_first_step_of_a_new_net_is_taken_by_its_last_layer():
    net = UNet(channels=(16, 32), width=16)
    (net(normal(2, 1, 8, 8), torch.tensor(3)) - 1).square().sum().backward()
    moved = {name for name, p in net.named_parameters() if p.grad is not None and p.grad.abs().max() > 0}
    assert moved == {"conv_out.weight", "conv_out.bias"}
