"""Spectra, rates and clocks: each against a case whose answer is known."""

import math
import time

import pytest
import torch
from torch import nn

from minidiff.evaluation.rate import psnr_of, rate_distortion
from minidiff.evaluation.restoration import psnr
from minidiff.evaluation.spectrum import HIGHEST, band_edges, band_psnr, bands_of, radial_spectrum
from minidiff.evaluation.stages import kept_for_backward, timed
from minidiff.models.kl_vae import KLVAE
from minidiff.process.autoencoding import kl_diag
from tests.nets import awake, normal


def wave(H, W, down, across):
    """A picture (1, 1, H, W) of one cosine that goes through `down` and `across` periods: its mean square is 1/2."""
    y, x = torch.arange(H).double().view(-1, 1), torch.arange(W).double().view(1, -1)
    return torch.cos(2 * math.pi * (down * y / H + across * x / W))[None, None]


@pytest.mark.parametrize("H, W, down, across", [(32, 32, 4, 0), (24, 40, 3, 8), (24, 40, 0, 15), (40, 24, 9, 1)])
def test_a_pure_wave_has_all_its_power_in_the_band_of_its_frequency(H, W, down, across):
    edges = band_edges(6)
    counts = bands_of(H, W, edges).flatten().bincount()
    power = radial_spectrum(wave(H, W, down, across), edges) * counts / (H * W)
    frequency = math.hypot(down / H, across / W)
    own = sum(frequency >= edge for edge in edges[1:-1])
    assert float(power[own]) == pytest.approx(0.5) and float(power.sum() - power[own]) == pytest.approx(0, abs=1e-12)


def test_white_noise_has_its_variance_in_every_band_and_bands_add_up_to_the_mean_square():
    x, edges = 0.3 * normal(400, 2, 12, 20), band_edges(5)
    spectrum = radial_spectrum(x, edges)
    torch.testing.assert_close(spectrum, torch.full((5,), 0.09).double(), rtol=0.03, atol=0)
    counts = bands_of(12, 20, edges).flatten().bincount()
    assert float((spectrum * counts).sum() / 240) == pytest.approx(float(x.double().square().mean()))


def test_a_smooth_picture_loses_its_high_frequencies():
    x = normal(50, 1, 32, 32)
    smooth = nn.functional.interpolate(nn.functional.avg_pool2d(x, 2), scale_factor=2)
    before, after = (radial_spectrum(v, band_edges(4)) for v in (x, smooth))
    kept = after / before
    assert (kept.diff() < 0).all() and kept[0] > 0.6 and kept[-1] < 0.05


def test_the_psnr_of_a_white_error_is_the_same_in_all_bands_and_that_of_a_wave_is_in_one():
    truth = normal(300, 3, 16, 24)
    noisy, edges = truth + 0.1 * normal(300, 3, 16, 24, seed=2), band_edges(4)
    torch.testing.assert_close(band_psnr(noisy, truth, edges), torch.full((4,), psnr_of(noisy, truth)).double(), rtol=0,
                               atol=0.2)
    found = band_psnr(truth + 0.1 * wave(16, 24, 1, 1), truth, edges)
    assert found.argmin() == 0 and (found[1:] > 100).all()


def test_edges_are_rings_from_the_mean_to_the_corner_and_others_are_sentences():
    assert band_edges(2) == [0.0, HIGHEST / 2, HIGHEST] and bands_of(8, 8, band_edges(1)).unique().tolist() == [0]
    assert bands_of(8, 8, band_edges(2))[4, 4] == 1 and bands_of(8, 8, band_edges(2))[0, 0] == 0
    with pytest.raises(ValueError, match="a picture of 4 x 4 pixels has no frequency in band 1 of 9"):
        bands_of(4, 4, band_edges(9))
    with pytest.raises(ValueError, match="edges must reach from 0 to 0.7071 cycles a pixel, got 0 to 0.5"):
        bands_of(8, 8, [0, 0.5])


