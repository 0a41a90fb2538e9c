"""How the towers, the prior and the decoder are fed: what is said of a picture, and which other one it fits as well."""

from dataclasses import replace

import pytest
import torch

from minidiff.data.emoji import emoji
from minidiff.data.shapes import shapes
from minidiff.data.tokenizer import PAD, START
from minidiff.models.prior import Prior
from minidiff.recipes import clip_decoder, clip_prior, tiny_clip
from minidiff.recipes.captions import as_text, tokenizer
from minidiff.recipes.recipe import build, sample
from minidiff.recipes.tiny_clip import RECIPE, embed_captions, embed_pictures, known, shifted, some_text
from minidiff.training.fit import fit

TINY = {"net": {"dim": 8, "channels": [8, 16], "text": {"width": 16, "depth": 1, "heads": 2}}, "batch": 16,
        "fit": {"lr": 3e-3, "warmup": 1}}


@pytest.fixture(scope="module")
def run():
    return build(replace(RECIPE, presets={"cpu": TINY}), data="emoji", scenes=40)


@pytest.fixture(scope="module")
def whole(run):
    return tiny_clip.pairs(run.config)[0]


def test_pairs_of_one_caption_are_one_thing_and_the_held_out_ones_are_not_there(run, whole):
    seen, scenes, held = emoji("train"), shapes(40, seed=run.config["scene_seed"]), emoji("test")
    names = [*seen.captions, *scenes.captions]
    assert len(whole["x"]) == len(names) and torch.equal(whole["x"][-40:], scenes.pictures)
    things = whole["thing"].tolist()
    assert {(names[i], things[i]) for i in range(len(names))} == dict(
        zip(names, things, strict=True)).items() and len(set(things)) == len(set(names))
    words = {style: tokenizer(run.config).encode(style) for style in ("noto", "twemoji", "fluent", "shapes")}
    said = [*seen.styles, *["shapes"] * 40]
    assert [[w] for w in whole["word"].tolist()] == [words[style] for style in said]
    pairs = set(zip(seen.captions, seen.styles, strict=True))
    assert not pairs & set(zip(held.captions, held.styles, strict=True))


@pytest.mark.parametrize("told", [True, False])
def test_a_text_holds_the_name_and_the_style_only_when_it_is_told(run, whole, told):
    config = run.config | {"nameless": 0.0}
    rows = {name: x[-5:] for name, x in whole.items()}  # scenes, whose whole caption is the name
    tokens = some_text(config, rows, torch.Generator().manual_seed(0), told)
    captions = shapes(40, seed=config["scene_seed"]).captions[-5:]
    assert as_text(config, tokens) == [f"shapes {c}" if told else c for c in captions]
    assert tokens.shape == (5, config["length"]) and (tokens[:, 0] == START).all()
    assert told or (tokens[:, -1] == PAD).all()


def test_shifted_pictures_are_whole_pixels_away_and_their_border_is_repeated():
    x = torch.arange(36.0).view(1, 1, 6, 6).repeat(50, 2, 1, 1)
    moved = shifted(x, 2, torch.Generator().manual_seed(0))
    assert moved.shape == x.shape and torch.equal(moved[:, 0], moved[:, 1])
    steps = set()
    for picture in moved[:, 0]:
        found = [(dy, dx) for dy in range(-2, 3) for dx in range(-2, 3) if torch.equal(picture, torch.stack(
            [x[0, 0, min(max(i + dy, 0), 5)][[min(max(j + dx, 0), 5) for j in range(6)]] for i in range(6)]))]
        assert len(found) == 1
        steps.add(found[0])
    assert len(steps) > 15 and torch.equal(shifted(x, 0, torch.Generator()), x)


def test_ids_are_equal_exactly_where_the_same_is_said(run, monkeypatch):
    """The loss hands `info_nce` the thing, and the thing with its style where the style is told."""
    ids = []
    monkeypatch.setattr(tiny_clip, "info_nce", lambda *args: ids.append(args[-1]) or args[0].sum())
    batch = {"x": torch.zeros(4, 3, 32, 32), "thing": torch.tensor([5, 5, 5, 6]), "word": torch.tensor([9, 9, 8, 9]),
             "tokens": torch.full((4, 28), PAD), "parts": torch.zeros(4, 28, dtype=torch.long)}
    for told, expected in ((1.0, [[0, 1], [2], [3]]), (0.0, [[0, 1, 2], [3]])):
        tiny_clip.contrastive_loss(run.config | {"told": told})(run.net, batch, torch.Generator().manual_seed(0))
        found = ids.pop().tolist()
        assert [[i for i in range(4) if found[i] == one] for one in dict.fromkeys(found)] == expected


