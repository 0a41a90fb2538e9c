"""The same nets by diffusers and transformers, with the weights of ours; a test without these packages is skipped."""

import pytest
import torch

from minidiff.recipes.sd15 import SHAPES
from tests.ch12.small_sd import KEYS, SMALL, as_published

BOTH = {part: pytest.mark.parametrize("shape", [SMALL[part], SHAPES[part]], ids=["small", "whole"]) for part in SMALL}


def package(name, part, shape):
    """The package, or a skipped test. Nets of full size, up to 3.4 GB, are compared where all oracles are installed."""
    if shape == SHAPES[part]:
        pytest.importorskip("transformers", reason="full size asks for the extra `oracles`")
    return pytest.importorskip(name)


def oracle(part, net, shape):
    """The module of the other package, strictly filled with the weights of our net, in the same memory."""
    build = {"unet": unet, "vae": vae, "text": text}[part]
    with torch.device("meta"):
        made = build(package("transformers" if part == "text" else "diffusers", part, shape), shape)
    names = as_published(part, net)
    if part == "text" and not any(name.startswith("text_model.") for name in made.state_dict()):
        names = {name.removeprefix("text_model."): value for name, value in names.items()}
    made.load_state_dict(names, strict=True, assign=True)
    assert len(made.state_dict()) == KEYS[part]
    for module in made.modules():  # a table of the numbers 0..76, of which the meta device kept the shape alone
        if hasattr(module, "position_ids"):
            module.position_ids = torch.arange(77)[None]
    return made.eval().requires_grad_(False)


def unet(diffusers, shape):
    return diffusers.UNet2DConditionModel(block_out_channels=shape["channels"], cross_attention_dim=shape["width"],
                                          attention_head_dim=8)


def vae(diffusers, shape):
    return diffusers.AutoencoderKL(block_out_channels=shape["channels"], layers_per_block=2, latent_channels=4,
                                   down_block_types=["DownEncoderBlock2D"] * 4,
                                   up_block_types=["UpDecoderBlock2D"] * 4)


def text(transformers, shape):
    config = transformers.CLIPTextConfig(
        vocab_size=shape["size"], hidden_size=shape["width"], intermediate_size=4 * shape["width"],
        num_hidden_layers=12, num_attention_heads=shape["heads"], bos_token_id=0, eos_token_id=1)
    assert config.hidden_act == "quick_gelu"
    return transformers.CLIPTextModel(config)