# --- rate and distortion --------------------------------------------------------------------------------------------

class Exact:
    """An autoencoder that keeps everything: latents are the pixels, with a standard deviation of 0.1."""

    def encode(self, x):
        return x, torch.full_like(x, 2 * math.log(0.1))

    def decode(self, z):
        return z


def test_rate_and_distortion_of_an_exact_code_are_known():
    x = normal(200, 1, 8, 12).clamp(-1, 1)
    found = rate_distortion(Exact(), x, torch.Generator().manual_seed(0), batch=77)
    kl = kl_diag(x.double(), torch.full_like(x, 2 * math.log(0.1)).double()).mean()
    assert found["kl"] == pytest.approx(float(kl)) and found["rate"] == pytest.approx(float(kl) / 96 / math.log(2))
    assert found["mse"] == pytest.approx(0.01, rel=0.03) and found["psnr"] == pytest.approx(
        10 * math.log10(4 / found["mse"]))
    assert found["psnr_of_means"] == math.inf
    assert found["posterior_std"] == pytest.approx(0.1 / float(x.std()), rel=1e-4)


def test_the_bound_on_the_bits_is_the_rate_and_the_entropy_of_normal_pixels():
    """Where bins are narrow, -log2 p of a pixel is log2(sqrt(2 pi e mse) / width of a bin)."""
    x = (normal(100, 1, 8, 12) * 0.3).clamp(-0.8, 0.8)
    found = rate_distortion(Exact(), x, torch.Generator().manual_seed(0))
    pixels = math.log2(math.sqrt(2 * math.pi * math.e * found["mse"]) / (2 / 255))
    assert found["bits"] == pytest.approx(found["rate"] + pixels, rel=0.005)


def test_the_psnr_of_a_set_is_that_of_its_mean_error():
    x, truth = normal(4, 3, 5, 7), normal(4, 3, 5, 7, seed=2)
    each = psnr(x, truth)
    assert psnr_of(x, truth) == pytest.approx(float(10 * torch.log10(4 / (4 / 10 ** (each / 10)).mean())), rel=1e-5)


def test_rate_and_distortion_of_a_net_depend_on_the_generator_alone():
    net = awake(KLVAE(3, 4, (8,), patch=2)).eval()
    x = normal(3, 3, 8, 8)
    one, again, other = (rate_distortion(net, x, torch.Generator().manual_seed(s)) for s in (0, 0, 1))
    assert one == again and one["kl"] == other["kl"] and one["mse"] != other["mse"]


# --- clocks and memory ----------------------------------------------------------------------------------------------

class Slow(nn.Module):
    """A layer that takes its time."""

    def __init__(self, seconds):
        super().__init__()
        self.seconds = seconds

    def forward(self, x):
        time.sleep(self.seconds)
        return x


def test_the_clock_counts_calls_and_seconds_of_each_part_and_leaves_no_hook():
    net = nn.Sequential(Slow(0.02), Slow(0.0))
    with timed(whole=net, first=net[0], last=net[1]) as parts:
        net(torch.zeros(1)), net(torch.zeros(1))
    net(torch.zeros(1))
    assert [parts[name]["calls"] for name in ("whole", "first", "last")] == [2, 2, 2]
    assert 0.04 <= parts["first"]["seconds"] <= parts["whole"]["seconds"] and parts["last"]["seconds"] < 0.02
    assert not net._forward_hooks and not net[0]._forward_pre_hooks


def test_what_is_kept_for_the_way_back_is_counted_once():
    w = torch.ones(10, requires_grad=True)
    x = torch.ones(10)
    assert kept_for_backward(lambda: (w * x).sum()) == 40  # x, for the slope of w
    assert kept_for_backward(lambda: ((w * x) * x).sum()) == 40  # x again
    assert kept_for_backward(lambda: (w * x).square().sum()) == 80  # and w x
    assert kept_for_backward(lambda: (w + x).sum()) == 0
