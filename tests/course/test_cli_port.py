"""`port` and `draw --model sd15`, on narrow nets of the right structure: what they do, and one line for each error."""

import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from minidiff.cli import draw_sd15
from minidiff.cli.main import main
from minidiff.recipes import porting
from tests.ch12.sd_files import NAMES, change, given, instead, nets, original, published  # noqa: F401, fixtures
from tests.course.test_cli import says
from tests.course.test_cli_draw import models  # noqa: F401, a fixture


def ported(published, out):
    assert main(["port", "sd15", *map(str, given(published, "ldm")), "--out", str(out)]) == 0
    return out


def pixels(model, out, *arguments):
    """The pixels that `draw` writes."""
    assert main(["draw", *map(str, arguments), "--model", str(model), "--steps", "2", "--out", str(out)]) == 0
    return np.asarray(Image.open(out).convert("RGB"))


def test_port_says_what_it_read_and_how_to_draw(published, tmp_path, capsys, monkeypatch):
    file = published / "one.safetensors"
    sum_of = porting.described(file)["sha256"]
    assert len(sum_of) == 64 and porting.described(file)["published"] is None
    monkeypatch.setitem(porting.PUBLISHED, sum_of, "that.safetensors")
    out = ported(published, tmp_path / "out")
    first, second = capsys.readouterr().out.splitlines()
    assert first == f"one.safetensors: sha256 {sum_of}, which is that.safetensors as it was published"
    assert f"weights in {out}; to draw: python -m minidiff draw " in second and f"--model {out}" in second


def test_a_prompt_is_drawn_by_folder_and_by_name(published, tmp_path, monkeypatch, capsys):
    out = ported(published, tmp_path / "out" / "sd15")
    first = pixels(out, tmp_path / "a.png", "1a 2a", "--side", 32)
    assert first.shape == (35, 35, 3) and "1 picture in" in capsys.readouterr().out  # with an edge
    monkeypatch.setattr(draw_sd15, "own_folder", lambda name: tmp_path / name)
    assert (pixels("sd15", tmp_path / "b.png", "1a 2a", "--side", 32) == first).all()
    for other in (["3a"], ["1a 2a", "--seed", 1], ["1a 2a", "--guidance", 1]):
        assert (pixels(out, tmp_path / "b.png", *other, "--side", 32) != first).any(), other
    assert pixels(out, tmp_path / "b.png", "1a", "--n", 2, "--side", 32).shape == (35, 69, 3)


def test_what_cannot_be_drawn_is_one_line(published, models, tmp_path, monkeypatch, capsys):
    out, png = ported(published, tmp_path / "out"), tmp_path / "x.png"

    def wrong(*arguments, model=out):
        return says(capsys, "draw", *arguments, "--model", model, "--steps", 2, "--out", png)
    assert "sd15 knows no styles but those that a prompt names, got 'noto'" in wrong("a cat", "--style", "noto")
    assert "--side must be a multiple of 8, got 20" in wrong("a cat", "--side", 20)
    assert "texts may have 75 tokens, got 80 in 'a a a" in wrong("a " * 80, "--side", 32)
    assert "--side: emoji-text draws pictures of one size" in wrong("cat", "--side", 32, model=models["emoji-text"])
    (out / "vae.safetensors").unlink()
    assert "no checkpoint at" in wrong("a cat", "--side", 32)
    monkeypatch.setattr(draw_sd15, "own_folder", lambda name: tmp_path / "nowhere")
    assert "'python -m minidiff port sd15 FILE...' makes one" in wrong("a cat", model="sd15")
    assert not png.exists()


# --- each wrong file ------------------------------------------------------------------------------------------------

def truncate(published):
    file = published / "sd" / NAMES["vae"]
    instead(file, file.read_bytes()[:-100])


def empty_file(published):
    instead(published / "sd" / NAMES["vae"], b"")


