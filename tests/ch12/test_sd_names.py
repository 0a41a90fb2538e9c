"""Published names become ours, all of them and each once, in both layouts, as diffusers' own converter has it."""

import pytest
import torch

from minidiff.recipes.sd_names import TABLES, is_unused, own_name
from tests.ch12.sd_published import diffusers_names, ldm_names
from tests.ch12.small_sd import KEYS, KINDS


@pytest.fixture(scope="module")
def own():
    with torch.device("meta"):
        return {part: set(kind().state_dict()) for part, kind in KINDS.items()}


@pytest.mark.parametrize("names", [diffusers_names, ldm_names])
def test_each_weight_has_one_name_in_each_layout(names, own):
    for part, published in names().items():
        found = [own_name(name) for name in published]
        assert len(published) == len(set(published)) == len(set(found)) == KEYS[part]
        assert {where for where, _ in found} == {part} and {name for _, name in found} == own[part]


def test_older_names_of_the_same_weights_are_known():
    for side in ("encoder", "decoder"):
        at, ours = f"{side}.mid_block.attentions.0", f"{side}.middle.1"
        for old, letter in (("query", "q"), ("key", "k"), ("value", "v"), ("proj_attn", "o")):
            assert own_name(f"{at}.{old}.weight") == ("vae", f"{ours}.{letter}.weight")
    for prefix in ("", "text_model.", "cond_stage_model.transformer.", "cond_stage_model.transformer.text_model."):
        assert own_name(f"{prefix}encoder.layers.11.self_attn.out_proj.bias") == ("text", "layers.11.o.bias")


def test_tables_are_no_weights_and_other_models_have_other_names():
    for name in (*TABLES, "text_model.embeddings.position_ids", "model_ema.decay",
                 "cond_stage_model.transformer.text_model.embeddings.position_ids"):
        assert is_unused(name) and own_name(name) is None
    for name in ("conditioner.embedders.1.model.ln_final.weight", "blocks.0.attn.qkv.weight",
                 "transformer.h.0.ln_1.bias", "cond_stage_model.model.ln_final.weight", "lora_unet.alpha", "x",
                 "input_blocks.1.0.in_layers.1.weight", "model_ema.diffusion_modelout0weight"):
        assert own_name(name) is None and not is_unused(name), name


@pytest.mark.parametrize("part", KINDS)
def test_diffusers_converts_the_one_file_to_the_same_places(part):
    convert = pytest.importorskip("diffusers.loaders.single_file_utils")
    names = ldm_names()[part]
    tensors = {name: torch.full((1, 1, 1, 1) if name.endswith("weight") else (1,), float(k))
               for k, name in enumerate(names)}
    if part == "text":
        theirs = convert.convert_ldm_clip_checkpoint(dict(tensors))
    elif part == "vae":
        config = {"down_block_types": [0] * 4, "up_block_types": [0] * 4}
        theirs = convert.convert_ldm_vae_checkpoint(dict(tensors), config)
    else:
        config = {"layers_per_block": 2, "class_embed_type": None, "addition_embed_type": None}
        theirs = convert.convert_ldm_unet_checkpoint(dict(tensors), config)
    assert len(theirs) == KEYS[part]
    for name, value in theirs.items():
        assert own_name(name) == own_name(names[int(value.flatten()[0])]), name
