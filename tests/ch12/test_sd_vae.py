"""Stable Diffusion's autoencoder: its sizes, its padding, and what diffusers computes with the same weights."""

import torch
import torch.nn.functional as F

from minidiff.models.sd_vae import Halve
from tests.ch12.sd_oracles import BOTH, oracle
from tests.ch12.small_sd import KEYS, SMALL, random_net
from tests.nets import normal

def test_a_picture_becomes_an_eighth_a_side_and_comes_back_in_size():
    net = random_net("vae", SMALL["vae"])
    picture, mean, log_var = net(normal(2, 3, 24, 40), normal(2, 4, 3, 5, seed=2))
    assert picture.shape == (2, 3, 24, 40) and mean.shape == log_var.shape == (2, 4, 3, 5)
    assert len(net.state_dict()) == KEYS["vae"]


def test_the_code_is_drawn_from_mean_and_variance_and_the_variance_is_kept_in_bounds():
    net, x, eps = random_net("vae", SMALL["vae"]), normal(1, 3, 16, 16), normal(1, 4, 2, 2, seed=2)
    picture, mean, log_var = net(x, eps)
    assert torch.equal(picture, net.decode(mean + (log_var / 2).exp() * eps)) and not torch.equal(
        picture, net.decode(mean))
    net.quant.bias[4:] = torch.tensor([1e3, -1e3, 0, 0])
    assert net.encode(x)[1][0, :2, 0, 0].tolist() == [20, -30]


def test_halving_pads_at_the_right_and_the_bottom_alone():
    layer, x = Halve(32), normal(1, 32, 6, 8)
    assert layer(x).shape == (1, 32, 3, 4)
    padded = F.conv2d(x, layer.conv.weight, layer.conv.bias, stride=2, padding=1)
    shifted = F.conv2d(x, layer.conv.weight, layer.conv.bias)[:, :, ::2, ::2]
    torch.testing.assert_close(layer(x)[:, :, :2, :3], shifted)
    assert padded.shape == layer(x).shape and not torch.allclose(padded, layer(x), atol=0.1)


@BOTH["vae"]
def test_it_computes_what_diffusers_computes(shape):
    net = random_net("vae", shape).double()  # in float32 the two round differently
    theirs = oracle("vae", net, shape)
    x, z = normal(1, 3, 40, 24).clamp(-1, 1).double(), normal(2, 4, 5, 3).double()
    mean, log_var = net.encode(x)
    posterior = theirs.encode(x).latent_dist
    torch.testing.assert_close(mean, posterior.mean, rtol=0, atol=1e-11)
    torch.testing.assert_close(log_var, posterior.logvar, rtol=0, atol=1e-11)
    torch.testing.assert_close(net.decode(z), theirs.decode(z).sample, rtol=0, atol=1e-11)
    assert mean.std() > 1e-2 and net.decode(z).std() > 1e-2
