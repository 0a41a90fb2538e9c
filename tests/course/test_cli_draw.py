"""`draw`: what it makes of a prompt, what it says of words it does not know, and one line for everything wrong."""

import io
import sys
import time

import numpy as np
import pytest
import torch
from PIL import Image

from minidiff.cli import draw
from minidiff.cli.main import main
from minidiff.places import CHECKPOINTS
from minidiff.recipes import emoji_latent, emoji_text, emoji_vae, shapes_text
from minidiff.recipes.run import save_model
from tests.course.test_cli import says
from tests.nets import awake

NET = {"channels": [8, 16], "blocks": 1, "patch": 4, "width": 32, "attention": [1], "reads": "self+cross",
       "text": {"width": 16, "depth": 1, "heads": 2}}
TOLD = {"emoji-text": emoji_text.RECIPE.config | {"recipe": "emoji-text", "net": NET, "data": "emoji", "styles": [
            "noto", "twemoji", "fluent"], "words": ["purple", "heart", "with", "hat", "cat", "corn"]},
        "shapes-text": shapes_text.RECIPE.config | {"recipe": "shapes-text", "net": NET, "data": "shapes",
                                                    "words": list(shapes_text.vocabulary())}}


@pytest.fixture
def models(tmp_path):
    """A small untrained net of each recipe, with the words that it is said to know."""
    for name, config in TOLD.items():
        torch.manual_seed(0)
        recipe = {"emoji-text": emoji_text, "shapes-text": shapes_text}[name].RECIPE
        save_model(tmp_path / f"{name}.safetensors", awake(recipe.net(config)), config)
    return {name: tmp_path / f"{name}.safetensors" for name in TOLD}


def drawn(models, out, *arguments, name="emoji-text"):
    """The pixels that `draw` writes."""
    assert main(["draw", *map(str, arguments), "--model", str(models[name]), "--steps", "3", "--out", str(out)]) == 0
    return np.asarray(Image.open(out).convert("RGB"))


def test_it_draws_a_sheet_that_prompt_seed_and_guidance_decide(models, tmp_path, capsys):
    first = drawn(models, tmp_path / "a.png", "purple heart", "--style", "noto")
    assert first.shape == (618, 618, 3)  # three columns of 32 + 2 pixels and an edge, each six times as large
    assert "9 pictures in" in capsys.readouterr().out
    again = drawn(models, tmp_path / "b.png", "purple  Heart", "--style", "noto")
    assert (first == again).all()
    for other in (["cat", "--style", "noto"], ["purple heart", "--style", "fluent"],
                  ["purple heart", "--style", "noto", "--seed", 1],
                  ["purple heart", "--style", "noto", "--guidance", 1]):
        assert (drawn(models, tmp_path / "c.png", *other) != first).any(), other
    one = drawn(models, tmp_path / "d.png", "purple heart", "--style", "noto", "--n", 1)
    side = one.shape[0]
    assert side < first.shape[0] and (np.abs(one.astype(int) - first[:side, :side])).mean() < 1


def test_words_that_are_not_known_are_named_with_those_spelt_alike(models, tmp_path, capsys):
    with_unknown = drawn(models, tmp_path / "a.png", "purpel heart of glory", "--style", "noto", "--n", 1)
    said = capsys.readouterr().err.splitlines()
    assert said == ["words that the model does not know, and leaves out: purpel (known: purple), of, glory"]
    assert (with_unknown == drawn(models, tmp_path / "b.png", "heart", "--style", "noto", "--n", 1)).all()
    assert capsys.readouterr().err == ""


def test_shapes_are_drawn_and_judged(models, tmp_path, capsys):
    drawn(models, tmp_path / "a.png", "a large red star", "--n", 2, name="shapes-text")
    assert "as a judge reads them: objects " in capsys.readouterr().out
    drawn(models, tmp_path / "a.png", "star red large", "--n", 2, name="shapes-text")  # no caption of the grammar
    assert "judge" not in capsys.readouterr().out


