"""What published files call the weights of Stable Diffusion 1, in rules: both layouts become the course's names.

"diffusers" is a folder with a file for each net, "LDM" (Rombach et al. 2022, released code) one file with all of them.
A rule is a pattern and what it becomes; {0}, {1}, ... are its groups, of which numbers may be computed with.
"""

import re

TRANSFORMER = [
    (r"transformer_blocks\.0\.attn1\.to_(?:(q|k|v)|(o)ut\.0)\.(.+)", "places.{0}{1}.{2}"),
    (r"transformer_blocks\.0\.attn2\.to_(?:(q|k|v)|(o)ut\.0)\.(.+)", "text.{0}{1}.{2}"),
    (r"transformer_blocks\.0\.(norm[123])\.(.+)", "{0}.{1}"),
    (r"transformer_blocks\.0\.ff\.net\.0\.proj\.(.+)", "mlp.0.{0}"),
    (r"transformer_blocks\.0\.ff\.net\.2\.(.+)", "mlp.1.{0}"),
    (r"proj_(in|out)\.(.+)", "conv_{0}.{1}"),
    (r"norm\.(.+)", "norm.{0}"),
]
BLOCK = [
    (r"(norm[12]|conv[12])\.(.+)", "{0}.{1}"),
    (r"time_emb_proj\.(.+)", "time.{0}"),
    (r"(?:conv_shortcut|nin_shortcut|skip_connection)\.(.+)", "skip.{0}"),
    (r"in_layers\.0\.(.+)", "norm1.{0}"),
    (r"in_layers\.2\.(.+)", "conv1.{0}"),
    (r"emb_layers\.1\.(.+)", "time.{0}"),
    (r"out_layers\.0\.(.+)", "norm2.{0}"),
    (r"out_layers\.3\.(.+)", "conv2.{0}"),
]
ONE_HEAD = [
    (r"(?:group_)?norm\.(.+)", "norm.{0}"),
    (r"(?:to_)?(q|k|v)(?:uery|ey|alue)?\.(.+)", "{0}.{1}"),
    (r"(?:to_out\.0|proj_attn|proj_out)\.(.+)", "o.{0}"),
]
CONV = [(r"conv\.(.+)", "conv.{0}")]