def test_unknown_words_are_left_out_of_a_caption(run):
    net = run.net.eval()
    assert known(run.config, ["noto zebra qwertyuiop heart"]) == ["noto zebra heart"]
    one, two = embed_captions(run.config, net, ["red qwertyuiop heart", "red heart"])
    assert torch.equal(one, two)


def test_a_few_steps_learn_and_the_scale_stays_bounded(run):
    fitted = fit(run.net, run.loss_fn, run.batch_at, steps=30, seed=0, lr=3e-3, warmup=1)
    assert sum(fitted.losses[-5:]) < sum(fitted.losses[:5]) - 0.5 and float(fitted.net.scale.detach()) <= 100


# --- prior and decoder ----------------------------------------------------------------------------------------------

def test_the_prior_starts_at_zero_and_reads_its_text():
    torch.manual_seed(0)
    net, x, t = Prior(8, width=16), torch.randn(3, 8), torch.tensor([1.0, 500.0, 999.0])
    assert torch.equal(net(x, t, text=x), torch.zeros(3, 8))
    for p in net.parameters():
        torch.nn.init.normal_(p, std=0.2)
    assert not torch.allclose(net(x, t, text=x), net(x, t, text=-x), atol=1e-3)
    assert torch.allclose(net(x, t, text=x)[1:2], net(x[1:2], t[1:2], text=x[1:2]), atol=1e-5)


def test_dropped_vectors_are_zero_at_the_rate_and_the_others_as_they_were():
    x = torch.ones(4000, 3)
    kept = clip_prior.dropped(x, 0.25, torch.Generator().manual_seed(0))
    rows = kept.sum(dim=1)
    assert set(rows.tolist()) == {0.0, 3.0} and abs((rows == 0).double().mean() - 0.25) < 0.02


@pytest.fixture
def small_clip(run, monkeypatch):
    """The committed CLIP is a small one that learned nothing."""
    recipe = replace(RECIPE, config=run.config | {"scenes": 40})
    for module in (clip_prior, clip_decoder):
        monkeypatch.setattr(module, "committed_clip", lambda: (recipe, run.net.eval()))
    return recipe, run.net


def test_prior_and_decoder_draw_what_they_were_asked_for(small_clip):
    config, net = small_clip[0].config, small_clip[1]
    small = {"net": {"width": 16, "depth": 1}, "batch": 32, "fit": {}}
    made = build(replace(clip_prior.RECIPE, presets={"cpu": small}), data="emoji", copies=1)
    batch = made.batch_at(0)
    assert batch["x"].shape == batch["text"].shape == (32, 8)
    assert torch.allclose(batch["x"].norm(dim=1), torch.full((32,), 8 ** 0.5), atol=1e-4)
    loss, _ = made.loss_fn(made.net, batch, torch.Generator().manual_seed(0))
    assert 0.8 < loss.detach() < 1.2  # the net says 0, of numbers of size 1
    torch.nn.init.normal_(made.net.last.weight)
    recipe = replace(clip_prior.RECIPE, config=made.config)
    first = sample(recipe, made.net, 3, caption="red heart", style="noto", steps=3)
    again = sample(recipe, made.net, 2, text=embed_captions(config, net, ["noto red heart"] * 2), steps=3)
    assert torch.allclose(first.norm(dim=1), torch.ones(3), atol=1e-5) and torch.allclose(first[:2], again, atol=1e-5)
    with pytest.raises(ValueError, match=r"text must be \(2, 8\)"):
        sample(recipe, made.net, 2, text=torch.zeros(3, 8))

    small = {"net": {"channels": [8, 8], "blocks": 1, "patch": 2, "width": 16}, "batch": 8, "fit": {}}
    drawn = build(replace(clip_decoder.RECIPE, presets={"cpu": small}), data="emoji")
    assert drawn.loss_fn(drawn.net, drawn.batch_at(0), torch.Generator().manual_seed(0))[0].isfinite()
    decoder = (replace(clip_decoder.RECIPE, config=drawn.config), drawn.net)
    pictures, vectors = clip_decoder.unclip((recipe, made.net), decoder, 2, caption="dog")
    assert pictures.shape == (2, 3, 32, 32) and vectors.shape == (2, 8)
    held = embed_pictures(net, emoji("test").pictures[:2])
    assert torch.allclose(clip_decoder.asked_for(2, drawn.config)["picture"], 8 ** 0.5 * held, atol=1e-5)
    with pytest.raises(ValueError, match=r"picture must be \(2, 8\)"):
        clip_decoder.asked_for(2, drawn.config, torch.zeros(2, 9))
