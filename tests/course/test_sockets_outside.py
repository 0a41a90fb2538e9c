"""Sockets outside of the net: latents, guidance, conditions, answers of two kinds, a net beside the net."""

from dataclasses import replace
from functools import cache, partial

import pytest
import torch
from torch import nn

from minidiff.models.embedding import Embedding
from minidiff.models.labels import LabelEmbedding
from minidiff.models.layers import zero_init
from minidiff.models.unet import UNet, walk_down
from minidiff.process.denoiser import denoiser_of
from minidiff.process.targets import EPS
from minidiff.process.variance import hybrid_loss
from minidiff.recipes.recipe import build, load, sample
from minidiff.recipes.run import train
from tests.course.plugged import (  # noqa: F401 (plug is a fixture)
    PATH, PLAIN, draws, noise_of, plug, random_pictures, whole_way)
from tests.nets import awake, normal


# --- latents --------------------------------------------------------------------------------------------------------

class Autoencoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = nn.Conv2d(1, 4, 2, stride=2), nn.ConvTranspose2d(4, 1, 2, stride=2)

    def encode(self, x):
        return 3 * self.encoder(x)

    def decode(self, z):
        return self.decoder(z / 3)


def autoencoding(net, batch, generator):
    return (net.decode(net.encode(batch["x"])) - batch["x"]).square().mean(), {}


CODER = replace(PLAIN, name="coder", net=lambda config: Autoencoder(), loss=lambda config: autoencoding, draw=None)
read_once = cache(load)


def latents(config):
    _, coder = read_once(config["decoder"])
    z = coder.encode(random_pictures({"shape": [1, 4, 4]})[0]["x"])
    return {"x": z}, {"shape": list(z.shape[1:])}


def decoded(config):
    return draws(config, clip=False, decode=lambda net, z: read_once(config["decoder"], z.device)[1].decode(z))


def test_latents_are_decoded_by_the_checkpoint_that_the_description_names(plug, tmp_path):
    train(build(plug(CODER)), tmp_path / "coder", steps=2, progress=False)
    _, coder = load(tmp_path / "coder")
    recipe = plug(replace(PLAIN, name="latent", data=latents, draw=decoded, net=lambda config: UNet(
        config["shape"][0], **config["net"]), config={"decoder": ""}))
    run = build(recipe, decoder=str(tmp_path / "coder"))
    assert run.config["shape"] == [4, 2, 2] and run.config["decoder"] == str(tmp_path / "coder")
    train(run, tmp_path / "latent", steps=2, progress=False)
    read, net = load(tmp_path / "latent")
    pictures = sample(read, net, 3)
    z = sample(replace(read, draw=lambda config: draws(config, clip=False)), net, 3)
    assert pictures.shape == (3, 1, 4, 4) and z.shape == (3, 4, 2, 2)
    torch.testing.assert_close(pictures, coder.decode(z))


# --- guidance and conditions ----------------------------------------------------------------------------------------

def guided(weight, null):
    """A wrapper: uncond + weight (cond - uncond), as chapter 10 will have it."""
    def wrap(denoiser):
        def denoise(x, t, label):
            with_label, without = denoiser(x, t, label=label), denoiser(x, t, label=torch.full_like(label, null))
            return tuple(u + weight * (c - u) for c, u in zip(with_label, without))
        return denoise
    return wrap


def labelled(config):
    net = UNet(**config["net"])
    net.embed.extra["label"] = LabelEmbedding(10, config["net"]["width"])
    return net


