"""What recipes of captioned pictures share: tokens of captions, words that are dropped, the net, loss and draw."""

from functools import partial

import torch

from minidiff.data.tokenizer import PAD, Words, batch
from minidiff.models.labels import LabelEmbedding, drop_labels
from minidiff.models.text_encoder import TextEncoder
from minidiff.models.text_unet import READERS, TextUNet
from minidiff.models.unet import UNet
from minidiff.process.denoiser import denoiser_of
from minidiff.process.flow import FLOW, flow_path, shift_times
from minidiff.process.targets import X0
from minidiff.process.weighted_loss import logit_normal_times, stratified_times, weighted_loss
from minidiff.recipes.recipe import Draw
from minidiff.samplers.flow import HEUN_FLOW
from minidiff.samplers.grids import even_times

TARGETS = {"x0": X0, "flow": FLOW}


def tokenizer(config):
    """The words that a net of config["words"] knows: Words."""
    return Words(tuple(config["words"]))


def tokens_of(config, captions):
    """The tokens of captions: (N, config["length"]) int64; words that are not known are left out.

    Raises ValueError for a caption that is too long.
    """
    words = tokenizer(config)
    return batch(words, [words.decode(words.encode(caption)) for caption in captions], config["length"])[0]


def text_unet(config):
    """The net of config["net"]: a U-Net beside a text encoder of net["text"], and a style where config["styles"] is.

    net["reads"] names the attention layers, of `READERS`; net["mean"], by default True, is that of `TextUNet`. It takes
    tokens=(B, L), and style=(B,) int.
    """
    net = dict(config["net"])
    text, reads, mean = net.pop("text"), READERS[net.pop("reads")], net.pop("mean", True)
    encoder = TextEncoder(tokenizer(config).size, length=config["length"], **text)
    unet = UNet(config["shape"][0], make_attention=partial(reads, width=encoder.width), **net)
    whole = TextUNet(encoder, encoder.width, unet, net["width"], PAD, mean)
    if "styles" in config:
        whole.embed.extra["style"] = LabelEmbedding(len(config["styles"]), net["width"])
    return whole


def clear_at_most(least, snr):
    """The weight 1 / max(t, least) of the straight path, where SNR = ((1 - t) / t)^2, on the error of x0."""
    return (1 + snr.sqrt()).clamp(max=1 / least)


def caption_loss(config, tokens_of_batch=None):
    """The error of config["target"] on the straight path, told the caption, or in some of the batch none.

    tokens_of_batch: (batch, generator) -> tokens (B, L), by default batch["tokens"]. config["uncaptioned"] is the part
    of the pictures that lose caption and style (Ho and Salimans 2022, algorithm 1). config["times"], where it is there,
    is the mean and the standard deviation of the logits of the times; else they are uniform, one in each slice.
    """
    times = stratified_times
    if "times" in config:
        mean, std = config["times"]
        times = partial(logit_normal_times, mean=mean, std=std)
    path, target, rate = flow_path(), TARGETS[config["target"]], config["uncaptioned"]
    weight = partial(clear_at_most, config["least_time"]) if target is X0 else None
    empty = tokens_of(config, [""])

    def loss(net, batch, generator):
        tokens = tokens_of_batch(batch, generator) if tokens_of_batch else batch["tokens"]
        rows = drop_labels(torch.ones(len(tokens), dtype=torch.long), rate, 0, generator).to(tokens.device)
        cond = {"tokens": torch.where(rows[:, None] == 1, tokens, empty.to(tokens))}
        if "style" in batch:
            cond["style"] = torch.where(rows == 1, batch["style"], len(config["styles"]))
        return weighted_loss(partial(net, **cond), batch["x"], path, target, generator, times, weight)
    return loss


def caption_draw(config, cond, steps=19):
    """Heun's method, with more steps near the noise; without a caption is the empty text. cond: as `Draw` has it."""
    empty = tokens_of(config, [""])

    def null(given):
        none = {"tokens": empty.to(given["tokens"]).expand_as(given["tokens"])}
        return none | {"style": torch.full_like(given["style"], len(config["styles"])) for _ in "1" if "style" in given}

    return Draw(flow_path(), lambda net, path: denoiser_of(net, path, TARGETS[config["target"]]), config["shape"],
                HEUN_FLOW, steps=steps, grid=lambda path, n: shift_times(even_times(path, n), config["shift"]),
                cond=cond, null=null)


def captions_asked_for(n, caption, default):
    """n captions: one text for all, a list of one a picture, or by default what default(n) gives. Raises ValueError."""
    captions = default(n) if caption is None else [caption] * n if isinstance(caption, str) else list(caption)
    if len(captions) != n:
        raise ValueError(f"captions must be {n}, one a picture, got {len(captions)}")
    return captions


def as_text(config, tokens):
    """The captions of tokens (N, L): a list of texts, with signs where the grammar of shapes wants them."""
    words = tokenizer(config)
    return [words.decode(row).replace(" ,", ",") for row in tokens.tolist()]
