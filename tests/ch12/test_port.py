"""Published weights are written as our checkpoints, read back, and draw: on narrow nets of the right structure."""

import json
import shutil

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from minidiff.recipes import porting
from minidiff.recipes.porting import port_sd15
from minidiff.recipes.recipe import sample
from minidiff.recipes.sd15 import SCALE, load_sd15, recipe_for
from minidiff.training.errors import CheckpointError
from tests.ch12.sd_files import NAMES, change, given, nets, original, published  # noqa: F401, fixtures
from tests.ch12.small_sd import SMALL
from tests.nets import normal


@pytest.mark.parametrize("layout", ["diffusers", "ldm"])
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_right_files_load_and_compute_what_their_source_computes(layout, dtype, published, nets, tmp_path):
    record = port_sd15(given(published, layout), tmp_path / "out", dtype)
    kept = load_file(tmp_path / "out" / "unet.safetensors")
    assert len(kept) == 686 and {value.dtype for value in kept.values()} == {getattr(torch, dtype)}
    net = load_sd15(tmp_path / "out")
    x, context = normal(1, 4, 8, 8), normal(1, 77, 24)
    close = {"rtol": 0, "atol": 1e-5 if dtype == "float32" else 0.02}
    torch.testing.assert_close(net(x, 10, context), nets["unet"](x, 9, context), **close)
    torch.testing.assert_close(net.decode(SCALE * x), nets["vae"].decode(x).clamp(-1, 1), **close)
    tokens = net.tokenizer.batch(["1a b"])
    torch.testing.assert_close(net.read(["1a b"]), nets["text"](tokens), **close)
    assert record == json.loads((tmp_path / "out" / "model.json").read_text()) | {"nets": SMALL}
    assert sum(record["weights"].values()) == sum(p.numel() for net in nets.values() for p in net.parameters())
    assert {len(numbers) for numbers in record["golden"].values()} == {4}


def test_both_layouts_give_the_same_bytes(published, tmp_path):
    for layout in ("diffusers", "ldm"):
        port_sd15(given(published, layout), tmp_path / layout)
    for name in ("unet.safetensors", "vae.safetensors", "text.safetensors", "merges.txt"):
        one, other = (tmp_path / layout / name for layout in ("diffusers", "ldm"))
        assert one.read_bytes() == other.read_bytes(), name


def test_a_file_for_each_net_and_a_variant_in_half_precision_will_do(published, tmp_path):
    files = [published / "sd" / name for name in NAMES.values()]
    port_sd15([*files, published / "sd" / "tokenizer" / "merges.txt"], tmp_path / "one")
    half = published / "sd" / "unet" / "diffusion_pytorch_model.fp16.safetensors"
    save_file({name: value.half() for name, value in load_file(files[0]).items()}, half)
    files[0].unlink()
    port_sd15([published / "sd"], tmp_path / "other")
    one, other = (tmp_path / name / "unet.safetensors" for name in ("one", "other"))
    assert one.read_bytes() == other.read_bytes()


# --- what cannot be ported; the command says the rest in tests/course/test_cli_port.py --------------------------------

def test_weights_that_float16_cannot_hold_go_into_float32(published, tmp_path):
    change("vae", lambda t: t["quant_conv.bias"].fill_(1e5))(published)
    with pytest.raises(CheckpointError, match="too large for float16: take --dtype float32"):
        port_sd15([published / "sd"], tmp_path / "out")
    port_sd15([published / "sd"], tmp_path / "out", "float32")
    assert (load_sd15(tmp_path / "out").vae.quant.bias == 1e5).all()


@pytest.mark.parametrize("pick, expected", [
    (lambda p: [p / "none.safetensors"], "there is no file"),
    (lambda p: [p / "sd", p / "one.safetensors"], "is a second"),
    (lambda p: [p / "sd" / NAMES["unet"], p / "sd" / "tokenizer" / "merges.txt"], "no file holds the vae"),
    (lambda p: [p / "one.safetensors"], "name its merges.txt beside the weights, got none"),
    (lambda p: [p / "sd" / "tokenizer" / "merges.txt"], "no file of weights was given"),
    (lambda p: [p / "sd", p / "sd" / "tokenizer" / "merges.txt"], "got 2"),
    (lambda p: [p / "sd" / "tokenizer"], "there is no file of weights in"),
])
def test_what_is_missing_or_given_twice_is_named(pick, expected, published, tmp_path):
    with pytest.raises((CheckpointError, ValueError), match=expected):
        port_sd15(pick(published), tmp_path / "out")


def test_a_table_of_another_schedule_is_another_model(published, tmp_path):
    file = published / "one.safetensors"
    tensors = load_file(file)
    tensors["alphas_cumprod"] = tensors["alphas_cumprod"] ** 1.01
    file.unlink()
    save_file(tensors, file)
    with pytest.raises(CheckpointError, match="its alphas_cumprod are other ones"):
        port_sd15(given(published, "ldm"), tmp_path / "out")


