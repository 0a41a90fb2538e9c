"""The files of Stable Diffusion 1.5 in both published layouts, with narrow nets, and ways to damage them."""

import os
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from minidiff.data.clip_tokenizer import VISIBLE
from minidiff.process.schedules import alpha_bar_of, scaled_linear_betas
from minidiff.recipes import porting
from tests.ch12.sd_published import ldm_names
from tests.ch12.small_sd import SMALL, as_published, random_net

NAMES = {"unet": "unet/diffusion_pytorch_model.safetensors", "vae": "vae/diffusion_pytorch_model.safetensors",
         "text": "text_encoder/model.safetensors"}


@pytest.fixture(scope="module")
def nets():
    return {part: random_net(part, shape) for part, shape in SMALL.items()}


@pytest.fixture(scope="module")
def original(nets, tmp_path_factory):
    """Both layouts as people have them: a diffusers folder, and one file with the merges beside it."""
    top = tmp_path_factory.mktemp("published")
    folder, one = top / "sd", {}
    for part, name in NAMES.items():
        (folder / name).parent.mkdir(parents=True)
        save_file(as_published(part, nets[part]), folder / name)
        one |= as_published(part, nets[part], ldm_names()[part])
    for name in one:  # the first code has a 1x1 convolution there, and tables among the weights
        if ".attn_1." in name and name.endswith("weight") and "norm" not in name:
            one[name] = one[name][:, :, None, None].contiguous()
    tables = {"alphas_cumprod": alpha_bar_of(scaled_linear_betas())[1:].float(),
              "model_ema.decay": torch.tensor(0.9999),
              "cond_stage_model.transformer.text_model.embeddings.position_ids": torch.arange(77)[None]}
    save_file(one | tables, top / "one.safetensors")
    (folder / "tokenizer").mkdir()
    merges = "".join(f"{chr(b)} a</w>\n" for b in VISIBLE[:86])
    (folder / "tokenizer" / "merges.txt").write_text(f"#version: 0.2\n{merges}", encoding="utf-8")
    return top


@pytest.fixture
def published(original, tmp_path, monkeypatch):
    """Links to the files, to put damaged ones in their place, while `port` expects narrow nets."""
    monkeypatch.setattr(porting, "SHAPES", SMALL)
    return shutil.copytree(original, tmp_path / "published", copy_function=os.link)


def given(published, layout):
    return {"diffusers": [published / "sd"],
            "ldm": [published / "one.safetensors", published / "sd" / "tokenizer" / "merges.txt"]}[layout]


def change(part, of):
    """A mutation of one net's tensors: `of` gets the dict {name: Tensor} and changes it."""
    def mutate(published):
        file = published / "sd" / NAMES[part]
        tensors = load_file(file)
        of(tensors)
        file.unlink()
        save_file(tensors, file)
    return mutate


def instead(file, content):
    """A file of this content in place of the link."""
    file.unlink()
    file.write_bytes(content)
