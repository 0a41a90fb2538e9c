"""The recipes that draw from captions: what they train on, which words they drop, what they can be asked for."""

from dataclasses import replace
from functools import partial

import pytest
import torch

from minidiff.data.emoji import emoji
from minidiff.data.shapes import shapes
from minidiff.data.tokenizer import END, PAD, START
from minidiff.process.guidance import cfg
from minidiff.recipes import captions, emoji_text, shapes_text
from minidiff.recipes.recipe import build, load, sample
from minidiff.recipes.run import train
from tests.nets import awake

TINY = {"net": {"channels": [8, 16], "blocks": 1, "patch": 4, "width": 32, "attention": [1], "reads": "self+cross",
                "text": {"width": 16, "depth": 1, "heads": 2}}, "batch": 16, "fit": {"lr": 3e-3, "warmup": 5}}
RECIPES = {"shapes-text": replace(shapes_text.RECIPE, presets={"cpu": TINY}, config=shapes_text.RECIPE.config |
                                  {"scenes": 40}),
           "emoji-text": replace(emoji_text.RECIPE, presets={"cpu": TINY})}


def gen(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def runs():
    return {name: build(recipe) for name, recipe in RECIPES.items()}


@pytest.mark.parametrize("name", RECIPES)
def test_it_learns_and_is_read_again(name, runs, tmp_path):
    run = build(RECIPES[name])
    fitted, record = train(run, tmp_path, steps=40, progress=False)
    assert sum(fitted.losses[-8:]) < 0.7 * sum(fitted.losses[:8])
    recipe, net = load(tmp_path)
    assert recipe.config == run.config and record["data"] == name.split("-")[0]
    few, more = sample(recipe, net, 2, steps=3), sample(recipe, net, 3, steps=3, batch=2)
    assert few.shape == (2, 3, 32, 32)
    torch.testing.assert_close(more[:2], few, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", RECIPES)
def test_the_loss_is_of_x0_weighted_by_the_time_with_some_captions_dropped(name, runs):
    run, seen = runs[name], {}
    run = replace(run, loss_fn=RECIPES[name].loss(run.config | {"uncaptioned": 0.5}))
    batch = run.batch_at(0)

    def net(x, t, **cond):
        seen.update(cond, x=x, t=t)
        return torch.zeros_like(x)

    loss, logs = run.loss_fn(net, batch, gen(3))
    t = seen["t"] / 1000
    weights = 1 / t.clamp(min=0.2)
    each = batch["x"].square().flatten(1).mean(dim=1)
    assert float(loss) == pytest.approx(float((weights * each).mean()), rel=1e-5)
    empty = captions.tokens_of(run.config, [""])
    assert empty.tolist() == [[START, END] + [PAD] * (run.config["length"] - 2)]
    without = (seen["tokens"] == empty).all(dim=1)
    assert 2 <= without.sum() <= 14
    if name == "shapes-text":
        assert torch.equal(seen["tokens"][~without], batch["tokens"][~without])
    else:
        assert (seen["style"][without] == 3).all() and torch.equal(seen["style"][~without], batch["style"][~without])


def test_the_flow_target_is_the_plain_loss_of_the_velocity(runs):
    run = runs["shapes-text"]
    zero = RECIPES["shapes-text"].loss(run.config | {"target": "flow"})(
        lambda x, t, tokens: torch.zeros_like(x), run.batch_at(0), gen(3))[0]
    eps = 1.0  # of unit variance, and independent of the picture
    assert float(zero) == pytest.approx(float(run.batch_at(0)["x"].square().mean()) + eps, rel=0.03)


def test_the_weight_is_one_over_the_time():
    t = torch.tensor([0.01, 0.1, 0.25, 0.5, 1.0], dtype=torch.float64)
    got = captions.clear_at_most(0.2, ((1 - t) / t) ** 2)
    torch.testing.assert_close(got, torch.tensor([5.0, 5.0, 4.0, 2.0, 1.0], dtype=torch.float64))


def test_scenes_come_with_the_captions_that_are_asked_for():
    made = shapes(40)
    for which, expected in (("long", list(made.captions)), ("short", list(made.short)),
                            ("both", [made.short[i] if i % 2 else made.captions[i] for i in range(40)])):
        config = RECIPES["shapes-text"].config | {"captions": which}
        tensors, facts = shapes_text.scenes(config)
        assert captions.as_text(config | facts, tensors["tokens"]) == expected
        assert torch.equal(tensors["x"], made.pictures)
    with pytest.raises(ValueError, match="captions must be long, short or both, got 'none'"):
        shapes_text.scenes(config | {"captions": "none"})


def test_shapes_are_asked_for_by_captions_and_measured_by_the_judge(runs):
    config, held = runs["shapes-text"].config, shapes(60, split="test")
    cond = shapes_text.asked_for(60, config)
    assert captions.as_text(config, cond["tokens"]) == list(held.captions)  # the captions of split "test"
    figures = shapes_text.obeyed(config, held.pictures, cond)
    assert figures["whole"] > 0.95 and set(figures) == {"objects", "colours", "sizes", "relations", "whole"}
    assert shapes_text.obeyed(config, held.pictures.flip(0), cond)["whole"] < 0.2
    assert len(set(map(tuple, shapes_text.asked_for(3, config, caption="a red star")["tokens"].tolist()))) == 1
    with pytest.raises(ValueError, match="captions must be 2, one a picture, got 1"):
        shapes_text.asked_for(2, config, caption=["a red star"])


def test_an_emoji_is_asked_for_by_caption_and_style(runs):
    config, held = runs["emoji-text"].config, emoji("test")
    cond = emoji_text.asked_for(len(held.captions), config)
    assert [config["styles"][s] for s in cond["style"]] == list(held.styles)
    assert captions.as_text(config, cond["tokens"][:1]) == [held.captions[0]]
    assert emoji_text.asked_for(4, config, caption="red heart")["style"].tolist() == [0, 1, 2, 0]
    assert emoji_text.asked_for(2, config, caption="red heart", style="any")["style"].tolist() == [3, 3]
    assert emoji_text.asked_for(2, config, caption="red heart", style=["fluent", "noto"])["style"].tolist() == [2, 0]
    with pytest.raises(ValueError, match="style must be one of noto, twemoji, fluent, any, got 'crayon'"):
        emoji_text.asked_for(2, config, caption="red heart", style="crayon")


def test_no_held_out_emoji_is_trained_on(runs):
    trained = runs["emoji-text"].batch_at.__self__.images["x"]
    assert len(trained) == len(emoji("train").captions)
    for picture in emoji("test").pictures[:40]:
        assert (trained - picture).flatten(1).square().mean(dim=1).min() > 0.01


def rows_of_words(runs, n, seed=0):
    """Tokens of a batch, and what `some_words` makes of them: the same picture in every row."""
    run = runs["emoji-text"]
    images = run.batch_at.__self__.images
    row = (images["parts"].amax(dim=1) > 6).nonzero()[5]
    batch = {name: value[row.expand(n)] for name, value in images.items()}
    return run.config, batch, emoji_text.some_words(batch, gen(seed), run.config)


def test_half_of_the_captions_are_the_name_and_others_have_key_words_in_any_order(runs):
    config, batch, drawn = rows_of_words(runs, 2000)
    words = captions.tokenizer(config)
    parts = {}
    for token, part in zip(batch["tokens"][0].tolist(), batch["parts"][0].tolist(), strict=True):
        parts.setdefault(part, []).append(token)
    parts.pop(0, None)
    name = parts[emoji_text.NAME]
    texts = [[token for token in row if token > END] for row in drawn.tolist()]
    alone = sum(text == name for text in texts) / 2000
    assert 0.45 < alone < 0.65, words.decode(name)
    nameless = [text for text in texts if not set(name) <= set(text)]
    assert all(nameless) and 0.01 < len(nameless) / 2000 < 0.12
    assert len(set(map(tuple, texts))) > 200
    for row in drawn:
        assert row[0] == START and (row == END).sum() == 1
        assert (row[int((row == END).nonzero()) + 1:] == PAD).all()
    with_name = [text for text in texts if set(name) <= set(text)]
    assert all(text[text.index(name[0]):][:len(name)] == name for text in with_name)  # a name keeps its order


def test_dropping_words_depends_on_the_generator_alone(runs):
    assert torch.equal(rows_of_words(runs, 20)[2], rows_of_words(runs, 20)[2])
    assert not torch.equal(rows_of_words(runs, 20)[2], rows_of_words(runs, 20, seed=1)[2])


@pytest.mark.parametrize("name", RECIPES)
def test_guidance_by_zero_ignores_the_caption_and_null_says_none(name, runs):
    run = runs[name]
    recipe = replace(RECIPES[name], config=run.config)
    torch.manual_seed(0)
    net = awake(recipe.net(run.config)).eval()
    free = partial(cfg, w=0.0, null=recipe.draw(run.config).null)
    red, blue = (sample(recipe, net, 2, steps=3, caption=text, wrap=free) for text in ("red heart", "blue star"))
    assert torch.equal(red, blue)
    told = [sample(recipe, net, 2, steps=3, caption=text) for text in ("red heart", "blue star")]
    assert (told[0] - told[1]).abs().max() > 1e-4
    empty = {"caption": ""} | ({"style": "any"} if name == "emoji-text" else {})
    torch.testing.assert_close(sample(recipe, net, 2, steps=3, **empty), red, rtol=0, atol=0)


@pytest.mark.parametrize("name", RECIPES)
def test_both_presets_make_nets_that_read(name, runs):
    sizes = {}
    for preset, chosen in {"cpu": shapes_text.RECIPE, "cuda": emoji_text.RECIPE}.items():
        assert preset in chosen.presets
    recipe = {"shapes-text": shapes_text.RECIPE, "emoji-text": emoji_text.RECIPE}[name]
    for preset in ("cpu", "cuda"):
        net = recipe.net(runs[name].config | {"net": recipe.presets[preset]["net"]})
        sizes[preset] = sum(p.numel() for p in net.parameters())
    assert sizes["cpu"] * 2 <= 12e6 and sizes["cpu"] < sizes["cuda"]
