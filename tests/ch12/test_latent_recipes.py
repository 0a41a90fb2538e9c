"""emoji-vae and emoji-latent: the latents of one are what the other learns, normalised once each way."""

from dataclasses import replace

import pytest
import torch

from minidiff.data.emoji import emoji
from minidiff.models.kl_vae import means, pictures_of
from minidiff.process.guidance import cfg
from minidiff.process.latents import measured
from minidiff.recipes import captions, emoji_latent, emoji_text, emoji_vae
from minidiff.recipes.recipe import build, load, sample
from minidiff.recipes.run import train
from minidiff.training.errors import CheckpointError
from minidiff.training.fit import fit
from tests.nets import awake

VAE = {"net": {"latent": 4, "channels": [8, 16], "blocks": 1, "patch": 2}, "batch": 16,
       "fit": {"lr": 5e-3, "warmup": 3}}
NET = {"net": {"channels": [8, 16], "blocks": 1, "patch": 1, "width": 32, "attention": [0, 1], "reads": "self+cross",
               "text": {"width": 16, "depth": 1, "heads": 2}}, "batch": 16, "fit": {"lr": 3e-3, "warmup": 5}}


@pytest.fixture(scope="module")
def vae(tmp_path_factory):
    """A folder with a small autoencoder that learned a little."""
    folder = tmp_path_factory.mktemp("vae")
    train(build(replace(emoji_vae.RECIPE, presets={"cpu": VAE})), folder, steps=60, progress=False)
    return folder


@pytest.fixture(scope="module")
def run(vae):
    return build(replace(emoji_latent.RECIPE, presets={"cpu": NET}), vae=str(vae))


def ready(run):
    """(recipe, net) as `load` gives them, of a net that is awake."""
    torch.manual_seed(0)
    recipe = replace(emoji_latent.RECIPE, config=run.config)
    return recipe, awake(recipe.net(run.config)).eval()


# --- emoji-vae ------------------------------------------------------------------------------------------------------

def test_the_autoencoder_learns_to_bring_pictures_back(vae):
    recipe, net = load(vae)
    assert recipe.config["data"] == "emoji" and recipe.config["shape"] == [3, 32, 32]
    held = emoji("test").pictures
    error = (pictures_of(net, means(net, held)) - held).square().mean()
    grey = (held - held.mean(dim=(0, 2, 3), keepdim=True)).square().mean()
    assert error < 0.7 * grey


def test_its_loss_is_that_of_moved_pictures_and_of_a_drawn_code():
    tiny = replace(emoji_vae.RECIPE, presets={"cpu": VAE})
    run, seen = build(tiny), {}
    batch = run.batch_at(0)

    def net(x, eps):
        seen.update(x=x, eps=eps)
        return torch.zeros_like(x), torch.zeros_like(eps), torch.zeros_like(eps)
    loss, logs = run.loss_fn(net, batch, torch.Generator().manual_seed(0))
    assert float(loss) == pytest.approx(float(seen["x"].square().mean())) and logs["kl"] == 0
    assert seen["eps"].shape == (16, 4, 8, 8) and abs(seen["eps"].std() - 1) < 0.05
    assert not torch.equal(seen["x"], batch["x"]) and seen["x"].shape == batch["x"].shape
    heavier = build(tiny, weight=1e3)
    torch.manual_seed(0)
    one = awake(tiny.net(run.config))
    assert heavier.loss_fn(one, batch, torch.Generator().manual_seed(0))[0] > run.loss_fn(
        one, batch, torch.Generator().manual_seed(0))[0]


def test_a_heavy_weight_makes_the_posterior_collapse():
    """With the KL worth more than any picture the code says nothing, and the decoder draws one picture for all."""
    kl = {}
    for weight in (1e-4, 1e3):
        run = build(replace(emoji_vae.RECIPE, presets={"cpu": VAE}), weight=weight)
        net = fit(run.net, run.loss_fn, run.batch_at, steps=40, **run.fit).net
        kl[weight] = emoji_vae.figures(net)["held_out"]["kl"]
    assert kl[1e3] < 1 and kl[1e-4] > 100


def test_the_figures_of_an_autoencoder_are_those_of_its_latents(vae):
    _, net = load(vae)
    found = emoji_vae.figures(net)
    z = means(net, emoji("train").pictures)
    assert found["latent"]["std"][0] == pytest.approx(float(z.std()), rel=1e-3)
    assert found["latent"]["mean_per_channel"] == pytest.approx(z.mean(dim=(0, 2, 3)).tolist(), abs=1e-4)
    assert len(found["latent"]["std_per_channel"]) == 4
    assert found["held_out"]["psnr"] <= found["held_out"]["psnr_of_means"] + 0.1


# --- emoji-latent ---------------------------------------------------------------------------------------------------