@pytest.fixture
def latent(models, tmp_path):
    """Beside the others a net of emoji-latent that learned nothing, and the autoencoder that it was made for."""
    vae = {"latent": 4, "channels": [8, 8], "blocks": 1, "patch": 2}
    config = emoji_vae.RECIPE.config | {"recipe": "emoji-vae", "net": vae, "data": "emoji"}
    save_model(tmp_path / "vae.safetensors", awake(emoji_vae.kl_vae(config)), config)
    _, digest = emoji_latent.autoencoder(str(tmp_path / "vae.safetensors"))
    config = TOLD["emoji-text"] | {
        "recipe": "emoji-latent", "net": NET | {"patch": 1}, "shape": [4, 8, 8], "vae_digest": digest,
        "vae": str(tmp_path / "vae.safetensors"), "latent_shift": [0.0], "latent_scale": [1.0]}
    save_model(tmp_path / "latent.safetensors", awake(emoji_latent.RECIPE.net(config)), config)
    return models | {"emoji-latent": tmp_path / "latent.safetensors"}


def test_what_is_drawn_in_latents_comes_out_as_pictures(latent, tmp_path, capsys):
    heart, cat = (drawn(latent, tmp_path / "a.png", prompt, "--style", "noto", name="emoji-latent")
                  for prompt in ("purple heart", "cat"))
    assert heart.shape == cat.shape == (618, 618, 3) and (heart != cat).any()
    (tmp_path / "vae.safetensors").unlink()
    emoji_latent.autoencoder.cache_clear()
    said = says(capsys, "draw", "cat", "--model", latent["emoji-latent"], "--out", tmp_path / "b.png")
    assert "does not make a model of emoji-latent: no checkpoint at" in said and not (tmp_path / "b.png").exists()


def test_a_bar_is_shown_on_a_terminal_alone(models, tmp_path, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    drawn(models, tmp_path / "a.png", "cat", "--n", 1)
    assert "drawing: 100%" in terminal.getvalue() and "3/3" in terminal.getvalue()


@pytest.mark.parametrize("arguments, expected", [
    ([""], "the prompt is empty"), (["  \t"], "the prompt is empty"),
    (["heart " * 10_000], "the prompt has 10000 words and signs, and the model reads at most 18"),
    ([" ".join(f"w{i}" for i in range(10_000))], "the prompt has 10000 words"),
    (["gloryy corm"], "knows no word of the prompt: gloryy, corm (known: corn)"),
    (["heart", "--style", "crayon"], "style must be one of noto, twemoji, fluent, any, got 'crayon'"),
    (["heart", "--guidance", "nan"], "must be a number, got nan"),
    (["heart", "--guidance", "inf"], "must be a number, got inf"),
    (["heart", "--guidance", "much"], "must be a number, got much"),
    (["heart", "--n", "0"], "must be a positive whole number, got 0"),
    (["heart", "--n", "-3"], "must be a positive whole number, got -3"),
    (["heart", "--steps", "0"], "must be a positive whole number, got 0"),
])
def test_bad_input_is_one_line_and_nothing_is_written(arguments, expected, models, tmp_path, capsys):
    out = tmp_path / "x.png"
    start = time.monotonic()
    assert expected in says(capsys, "draw", *arguments, "--model", models["emoji-text"], "--out", out)
    assert not out.exists() and time.monotonic() - start < 20


def test_models_that_do_not_fit_the_question_are_named(models, tmp_path, capsys, monkeypatch):
    out = tmp_path / "x.png"
    flow = CHECKPOINTS / "mnist-flow.safetensors"
    assert "mnist-flow learned no captions" in says(capsys, "draw", "heart", "--model", flow, "--out", out)
    monkeypatch.setattr(draw, "CHECKPOINTS", tmp_path / "empty")
    said = says(capsys, "draw", "heart", "--out", out)
    assert "no trained emoji-text here; 'python -m minidiff train emoji-text" in said
    assert "no checkpoint at" in says(capsys, "draw", "heart", "--model", "nothing", "--out", out)
    assert "shapes-text knows no styles, got 'noto'" in says(
        capsys, "draw", "a red star", "--style", "noto", "--model", models["shapes-text"], "--out", out)
    assert "--out must be a file X.png" in says(capsys, "draw", "cat", "--out", tmp_path / "no" / "x.png")
    assert "--out must be a file X.png" in says(capsys, "draw", "cat", "--out", tmp_path / "x.jpg")
