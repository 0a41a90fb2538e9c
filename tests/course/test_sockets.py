"""The sockets that later chapters plug into: each takes something new here, and no older file is touched for it."""

from dataclasses import replace
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from minidiff.models.unet import UNet
from minidiff.process.denoiser import clipped, denoiser_of
from minidiff.process.targets import EPS
from minidiff.recipes.recipe import build, load, sample
from minidiff.recipes.run import save_model
from tests.course.plugged import (  # noqa: F401 (plug is a fixture)
    PATH, PLAIN, draws, noise_of, plug, preset, random_pictures, whole_way)
from tests.nets import awake, normal


# --- attention with a context ---------------------------------------------------------------------------------------

class CrossAttention(nn.Module):
    """Positions ask, tokens (B, L, 5) answer: the smallest layer that reads its context."""

    def __init__(self, channels):
        super().__init__()
        self.q, self.k, self.v, self.o = (nn.Linear(of, channels) for of in (channels, 5, 5, channels))

    def forward(self, h, context):
        asked = self.q(h.flatten(2).mT)
        answer = F.scaled_dot_product_attention(asked, self.k(context), self.v(context))
        return h + self.o(answer).mT.reshape(h.shape)


def tokens_asked_for(n, tokens):
    return {"context": tokens.expand(n, -1, -1)}


def test_attention_to_a_context_goes_through_a_whole_recipe(plug, tmp_path):
    def told_noise(net, batch, generator):
        return noise_of(partial(net, context=batch["tokens"]), batch, generator)
    recipe = plug(replace(
        PLAIN, name="told", data=lambda config: (random_pictures(config)[0] | {"tokens": normal(32, 7, 5)}, {}),
        net=lambda config: awake(UNet(make_attention=CrossAttention, **config["net"])),
        loss=lambda config: told_noise, draw=lambda config: draws(config, cond=tokens_asked_for)))
    _, net, one = whole_way(recipe, tmp_path, tokens=normal(1, 7, 5))
    read, _ = load(tmp_path)
    assert torch.equal(sample(read, net, 3, tokens=normal(1, 7, 5)), one)
    assert (sample(read, net, 3, tokens=normal(1, 2, 5, seed=2)) - one).abs().max() > 1e-4
    each = torch.cat([normal(1, 7, 5), normal(1, 7, 5, seed=2)])
    assert torch.allclose(sample(read, net, 2, tokens=each)[:1], one[:1], atol=1e-4)


# --- a net of another make ------------------------------------------------------------------------------------------

class Transformer(nn.Module):
    """A net of patches, with no convolution, no `embed` and weights of five axes."""

    def __init__(self, width=8):
        super().__init__()
        self.width, self.inside = width, nn.Linear(4, width)
        self.place = nn.Parameter(torch.zeros(1, 1, 2, 2, width))
        self.block = nn.TransformerEncoderLayer(width, 2, 16, dropout=0.0, batch_first=True)
        self.outside = nn.Linear(width, 4)

    def forward(self, x, t):
        tokens = self.inside(F.pixel_unshuffle(x, 2).permute(0, 2, 3, 1))  # (B, 2, 2, 4) -> (B, 2, 2, width)
        tokens = tokens + self.place[0] + (t / 1000).reshape(-1, 1, 1, 1).to(x)
        tokens = self.block(tokens.flatten(1, 2)).unflatten(1, (2, 2))
        return F.pixel_shuffle(self.outside(tokens).permute(0, 3, 1, 2), 2)


def test_a_net_without_embed_is_trained_kept_and_drawn_from(plug, tmp_path):
    recipe = plug(replace(PLAIN, name="patches", net=lambda config: Transformer(**config["net"]),
                          presets=preset(width=12)))
    _, net, pictures = whole_way(recipe, tmp_path)
    assert net.width == 12 and not hasattr(net, "embed") and pictures.shape == (3, 1, 4, 4)


# --- films ----------------------------------------------------------------------------------------------------------

