"""What the tests of Stable Diffusion's nets share: nets of the same structure that are narrow, and published names."""

import pytest
import torch

from minidiff.models.sd_clip import ClipText
from minidiff.models.sd_unet import SDUNet
from minidiff.models.sd_vae import SDVAE
from minidiff.recipes.sd_names import own_name

KINDS = {"unet": SDUNet, "vae": SDVAE, "text": ClipText}
KEYS = {"unet": 686, "vae": 248, "text": 196}  # as many as SD 1.5 has, in the narrow nets too
SMALL = {"unet": {"channels": (32, 64, 96, 96), "width": 24}, "vae": {"channels": (32, 64, 96, 96)},
         "text": {"size": 600, "width": 24, "heads": 2}}
WHOLE = {"unet": {}, "vae": {}, "text": {}}


def random_net(part, shape):
    """A net with random weights, the same in every run, whose layers keep the size of what they get."""
    with torch.device("meta"):
        net = KINDS[part](**shape)
    net = net.to_empty(device="cpu").eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(5)
    for name, p in sorted(net.state_dict().items()):
        p.normal_(0, p[0].numel()**-0.5 if p.ndim > 1 else 0.05, generator=generator)
        if "norm" in name and name.endswith("weight"):
            p += 1
    return net


def oracle_of(package, shape):
    """The package, or a skipped test. Nets of full size, up to 3.4 GB, are compared where all oracles are installed."""
    if not shape:
        pytest.importorskip("transformers", reason="full size asks for the extra `oracles`")
    return pytest.importorskip(package)


def diffusers_names():
    """Every name of the three files of a diffusers folder, {part: [name, ...]}, written from its structure."""
    def attention(at):
        for k in ("attn1", "attn2"):
            yield from (f"{at}.transformer_blocks.0.{k}.to_{x}.weight" for x in "qkv")
            yield from both(f"{at}.transformer_blocks.0.{k}.to_out.0")
        for rest in ("norm", "proj_in", "proj_out", *(f"transformer_blocks.0.{x}" for x in (
                "norm1", "norm2", "norm3", "ff.net.0.proj", "ff.net.2"))):
            yield from both(f"{at}.{rest}")

    def block(at, *more):
        for rest in ("norm1", "conv1", "norm2", "conv2", *more):
            yield from both(f"{at}.{rest}")

    def both(at):
        return f"{at}.weight", f"{at}.bias"
    unet = [name for at in ("conv_in", "conv_norm_out", "conv_out", "time_embedding.linear_1", "time_embedding.linear_2")
            for name in both(at)]
    time, skip = "time_emb_proj", "conv_shortcut"
    for b in range(4):
        for j in range(2):
            unet += block(f"down_blocks.{b}.resnets.{j}", time, *[skip] * (b in (1, 2) and j == 0))
            unet += attention(f"down_blocks.{b}.attentions.{j}") if b < 3 else ()
        unet += both(f"down_blocks.{b}.downsamplers.0.conv") if b < 3 else ()
        for j in range(3):
            unet += block(f"up_blocks.{b}.resnets.{j}", time, skip)
            unet += attention(f"up_blocks.{b}.attentions.{j}") if b else ()
        unet += both(f"up_blocks.{b}.upsamplers.0.conv") if b < 3 else ()
    for j in range(2):
        unet += block(f"mid_block.resnets.{j}", time)
    unet += attention("mid_block.attentions.0")
    vae = [*both("quant_conv"), *both("post_quant_conv")]
    for side, way, n in (("encoder", "down", 2), ("decoder", "up", 3)):
        vae += [name for end in ("conv_in", "conv_norm_out", "conv_out") for name in both(f"{side}.{end}")]
        vae += [name for j in range(2) for name in block(f"{side}.mid_block.resnets.{j}")]
        for x in ("group_norm", "to_q", "to_k", "to_v", "to_out.0"):
            vae += both(f"{side}.mid_block.attentions.0.{x}")
        for b in range(4):
            for j in range(n):
                wider = b in ((1, 2) if side == "encoder" else (2, 3)) and j == 0
                vae += block(f"{side}.{way}_blocks.{b}.resnets.{j}", *[skip] * wider)
            vae += both(f"{side}.{way}_blocks.{b}.{way}samplers.0.conv") if b < 3 else ()
    text = [f"text_model.embeddings.{x}_embedding.weight" for x in ("token", "position")]
    text += both("text_model.final_layer_norm")
    for n in range(12):
        for x in (*(f"self_attn.{y}_proj" for y in ("q", "k", "v", "out")), "layer_norm1", "layer_norm2", "mlp.fc1",
                  "mlp.fc2"):
            text += both(f"text_model.encoder.layers.{n}.{x}")
    return {"unet": unet, "vae": vae, "text": text}


def as_published(part, net, names=None):
    """The weights of one of our nets under the names of a diffusers folder, or under `names`: {name: Tensor}."""
    own = net.state_dict()
    return {name: own[own_name(name)[1]] for name in names or diffusers_names()[part]}
