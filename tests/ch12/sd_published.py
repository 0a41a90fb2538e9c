"""Every name of the published files of Stable Diffusion 1.5, written out from the structure of the nets."""


def both(*places):
    return [f"{at}.{kind}" for at in places for kind in ("weight", "bias")]


def transformer(at):
    inner = [f"{at}.transformer_blocks.0.{k}.to_{x}.weight" for k in ("attn1", "attn2") for x in "qkv"]
    rest = ("attn1.to_out.0", "attn2.to_out.0", "norm1", "norm2", "norm3", "ff.net.0.proj", "ff.net.2")
    return inner + both(*(f"{at}.transformer_blocks.0.{x}" for x in rest),
                        *(f"{at}.{x}" for x in ("norm", "proj_in", "proj_out")))


def block(at, *more):
    return both(*(f"{at}.{x}" for x in ("norm1", "conv1", "norm2", "conv2", *more)))


def diffusers_names():
    """The names of the three files of a diffusers folder: {part: [name, ...]}."""
    unet, skip, time = both("conv_in", "conv_norm_out", "conv_out", "time_embedding.linear_1",
                            "time_embedding.linear_2"), "conv_shortcut", "time_emb_proj"
    for b in range(4):
        for j in range(2):
            unet += block(f"down_blocks.{b}.resnets.{j}", time, *[skip] * (b in (1, 2) and j == 0))
            unet += transformer(f"down_blocks.{b}.attentions.{j}") if b < 3 else []
        for j in range(3):
            unet += block(f"up_blocks.{b}.resnets.{j}", time, skip)
            unet += transformer(f"up_blocks.{b}.attentions.{j}") if b else []
        if b < 3:
            unet += both(f"down_blocks.{b}.downsamplers.0.conv", f"up_blocks.{b}.upsamplers.0.conv")
    unet += block("mid_block.resnets.0", time) + block("mid_block.resnets.1", time)
    unet += transformer("mid_block.attentions.0")
    vae = both("quant_conv", "post_quant_conv")
    for side, way, n, wider in (("encoder", "down", 2, (1, 2)), ("decoder", "up", 3, (2, 3))):
        vae += both(*(f"{side}.{end}" for end in ("conv_in", "conv_norm_out", "conv_out")))
        vae += block(f"{side}.mid_block.resnets.0") + block(f"{side}.mid_block.resnets.1")
        vae += both(*(f"{side}.mid_block.attentions.0.{x}" for x in ("group_norm", "to_q", "to_k", "to_v", "to_out.0")))
        for b in range(4):
            for j in range(n):
                vae += block(f"{side}.{way}_blocks.{b}.resnets.{j}", *[skip] * (b in wider and j == 0))
            vae += both(f"{side}.{way}_blocks.{b}.{way}samplers.0.conv") if b < 3 else []
    return {"unet": unet, "vae": vae, "text": clip_names()}


def clip_names():
    text = [f"text_model.embeddings.{x}_embedding.weight" for x in ("token", "position")]
    inner = (*(f"self_attn.{x}_proj" for x in ("q", "k", "v", "out")), "layer_norm1", "layer_norm2", "mlp.fc1",
             "mlp.fc2")
    return text + both("text_model.final_layer_norm", *(f"text_model.encoder.layers.{n}.{x}" for n in range(12)
                                                        for x in inner))


def ldm_names():
    """The names of the weights in the one file that was published first: {part: [name, ...]}."""
    def told(at, *more):
        return both(*(f"{at}.{x}" for x in ("in_layers.0", "in_layers.2", "emb_layers.1", "out_layers.0",
                                            "out_layers.3", *more)))
    skip = "skip_connection"
    unet = both("time_embed.0", "time_embed.2", "input_blocks.0.0", "out.0", "out.2")
    for n in range(1, 12):
        if n % 3 == 0:
            unet += both(f"input_blocks.{n}.0.op")
        else:
            unet += told(f"input_blocks.{n}.0", *[skip] * (n in (4, 7)))
            unet += transformer(f"input_blocks.{n}.1") if n < 9 else []
    for n in range(12):
        unet += told(f"output_blocks.{n}.0", skip)
        unet += transformer(f"output_blocks.{n}.1") if n > 2 else []
    unet += both("output_blocks.2.1.conv", "output_blocks.5.2.conv", "output_blocks.8.2.conv")
    unet += told("middle_block.0") + transformer("middle_block.1") + told("middle_block.2")
    vae, skip = both("quant_conv", "post_quant_conv"), "nin_shortcut"
    for side, way, n, wider in (("encoder", "down", 2, (1, 2)), ("decoder", "up", 3, (0, 1))):
        vae += both(*(f"{side}.{end}" for end in ("conv_in", "norm_out", "conv_out")))
        vae += block(f"{side}.mid.block_1") + block(f"{side}.mid.block_2")
        vae += both(*(f"{side}.mid.attn_1.{x}" for x in ("norm", "q", "k", "v", "proj_out")))
        for b in range(4):
            for j in range(n):
                vae += block(f"{side}.{way}.{b}.block.{j}", *[skip] * (b in wider and j == 0))
    vae += both(*(f"encoder.down.{b}.downsample.conv" for b in (0, 1, 2)),
                *(f"decoder.up.{b}.upsample.conv" for b in (1, 2, 3)))
    return {"unet": [f"model.diffusion_model.{name}" for name in unet],
            "vae": [f"first_stage_model.{name}" for name in vae],
            "text": [f"cond_stage_model.transformer.{name}" for name in clip_names()]}