class Frames(nn.Module):
    """A net of pictures as one of films: frames are folded into the batch, each with its time."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x, t):
        B, frames = x.shape[:2]
        t = t.reshape(t.shape + (1,) * (2 - t.ndim)).expand(B, frames)
        return self.net(x.flatten(0, 1), t.flatten()).unflatten(0, (B, frames))


@pytest.mark.parametrize("B, frames", [(2, 5), (3, 3)])
def test_frames_with_times_of_their_own_are_mixed_and_denoised_one_by_one(B, frames):
    x0, eps = normal(B, frames, 1, 4, 4), normal(B, frames, 1, 4, 4, seed=2)
    t = torch.randint(1, 51, (B, frames), generator=torch.Generator().manual_seed(3))
    net = awake(UNet(channels=(8,), width=16)).eval()
    film, picture = (clipped(denoiser_of(of, PATH, EPS), PATH) for of in (Frames(net), net))
    x_t = PATH.mix(x0, eps, t)
    both = film(x_t, t)
    for b in range(B):
        torch.testing.assert_close(x_t[b], PATH.mix(x0[b], eps[b], t[b]))
        for whole, part in zip(both, picture(x_t[b], t[b])):
            torch.testing.assert_close(whole[b], part, rtol=1e-4, atol=1e-4)


def test_films_are_trained_kept_and_drawn(plug, tmp_path):
    recipe = plug(replace(PLAIN, name="films", net=lambda config: Frames(UNet(**config["net"])),
                          loss=lambda config: film_loss, config={"shape": [3, 1, 4, 4]}))
    _, _, films = whole_way(recipe, tmp_path)
    assert films.shape == (3, 3, 1, 4, 4)


def film_loss(net, batch, generator):
    """The error of the noise where each frame has a time of its own."""
    x0 = batch["x"]
    t = torch.randint(1, 51, x0.shape[:2], generator=generator)
    eps = torch.randn(x0.shape, generator=generator)
    return (net(PATH.mix(x0, eps, t), PATH.net_time(t)) - eps).square().mean(), {}


def test_a_wrapper_gives_each_frame_a_time_of_its_own():
    """The first frame stays the one that is known, at time 0, while the others are walked: what a film goes on with."""
    known = normal(1, 1, 4, 4).clamp(-1, 1)
    heard = []

    def net(x, t):
        heard.append(t)
        return 0.3 * x

    def going_on(denoiser):
        def denoise(x, t):
            own = t.expand(x.shape[:2]).clone()
            own[:, 0] = 1
            x = torch.cat([PATH.mix(known, 0 * known, 1).expand(len(x), 1, -1, -1, -1), x[:, 1:]], dim=1)
            return denoiser(x, own)
        return denoise
    recipe = replace(PLAIN, config={"shape": [3, 1, 4, 4]},
                     draw=lambda config: draws(config, clip=False))
    films = sample(recipe, net, 2, wrap=going_on)
    assert films.shape == (2, 3, 1, 4, 4) and films.isfinite().all()
    assert heard[0].tolist() == [[20.0, 1000.0, 1000.0]] * 2
    own, x = heard[-1] / 20, PATH.mix(known, 0 * known, 1)
    x0, _ = denoiser_of(net, PATH, EPS)(x[None], own[:1, :1].long())
    torch.testing.assert_close(films[:, 0], x0[0].expand(2, -1, -1, -1))


# --- several nets, and nets of other numbers ------------------------------------------------------------------------

def test_two_nets_share_one_file_and_one_of_them_decodes(plug, tmp_path):
    def nets(config):
        return nn.ModuleDict({"walker": UNet(**config["net"]), "decoder": nn.Conv2d(1, 3, 1)})

    def loss(net, batch, generator):
        return noise_of(net["walker"], batch, generator)[0] + net["decoder"](batch["x"]).square().mean(), {}
    recipe = plug(replace(
        PLAIN, name="two-nets", net=nets, loss=lambda config: loss, draw=lambda config: draws(
            config, denoiser=lambda net, path: denoiser_of(net["walker"], path, EPS),
            decode=lambda net, x: net["decoder"](x))))
    _, net, pictures = whole_way(recipe, tmp_path)
    codes = sample(replace(PLAIN, draw=draws), net["walker"], 3)
    torch.testing.assert_close(pictures, net["decoder"](codes), rtol=1e-4, atol=1e-5)


class Coarse(nn.Module):
    """A net whose weights are whole numbers of eight bits and one scale."""

    def __init__(self):
        super().__init__()
        self.register_buffer("codes", torch.zeros(16, 16, dtype=torch.int8))
        self.register_buffer("scale", torch.tensor(1.0))

    def forward(self, x, t):
        return F.linear(x.flatten(1), self.scale * self.codes.float()).view_as(x)


def test_weights_of_eight_bits_are_kept_bit_by_bit(plug, tmp_path):
    recipe = plug(replace(PLAIN, name="coarse", net=lambda config: Coarse()))
    net = Coarse()
    net.codes.copy_(torch.randint(-128, 128, (16, 16), generator=torch.Generator().manual_seed(0)))
    net.scale.fill_(3e-9)  # nothing in half precision
    config = build(replace(recipe, net=lambda config: nn.Linear(1, 1))).config
    save_model(tmp_path / "model.safetensors", net, config)
    read, again = load(tmp_path)
    assert again.codes.dtype == torch.int8 and torch.equal(again.codes, net.codes) and again.scale == net.scale
    assert torch.equal(sample(read, again, 2), sample(read, net, 2))