# The nets, part by part: a pattern of the beginning, what it becomes, and the rules for the rest (None: as it is).
# Places on the way down come in threes (two stages, then half the resolution), those on the way up in fours.
UNET = [
    (r"time_embedding\.linear_([12])\.", lambda k: f"embed.mlp.{2 * k - 2}.", None),
    (r"time_embed\.([02])\.", lambda k: f"embed.mlp.{k}.", None),
    (r"(?:conv_in|input_blocks\.0\.0)\.", lambda: "down.0.", None),
    (r"(?:conv_norm_out|out\.0)\.", lambda: "norm.", None),
    (r"(?:conv_out|out\.2)\.", lambda: "conv_out.", None),
    (r"down_blocks\.(\d)\.resnets\.(\d)\.", lambda b, j: f"down.{1 + 3 * b + j}.block.", BLOCK),
    (r"down_blocks\.(\d)\.attentions\.(\d)\.", lambda b, j: f"down.{1 + 3 * b + j}.attend.", TRANSFORMER),
    (r"down_blocks\.(\d)\.downsamplers\.0\.", lambda b: f"down.{3 * b + 3}.", CONV),
    (r"input_blocks\.(\d+)\.0\.op\.", lambda n: f"down.{n}.conv.", None),
    (r"input_blocks\.(\d+)\.0\.", lambda n: f"down.{n}.block.", BLOCK),
    (r"input_blocks\.(\d+)\.1\.", lambda n: f"down.{n}.attend.", TRANSFORMER),
    (r"mid_block\.resnets\.(\d)\.", lambda j: f"middle.{j}.block.", BLOCK),
    (r"mid_block\.attentions\.0\.", lambda: "middle.0.attend.", TRANSFORMER),
    (r"middle_block\.([02])\.", lambda j: f"middle.{j // 2}.block.", BLOCK),
    (r"middle_block\.1\.", lambda: "middle.0.attend.", TRANSFORMER),
    (r"up_blocks\.(\d)\.resnets\.(\d)\.", lambda b, j: f"up.{4 * b + j}.block.", BLOCK),
    (r"up_blocks\.(\d)\.attentions\.(\d)\.", lambda b, j: f"up.{4 * b + j}.attend.", TRANSFORMER),
    (r"up_blocks\.(\d)\.upsamplers\.0\.", lambda b: f"up.{4 * b + 3}.", CONV),
    (r"output_blocks\.(\d+)\.[12]\.(?=conv\.)", lambda n: f"up.{4 * (n // 3) + 3}.", CONV),
    (r"output_blocks\.(\d+)\.0\.", lambda n: f"up.{n + n // 3}.block.", BLOCK),
    (r"output_blocks\.(\d+)\.1\.", lambda n: f"up.{n + n // 3}.attend.", TRANSFORMER),
]
SIDE = r"(encoder|decoder)\."
VAE = [
    (r"quant_conv\.", lambda: "quant.", None),
    (r"post_quant_conv\.", lambda: "post_quant.", None),
    (SIDE + r"conv_(in|out)\.", lambda side, end: f"{side}.conv_{end}.", None),
    (SIDE + r"(?:conv_norm_out|norm_out)\.", lambda side: f"{side}.norm.", None),
    (r"encoder\.down_blocks\.(\d)\.resnets\.(\d)\.", lambda b, j: f"encoder.down.{3 * b + j}.", BLOCK),
    (r"encoder\.down\.(\d)\.block\.(\d)\.", lambda b, j: f"encoder.down.{3 * b + j}.", BLOCK),
    (r"encoder\.(?:down_blocks\.(\d)\.downsamplers\.0|down\.(\d)\.downsample)\.",
     lambda b, other: f"encoder.down.{3 * (other if b is None else b) + 2}.", CONV),
    (r"decoder\.up_blocks\.(\d)\.resnets\.(\d)\.", lambda b, j: f"decoder.up.{4 * b + j}.", BLOCK),
    (r"decoder\.up_blocks\.(\d)\.upsamplers\.0\.", lambda b: f"decoder.up.{4 * b + 3}.", CONV),
    (r"decoder\.up\.(\d)\.block\.(\d)\.", lambda b, j: f"decoder.up.{4 * (3 - b) + j}.", BLOCK),  # counted from below
    (r"decoder\.up\.(\d)\.upsample\.", lambda b: f"decoder.up.{4 * (3 - b) + 3}.", CONV),
    (SIDE + r"mid_block\.resnets\.(\d)\.", lambda side, j: f"{side}.middle.{2 * j}.", BLOCK),
    (SIDE + r"mid\.block_([12])\.", lambda side, j: f"{side}.middle.{2 * j - 2}.", BLOCK),
    (SIDE + r"(?:mid_block\.attentions\.0|mid\.attn_1)\.", lambda side: f"{side}.middle.1.", ONE_HEAD),
]
LAYER = [
    (r"self_attn\.(?:(q|k|v)|(o)ut)_proj\.(.+)", "{0}{1}.{2}"),
    (r"layer_norm([12])\.(.+)", "norm{0}.{1}"),
    (r"mlp\.fc1\.(.+)", "mlp.0.{0}"),
    (r"mlp\.fc2\.(.+)", "mlp.2.{0}"),
]
CLIP = [
    (r"(?:text_model\.)?embeddings\.(token|position)_embedding\.", lambda table: f"{table}.", None),
    (r"(?:text_model\.)?encoder\.layers\.(\d+)\.", lambda n: f"layers.{n}.", LAYER),
    (r"(?:text_model\.)?final_layer_norm\.", lambda: "norm.", None),
]
PARTS = {  # the net, how its names begin in one file of all three, and its rules
    "unet": (r"(?:model\.diffusion_model\.)?", UNET),
    "vae": (r"(?:first_stage_model\.)?", VAE),
    "text": (r"(?:cond_stage_model\.transformer\.)?", CLIP),
}
# What else stands in published files: the numbers 0..76, and tables that follow from the variances of the steps.
TABLES = ("betas", "alphas_cumprod", "alphas_cumprod_prev", "sqrt_alphas_cumprod", "sqrt_one_minus_alphas_cumprod",
          "log_one_minus_alphas_cumprod", "sqrt_recip_alphas_cumprod", "sqrt_recipm1_alphas_cumprod",
          "posterior_variance", "posterior_log_variance_clipped", "posterior_mean_coef1", "posterior_mean_coef2")
UNUSED = re.compile(rf"(?:cond_stage_model\.transformer\.)?(?:text_model\.)?embeddings\.position_ids|"
                    rf"model_ema\.(?:decay|num_updates)|{'|'.join(TABLES)}")


def own_name(name):
    """Where a published tensor belongs: ("unet", "vae" or "text", the name there), or None for a name not known."""
    for part, (prefix, rules) in PARTS.items():
        rest = name[re.match(prefix, name).end():]
        for pattern, becomes, inner in rules:
            if found := re.match(pattern, rest):
                groups = (int(g) if g and g.isdecimal() else g for g in found.groups())
                tail = rest[found.end():]
                tail = tail if inner is None else _renamed(tail, inner)
                if tail is not None:
                    return part, becomes(*groups) + tail
    return None


def is_unused(name):
    """Whether a published tensor holds no weight of a net: a table, or a number of a training."""
    return UNUSED.fullmatch(name) is not None


def _renamed(name, rules):
    for pattern, becomes in rules:
        if found := re.fullmatch(pattern, name):
            return becomes.format(*(group or "" for group in found.groups()))
    return None