def test_guidance_wraps_the_denoiser_and_clipping_comes_after_it():
    recipe = replace(PLAIN, draw=lambda config: draws(config, cond=lambda n, label: {"label": torch.full((n,), label)}))
    torch.manual_seed(0)
    net = awake(labelled({"net": {"channels": [8], "width": 16}})).eval()
    draw = partial(sample, recipe, net, 3, label=4)
    torch.testing.assert_close(draw(wrap=guided(1.0, 10)), draw(), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(draw(wrap=guided(0.0, 10)), sample(recipe, net, 3, label=10), rtol=1e-4, atol=1e-4)
    strong = draw(wrap=guided(40.0, 10))
    assert strong.abs().max() <= 1 and (strong - draw()).abs().max() > 1e-2


def test_another_number_is_told_to_a_net_like_a_time():
    """Frames a second, or the weight of guidance: an `Embedding` of its own, on the scale 0..1000 as the time is."""
    net = UNet(channels=(8,), width=16)
    net.embed.extra["fps"] = Embedding(16)
    net = awake(net).eval()
    heard = normal(3, 1, 4, 4), torch.tensor([5, 5, 5])
    slow, fast = (net(*heard, fps=torch.tensor([40.0, fps, 40.0])) for fps in (40.0, 41.0))
    torch.testing.assert_close(slow[[0, 2]], fast[[0, 2]])
    assert (slow - fast)[1].abs().max() > 1e-3
    recipe = replace(PLAIN, draw=lambda config: draws(config, cond=lambda n, fps: {"fps": torch.full((n,), 10 * fps)}))
    assert (sample(recipe, net, 2, fps=4.0) - sample(recipe, net, 2, fps=24.0)).abs().max() > 1e-3
    with pytest.raises(TypeError, match="fps"):
        sample(PLAIN, net, 2)


# --- answers of two kinds, and a net beside the net -----------------------------------------------------------------

def test_a_learned_variance_is_a_second_half_of_the_answer(plug, tmp_path):
    def loss(net, batch, generator):
        t = torch.randint(1, 51, (len(batch["x"]),), generator=generator)
        eps = torch.randn(batch["x"].shape, generator=generator)
        return hybrid_loss(net, batch["x"], t, eps, PATH), {}

    def noise(net, path):
        return denoiser_of(lambda x, t: net(x, t).chunk(2, dim=1)[0], path, EPS)
    recipe = plug(replace(PLAIN, name="variance", net=lambda config: UNet(out_channels=2, **config["net"]),
                          loss=lambda config: loss, draw=lambda config: draws(config, denoiser=noise)))
    _, net, pictures = whole_way(recipe, tmp_path)
    assert net(pictures, torch.tensor(5)).shape == (3, 2, 4, 4) and pictures.shape == (3, 1, 4, 4)


class Controlled(nn.Module):
    """A net and a copy of its way down that sees edges too; what the copy says is added to skips and middle."""

    def __init__(self, net):
        super().__init__()
        self.net, self.beside = net, UNet(image_channels=2, channels=(8, 8), width=16)
        self.doors = nn.ModuleList([zero_init(nn.Conv2d(8, 8, 1)) for _ in range(3)])

    def forward(self, x, t, edges):
        vector = self.beside.embed(torch.as_tensor(t).expand(len(x)))
        h, skips = walk_down(self.beside.down, self.beside.conv_in(torch.cat([x, edges], dim=1)), vector)
        return self.net(x, t, residuals=[door(r) for door, r in zip(self.doors, [*skips, h], strict=True)])


def test_a_net_beside_the_net_speaks_through_residuals(plug, tmp_path):
    def drawn_lines(n, edges):
        return {"edges": edges.expand(n, -1, -1, -1)}
    torch.manual_seed(0)
    net = awake(UNet(channels=(8, 8), width=16)).eval()
    control, recipe = Controlled(net).eval(), replace(PLAIN, draw=lambda config: draws(config, cond=drawn_lines))
    edges, plain = normal(1, 1, 4, 4), sample(PLAIN, net, 2)
    torch.testing.assert_close(sample(recipe, control, 2, edges=edges), plain)  # closed doors change nothing
    awake(control.doors)
    seen = [sample(recipe, control, 2, edges=by * edges) for by in (1.0, -1.0)]
    assert (seen[0] - plain).abs().max() > 1e-3 and (seen[0] - seen[1]).abs().max() > 1e-3

    def learns(net, batch, generator):
        return noise_of(partial(net, edges=batch["x"].sign()), batch, generator)
    run = build(plug(replace(PLAIN, name="control", net=lambda config: Controlled(awake(UNet(**config["net"]))),
                             loss=lambda config: learns, draw=lambda config: draws(config, cond=drawn_lines))))
    for p in run.net.net.parameters():
        p.requires_grad_(False)
    before = {name: p.clone() for name, p in run.net.named_parameters()}
    fitted, _ = train(run, tmp_path, steps=3, progress=False)
    moved = {name.split(".")[0] for name, p in fitted.net.named_parameters() if not torch.equal(p, before[name])}
    assert "doors" in moved and "net" not in moved
