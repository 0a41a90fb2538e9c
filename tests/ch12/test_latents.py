"""Latents are brought to mean 0 and standard deviation 1 once, and brought back once."""

import pytest
import torch

from minidiff.models.kl_vae import KLVAE
from minidiff.process.latents import Normaliser, averaged_down, compression, measured
from tests.nets import normal


def some_latents():
    scales, shifts = (torch.tensor(v).view(3, 1, 1) for v in ([0.5, 2.0, 6.0], [-1.0, 0.0, 4.0]))
    return normal(500, 3, 3, 5) * scales + shifts


@pytest.mark.parametrize("per_channel", [True, False])
def test_normalised_latents_have_mean_0_and_standard_deviation_1_and_come_back(per_channel):
    z = some_latents()
    how = measured(z, per_channel)
    u = how.normalise(z)
    assert abs(u.mean()) < 1e-5 and float(u.std()) == pytest.approx(1, rel=1e-4)
    each = u.transpose(0, 1).flatten(1).std(dim=1)
    assert (abs(each - 1) < 1e-4).all() if per_channel else each.max() > 2 * each.min()
    torch.testing.assert_close(how.restore(u), z, rtol=1e-5, atol=1e-5)
    assert len(how.shift) == len(how.scale) == (3 if per_channel else 1)


def test_the_scale_is_one_over_the_standard_deviation_and_twice_is_noticed():
    z = 5.4882 * normal(1000, 4, 2, 2)  # Stable Diffusion's, whose scale is 0.18215
    how = measured(z, per_channel=False)
    assert how.scale[0] == pytest.approx(0.18215, rel=0.02)
    once, twice = how.normalise(z), how.normalise(how.normalise(z))
    assert 0.9 < once.std() < 1.1 and not 0.9 < twice.std() < 1.1


def test_a_published_scale_and_shift_are_applied_in_the_order_of_flux():
    how = Normaliser([0.1159], [0.3611])
    z = torch.tensor([[[[1.1159]]]])
    assert float(how.normalise(z)) == pytest.approx(0.3611) and float(how.restore(how.normalise(z))) == pytest.approx(
        1.1159)


def test_a_channel_that_collapsed_is_named():
    z = some_latents()
    z[:, 1] = 0.25
    with pytest.raises(ValueError, match="the latents of channel 1 hardly change: their standard deviation is 0"):
        measured(z)
    assert measured(z, per_channel=False).scale[0] > 0


def test_numbers_for_other_channels_are_a_sentence():
    with pytest.raises(ValueError, match="shift and scale must be 1 number or 4, one a channel, got 3"):
        Normaliser([0.0] * 3, [1.0] * 3).normalise(torch.zeros(1, 4, 2, 2))


@pytest.mark.parametrize("factor, latent, numbers, places", [(8, 4, 48, 64), (8, 16, 12, 64), (4, 4, 12, 16)])
def test_compression(factor, latent, numbers, places):
    assert compression(factor, latent) == (numbers, places)
    picture, code = 3 * 512**2, latent * (512 // factor)**2
    assert picture / code == numbers and (512 // (512 // factor)) ** 2 == places


def test_compression_is_what_the_autoencoder_does():
    net = KLVAE(3, 4, (8, 8), patch=2)
    x = torch.zeros(1, 3, 24, 40)
    z = net.encode(x)[0]
    assert compression(net.factor, net.latent) == (x.numel() / z.numel(), 24 * 40 / z[0, 0].numel())


def test_a_mask_is_the_share_of_each_square():
    mask = torch.zeros(1, 1, 4, 6)
    mask[..., :3] = 1.0
    assert averaged_down(mask, 2).tolist() == [[[[1.0, 0.5, 0.0]] * 2]]