def only_a_pickle(published):
    file = published / "sd" / NAMES["unet"]
    torch.save({"x": torch.zeros(1)}, file.with_suffix(".bin"))
    file.unlink()


def a_pickle_under_another_name(published):
    file = published / "sd" / NAMES["unet"]
    file.unlink()
    torch.save({"x": torch.zeros(1)}, file)


def another_unet(published):
    """Of Stable Diffusion 2: the same names, and linear maps where version 1 has 1x1 convolutions."""
    def linear(tensors):
        for name in [name for name in tensors if ".proj_" in name and name.endswith("weight")]:
            tensors[name] = tensors[name].flatten(1)
    change("unet", linear)(published)


QUERY = "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight"
WRONG = {
    "a missing key": (change("unet", lambda t: t.pop("mid_block.resnets.1.conv1.bias")),
                      "lacks 1 of the 686 tensors of the unet, such as middle.1.block.conv1.bias"),
    "an unexpected key": (change("text", lambda t: t.update({"text_projection.weight": torch.zeros(2)})),
                          "is not of Stable Diffusion 1.5, which has no 'text_projection.weight'"),
    "a layer more": (change("text", lambda t: t.update({"text_model.encoder.layers.12.mlp.fc1.bias": torch.zeros(2)})),
                     "whose text has no 'text_model.encoder.layers.12.mlp.fc1.bias'"),
    "a transposed matrix": (change("unet", lambda t: t.update({QUERY: t[QUERY].T.contiguous()})),
                            f"{QUERY} is (24, 32), and in Stable Diffusion 1.5 (32, 24)"),
    "whole numbers": (change("vae", lambda t: t.update({"quant_conv.bias": torch.zeros(8, dtype=torch.int32)})),
                      "quant_conv.bias holds I32, and a weight is a float"),
    "no number": (change("vae", lambda t: t["quant_conv.bias"].fill_(float("nan"))),
                  "quant_conv.bias holds values that are not finite numbers"),
    "too large": (change("vae", lambda t: t["quant_conv.bias"].fill_(1e5)), "too large for float16: take --dtype"),
    "a truncated file": (truncate, "is not a whole safetensors file"),
    "an empty file": (empty_file, "is not a whole safetensors file"),
    "only a pickle": (only_a_pickle, "diffusion_pytorch_model.bin is a pickle, which can run any code"),
    "a pickle in disguise": (a_pickle_under_another_name, "diffusion_pytorch_model.safetensors is a pickle"),
    "another U-Net": (another_unet, "is (32, 32), and in Stable Diffusion 1.5 (32, 32, 1, 1)"),
    "no text encoder": (lambda p: shutil.rmtree(p / "sd" / "text_encoder"), "no file of weights in"),
    "no merges": (lambda p: shutil.rmtree(p / "sd" / "tokenizer"),
                  "name its merges.txt beside the weights, there is no"),
    "few merges": (lambda p: instead(p / "sd" / "tokenizer" / "merges.txt", b"a b\n"),
                   "makes 515 tokens, and the text encoder knows 600"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_file_is_one_line_and_no_model_is_left(what, published, tmp_path, monkeypatch, capsys):
    mutate, expected = WRONG[what]
    mutate(published)
    monkeypatch.setattr(torch, "load", lambda *a, **k: pytest.fail("a pickle was opened"))
    out = tmp_path / "out"
    assert expected in says(capsys, "port", "sd15", published / "sd", "--out", out)
    assert not (out / "model.json").exists() and list(tmp_path.rglob(".*.safetensors.*")) == []


def test_no_space_is_one_line(published, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 10, 0))
    assert "GB are free" in says(capsys, "port", "sd15", published / "sd", "--out", tmp_path / "out")
    assert "invalid choice: 'sd99'" in says(capsys, "port", "sd99", published / "sd")
    assert "there is no file nothing.safetensors" in says(capsys, "port", "sd15", "nothing.safetensors")