def test_the_net_learns_normalised_latents_of_the_pictures_of_emoji_text(run, vae):
    """Their standard deviation is 1: a scale that is left out, or applied twice, is seen here."""
    tensors, facts = emoji_latent.latents(run.config)
    pictures, _ = emoji_text.pictures(run.config)
    assert all(torch.equal(tensors[name], pictures[name]) for name in ("tokens", "parts", "style"))
    u = tensors["x"].transpose(0, 1).flatten(1)
    torch.testing.assert_close(u.std(dim=1), torch.ones(4), rtol=1e-3, atol=0)
    torch.testing.assert_close(u.mean(dim=1), torch.zeros(4), rtol=0, atol=1e-3)
    z = means(load(vae)[1], pictures["x"])
    torch.testing.assert_close(emoji_latent.normaliser(facts | run.config).restore(tensors["x"]), z, rtol=1e-3,
                               atol=1e-4)
    assert run.config["shape"] == [4, 8, 8] and measured(z).scale == run.config["latent_scale"]


def test_what_is_encoded_and_decoded_is_the_autoencoders_own_picture(run, vae):
    """Through both ends of the pipeline, and so through the normaliser once each way."""
    _, net = load(vae)
    held = emoji("test").pictures[:5]
    u = emoji_latent.encode(run.config, held)
    assert 0.7 < u.std() < 1.4
    recipe, _ = ready(run)
    back = recipe.draw(recipe.config).decode(None, u)
    torch.testing.assert_close(back, pictures_of(net, means(net, held)), rtol=1e-3, atol=1e-3)


def test_a_grey_picture_stays_as_grey_as_the_autoencoder_leaves_it(run, vae):
    """Pictures go in as -1..1: one that went in as 0..1 would come back washed out."""
    grey = torch.zeros(1, 3, 32, 32)
    _, net = load(vae)
    own = pictures_of(net, means(net, grey)).mean()
    assert abs(emoji_latent.decode(run.config, emoji_latent.encode(run.config, grey)).mean() - own) < 1e-3


def test_it_learns_is_read_again_and_draws_pictures_of_pixels(run, vae, tmp_path):
    fitted, record = train(run, tmp_path, steps=40, progress=False)
    assert sum(fitted.losses[-8:]) < 0.95 * sum(fitted.losses[:8])
    assert record["vae"] == str(vae) and len(record["vae_digest"]) == 16
    recipe, net = load(tmp_path)
    few, more = sample(recipe, net, 2, steps=3), sample(recipe, net, 3, steps=3, batch=2)
    assert few.shape == (2, 3, 32, 32) and few.abs().max() <= 1
    torch.testing.assert_close(more[:2], few, rtol=1e-3, atol=1e-3)
    assert torch.equal(sample(recipe, net, 2, steps=3), few)  # bit by bit, from the same seed


def test_nothing_is_clipped_on_the_way(run):
    recipe, net = ready(run)
    assert not recipe.draw(recipe.config).clip
    ends = []
    sample(replace(recipe, draw=lambda config: replace(recipe.draw(config), decode=lambda net, x: ends.append(x) or x)),
           lambda x, t, **cond: 3 * torch.ones_like(x), 2, steps=3)
    torch.testing.assert_close(ends[0], torch.full_like(ends[0], 3.0))  # the net always says x0 = 3


def test_captions_and_guidance_reach_the_latents(run):
    recipe, net = ready(run)
    red, blue = (sample(recipe, net, 2, steps=3, caption=text, style="noto") for text in ("red heart", "blue star"))
    assert (red - blue).abs().max() > 1e-4
    null = recipe.draw(recipe.config).null
    free = [sample(recipe, net, 2, steps=3, caption=text, wrap=lambda d: cfg(d, 0.0, null)) for text in ("dog", "cat")]
    assert torch.equal(*free)


def test_the_text_is_read_at_several_resolutions():
    for preset in emoji_latent.RECIPE.presets.values():
        levels = range(len(preset["net"]["channels"]))
        assert set(preset["net"]["attention"]) == set(levels) and len(levels) > 1 and preset["net"]["patch"] == 1


def test_another_autoencoder_than_that_of_the_training_is_refused(run, vae, tmp_path):
    other = build(replace(emoji_vae.RECIPE, presets={"cpu": VAE}), seed=1)
    train(other, tmp_path, steps=1, progress=False)
    config = run.config | {"vae": str(tmp_path)}
    with pytest.raises(CheckpointError, match="were learned in the autoencoder .* with the digest .*, and the one"):
        emoji_latent.draw(config)
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        emoji_latent.draw(config | {"vae": str(tmp_path / "nothing")})


def test_a_model_that_is_no_autoencoder_is_refused(run, tmp_path):
    text = build(replace(emoji_text.RECIPE, presets={"cpu": NET | {"net": NET["net"] | {"patch": 4}}}))
    train(text, tmp_path, steps=1, progress=False)
    with pytest.raises(CheckpointError, match="is of the recipe emoji-text, which is no autoencoder of pictures"):
        emoji_latent.autoencoder(str(tmp_path))


def test_the_nets_of_both_presets_fit_into_a_repository(run):
    for recipe, config in ((emoji_vae.RECIPE, {"shape": [3, 32, 32]}), (emoji_latent.RECIPE, run.config)):
        nets = {preset: recipe.net(recipe.config | config | {"net": chosen["net"]})
                for preset, chosen in recipe.presets.items()}
        sizes = {preset: sum(p.numel() for p in net.parameters()) for preset, net in nets.items()}
        assert 2 * sizes["cpu"] <= 12e6 and sizes["cpu"] < sizes["cuda"]
    assert captions.tokens_of(run.config, ["red heart"]).shape == (1, run.config["length"])
