"""img2img and filling in, in latents: what is kept, what is drawn anew, and where the walk begins."""

from dataclasses import replace

import pytest
import torch

from minidiff.data.emoji import emoji
from minidiff.recipes import emoji_latent, emoji_vae
from minidiff.recipes.latent_edit import filled_in, redrawn
from minidiff.recipes.recipe import build
from minidiff.recipes.run import train
from tests.ch12.test_latent_recipes import NET, VAE, ready


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """An autoencoder that learned a little, and a recipe whose net always says that x0 is 0: the mean picture."""
    folder = tmp_path_factory.mktemp("vae")
    train(build(replace(emoji_vae.RECIPE, presets={"cpu": VAE})), folder, steps=30, progress=False)
    run = build(replace(emoji_latent.RECIPE, presets={"cpu": NET}), vae=str(folder))
    return replace(emoji_latent.RECIPE, config=run.config), run


def nothing(x, t, **cond):
    """A net that draws the mean of all latents."""
    return torch.zeros_like(x)


PICTURE = emoji("test").pictures[:1]


def test_the_walk_of_an_edit_begins_at_the_noised_latents_and_takes_its_share_of_the_steps(model):
    recipe, _ = model
    seen = []

    def net(x, t, **cond):
        seen.append((x.clone(), float(torch.as_tensor(t).flatten()[0])))
        return torch.zeros_like(x)
    out = redrawn(recipe, net, PICTURE, 0.5, 200, steps=19, seed=3)
    assert out.shape == (200, 3, 32, 32) and len(seen) == 9  # 5 of 10 steps of Heun, two evaluations but for the last
    x, t = seen[0]
    assert t == pytest.approx(500)
    z = emoji_latent.encode(recipe.config, PICTURE)
    torch.testing.assert_close(x.mean(dim=0), 0.5 * z[0], rtol=0, atol=0.2)  # 4 standard errors are 0.14
    assert float((x - 0.5 * z).std()) == pytest.approx(0.5, rel=0.02)


def test_a_net_that_knows_the_picture_gives_it_back_and_another_one_its_own(model):
    recipe, _ = model
    z = emoji_latent.encode(recipe.config, PICTURE)
    own = emoji_latent.decode(recipe.config, z)
    same = redrawn(recipe, lambda x, t, **cond: z.expand_as(x), PICTURE, 0.7, 2)
    torch.testing.assert_close(same, own.expand(2, -1, -1, -1), rtol=1e-3, atol=1e-3)
    other = redrawn(recipe, nothing, PICTURE, 1.0, 1)
    torch.testing.assert_close(other, emoji_latent.decode(recipe.config, 0 * z), rtol=1e-3, atol=1e-3)


def test_strength_and_captions_reach_the_walk(model):
    recipe, run = model
    _, net = ready(run)
    red, blue, again = (redrawn(recipe, net, PICTURE, 0.8, 1, steps=5, caption=text, style="noto")
                        for text in ("heart", "dog", "heart"))
    assert (red - blue).abs().max() > 1e-4 and torch.equal(red, again)
    with pytest.raises(ValueError, match=r"strength must lie in \(0, 1\], got 0"):
        redrawn(recipe, net, PICTURE, 0, 1)


def mask():
    """Keep the left part of a picture, up to the middle of a square of the latents."""
    kept = torch.zeros(1, 1, 32, 32)
    kept[..., :14] = 1.0
    return kept


@pytest.mark.parametrize("repeats", [1, 2])
def test_kept_pixels_come_back_exactly_and_the_others_from_the_net(model, repeats):
    recipe, _ = model
    out = filled_in(recipe, nothing, PICTURE, mask(), 3, repeats=repeats, evaluations=6)
    assert torch.equal(out[..., :14], PICTURE[..., :14].expand(3, -1, -1, -1))
    z = emoji_latent.encode(recipe.config, PICTURE)
    share = torch.tensor([1.0, 1, 1, 0.5, 0, 0, 0, 0])
    expected = emoji_latent.decode(recipe.config, share * z)  # the net says 0 where it is drawn anew
    torch.testing.assert_close(out[..., 14:], expected[..., 14:].expand(3, -1, -1, -1), rtol=1e-3, atol=1e-3)


def test_the_net_sees_the_noised_picture_where_it_is_kept(model):
    recipe, _ = model
    seen = []

    def net(x, t, **cond):
        seen.append((x.clone(), float(torch.as_tensor(t).flatten()[0]) / 1000))
        return torch.zeros_like(x)
    filled_in(recipe, net, PICTURE, mask(), 300, evaluations=4)
    x, t = seen[2]
    assert t == pytest.approx(0.5)
    z = emoji_latent.encode(recipe.config, PICTURE)[0]
    torch.testing.assert_close(x.mean(dim=0)[..., :3], (1 - t) * z[..., :3], rtol=0, atol=0.15)
    torch.testing.assert_close(x.mean(dim=0)[..., 4:], 0 * z[..., 4:], rtol=0, atol=0.15)


def test_a_step_is_taken_at_least_once(model):
    with pytest.raises(ValueError, match="repeats must be at least 1, got 0"):
        filled_in(model[0], nothing, PICTURE, mask(), 1, repeats=0)
