"""The two small baselines: what goes through them, and which net a gradient reaches."""

import torch

from minidiff.models.gan import GAN
from minidiff.models.vae import VAE


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_a_vae_codes_and_decodes_pictures_of_any_shape():
    net, x = VAE(pixels=12, code=3, width=8), normal(5, 1, 3, 4)
    picture, mean, log_var = net(x, normal(5, 3))
    assert picture.shape == x.shape and picture.abs().max() <= 1 and mean.shape == log_var.shape == (5, 3)
    assert net.decode(normal(7, 3)).shape == (7, 12)


def test_the_decoder_sees_the_mean_plus_the_spread_times_the_noise():
    net, x, eps = VAE(pixels=12, code=3, width=8), normal(5, 12), normal(5, 3, seed=1)
    picture, mean, log_var = net(x, eps)
    z = mean + torch.exp(log_var).sqrt() * eps
    assert torch.allclose(picture, net.decode(z), atol=1e-6)
    assert torch.equal(net(x, torch.zeros(5, 3))[0], net.decode(mean))


def gradients(part):
    return [p.grad is not None and bool(p.grad.abs().sum() > 0) for p in part.parameters()]


def test_each_column_of_logits_teaches_one_of_the_two_nets():
    net = GAN(pixels=12, code=3, width=8)
    for column, teaches in ((0, net.critic), (1, net.critic), (2, net.draw)):
        net.zero_grad(set_to_none=True)
        net(normal(6, 1, 3, 4), normal(6, 3))[column].square().sum().backward()
        assert all(gradients(teaches)[-2:])
        assert not any(gradients(net.draw if teaches is net.critic else net.critic))


def test_the_two_columns_of_drawn_pictures_are_the_same_numbers():
    net = GAN(pixels=12, code=3, width=8)
    real, fake, fooled = net(normal(6, 12), normal(6, 3))
    assert torch.allclose(fake, fooled) and real.shape == fake.shape == (6, 1)
    assert net.draw(normal(6, 3)).abs().max() <= 1
