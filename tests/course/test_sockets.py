"""The sockets that later chapters plug into: each takes something new here, and no older file is touched for it."""

from dataclasses import replace
from functools import cache, partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from minidiff.models.embedding import Embedding
from minidiff.models.labels import LabelEmbedding
from minidiff.models.layers import zero_init
from minidiff.models.unet import UNet, walk_down
from minidiff.process.denoiser import clipped, denoiser_of
from minidiff.process.losses import denoising_loss
from minidiff.process.path import discrete_path
from minidiff.process.schedules import alpha_bar_of, linear_betas
from minidiff.process.targets import EPS
from minidiff.process.variance import hybrid_loss
from minidiff.recipes.recipe import Draw, Recipe, build, load, sample
from minidiff.recipes.run import save_model, train
from minidiff.samplers.ancestral import ANCESTRAL
from tests.nets import awake, normal

PATH = discrete_path(alpha_bar_of(linear_betas(50, 1e-3, 0.3)))


def random_pictures(config, n=32):
    """n pictures of config["shape"] and what they add to the description: nothing."""
    return {"x": normal(n, *config["shape"]).clamp(-1, 1)}, {}


def noise_of(net, batch, generator):
    return denoising_loss(net, batch["x"], PATH, EPS, generator)


def draws(config, **how):
    return Draw(**{"path": PATH, "denoiser": lambda net, path: denoiser_of(net, path, EPS), "shape": config["shape"],
                   "sampler": ANCESTRAL, "steps": 3} | how)


def preset(**net):
    return {"cpu": {"net": net, "batch": 8, "fit": {"lr": 1e-3, "warmup": 1}}}


PLAIN = Recipe("plain", random_pictures, net=lambda config: UNet(config["shape"][0], **config["net"]),
               loss=lambda config: noise_of, draw=draws, presets=preset(channels=[8, 8], width=16),
               config={"shape": [1, 4, 4]})


PLUGGED = {}


@pytest.fixture
def plug(recipes_folder):
    """A function that makes a recipe one of the course's, by a file of its own in the folder of recipes."""
    def plugged(recipe):
        PLUGGED[recipe.name] = recipe
        (recipes_folder / f"{recipe.name.replace('-', '_')}.py").write_text(
            f"from tests.course.test_sockets import PLUGGED\n\nRECIPE = PLUGGED[{recipe.name!r}]\n")
        return recipe
    return plugged


def whole_way(recipe, folder, n=3, **cond):
    """From the recipe through training and its file to n pictures: (recipe, net, pictures)."""
    run = build(recipe)
    fitted, _ = train(run, folder, steps=2, progress=False)
    read, net = load(folder)
    assert read.config == run.config
    saved = fitted.ema.state_dict()
    for name, value in net.state_dict().items():
        torch.testing.assert_close(value, saved[name], rtol=0, atol=1e-3 * float(saved[name].abs().max()))
    pictures = sample(read, net, n, **cond)
    assert pictures.isfinite().all()
    return read, net, pictures


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