def test_a_disk_without_space_is_seen_before_and_while_it_is_written(published, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 10, 0))
        with pytest.raises(CheckpointError, match="cannot write .*out: it takes 0.0 GB, and 0.0 GB are free"):
            port_sd15([published / "sd"], tmp_path / "out")

    def full(tensors, path, metadata):
        path = tmp_path / "out" / path
        path.write_bytes(b"half")
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")
    monkeypatch.setattr(porting, "save_file", full)
    with pytest.raises(CheckpointError, match="cannot write .*unet.safetensors: .*No space left on device"):
        port_sd15([published / "sd"], tmp_path / "out")
    assert [file for file in (tmp_path / "out").iterdir()] == []


def test_a_model_is_not_overwritten_and_leftovers_of_a_killed_process_go(published, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".unet.safetensors.abc").write_bytes(b"half")
    port_sd15([published / "sd"], tmp_path / "out")
    assert {file.name for file in (tmp_path / "out").iterdir()} == {
        "unet.safetensors", "vae.safetensors", "text.safetensors", "merges.txt", "model.json"}
    with pytest.raises(ValueError, match="holds a model already"):
        port_sd15([published / "sd"], tmp_path / "out")


def test_what_is_written_is_read_back_and_compared(published, tmp_path, monkeypatch):
    whole = porting.save_file

    def damaged(tensors, path, metadata):
        whole({name: value + (name == "conv_out.bias") for name, value in tensors.items()}, path, metadata)
    monkeypatch.setattr(porting, "save_file", damaged)
    with pytest.raises(CheckpointError, match="does not hold what was written to it"):
        port_sd15([published / "sd"], tmp_path / "out")


# --- drawing --------------------------------------------------------------------------------------------------------

def test_a_prompt_is_drawn_by_seed_and_guided_away_from_the_empty_text(published, tmp_path):
    port_sd15([published / "sd"], tmp_path / "out")
    net = load_sd15(tmp_path / "out")
    recipe = recipe_for(net, "a cat", side=32, steps=2)
    first = sample(recipe, net, 2, seed=3)
    assert first.shape == (2, 3, 32, 32) and first.abs().max() <= 1
    torch.testing.assert_close(sample(recipe, net, 1, seed=3), first[:1], rtol=0, atol=1e-4)
    assert (sample(recipe_for(net, "dogs", side=32, steps=2), net, 1, seed=3) - first[:1]).abs().max() > 1e-3
    how = recipe.draw(recipe.config)
    cond = how.cond(2)
    assert torch.equal(cond["context"][1:], net.read(["a cat"]))
    assert torch.equal(how.null(cond)["context"][:1], net.read([""]))
    with pytest.raises(ValueError, match="multiple of 8, got 20"):
        recipe_for(net, "a cat", side=20)


def test_the_net_is_asked_from_its_last_step_down_counting_from_0(published, tmp_path):
    port_sd15([published / "sd"], tmp_path / "out")
    net = load_sd15(tmp_path / "out")
    asked = []
    net.unet.net.register_forward_pre_hook(lambda _, inputs: asked.append(float(inputs[1])))
    sample(recipe_for(net, "a cat", side=32, steps=4), net, 1)
    assert len(asked) == 4 and asked[0] == 999 and asked == sorted(asked, reverse=True) and asked[-1] >= 0


def test_latents_are_scaled_once_each_way(published, tmp_path, nets):
    port_sd15([published / "sd"], tmp_path / "out", "float32")
    net, x = load_sd15(tmp_path / "out"), normal(1, 3, 32, 32).clamp(-1, 1)
    mean = nets["vae"].encode(x)[0]
    torch.testing.assert_close(net.encode(x), 0.18215 * mean)
    torch.testing.assert_close(net.decode(net.encode(x)), nets["vae"].decode(mean).clamp(-1, 1), rtol=0, atol=1e-5)


@pytest.mark.parametrize("file, content, expected", [
    ("model.json", "{}", "does not describe a Stable Diffusion 1.5"),
    ("model.json", '{"model": "mnist"}', "does not describe a Stable Diffusion 1.5"),
    ("merges.txt", "", "no list of CLIP's merges"), ("vae.safetensors", "half", "not a whole safetensors file")])
def test_a_damaged_model_is_one_line(file, content, expected, published, tmp_path):
    port_sd15([published / "sd"], tmp_path / "out")
    (tmp_path / "out" / file).write_text(content)
    with pytest.raises(Exception, match=expected) as error:
        load_sd15(tmp_path / "out")
    assert type(error.value).__name__ in ("CheckpointError", "DataError")


def test_nets_that_were_exchanged_are_noticed(published, tmp_path):
    port_sd15([published / "sd"], tmp_path / "out")
    shutil.copy(tmp_path / "out" / "vae.safetensors", tmp_path / "out" / "text.safetensors")
    with pytest.raises(CheckpointError, match="does not hold the text"):
        load_sd15(tmp_path / "out")
