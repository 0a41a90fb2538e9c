"""tiny-clip: two towers learn which caption belongs to which picture, of emoji and of scenes of shapes."""

import torch
import torch.nn.functional as F

from minidiff.data.shapes import shapes
from minidiff.data.tokenizer import PAD, learn_words
from minidiff.models.clip import Clip
from minidiff.models.text_encoder import TextEncoder
from minidiff.process.contrastive import info_nce
from minidiff.recipes import emoji_text
from minidiff.recipes.captions import tokenizer, tokens_of
from minidiff.recipes.recipe import Recipe

DRAWN = "shapes"  # the style word of the scenes, beside those of the emoji


def pairs(config):
    """Emoji and as many scenes as config["scenes"], each with the tokens of its texts and the number of what it shows.

    Beside what `emoji_text.pictures` gives, "thing": (N,), equal for the pictures of one caption, and "word": (N,), the
    token of the style. The style of a scene is the word "shapes".
    """
    some, facts = emoji_text.pictures(config)
    scenes = shapes(config["scenes"], seed=config["scene_seed"])
    new = learn_words([*scenes.captions, *facts["styles"], DRAWN]).words
    facts |= {"words": facts["words"] + [word for word in new if word not in facts["words"]]}
    words = tokenizer(facts)
    tokens = torch.full((len(scenes.captions), config["longest"]), PAD)
    for row, caption in zip(tokens, scenes.captions, strict=True):
        numbers = torch.tensor(words.encode(caption))
        row[:len(numbers)] = numbers
    style_words = torch.tensor([words.encode(style)[0] for style in [*facts["styles"], DRAWN]])
    names = [(*row,) for row in torch.where(some["parts"] == emoji_text.NAME, some["tokens"], PAD).tolist()]
    things = {name: i for i, name in enumerate(dict.fromkeys([*names, *map(tuple, tokens.tolist())]))}
    return {"x": torch.cat([some["x"], scenes.pictures]), "tokens": torch.cat([some["tokens"], tokens]),
            "parts": torch.cat([some["parts"], (tokens != PAD) * emoji_text.NAME]),
            "word": torch.cat([style_words[some["style"]], style_words[-1].expand(len(tokens))]),
            "thing": torch.tensor([things[key] for key in [*names, *map(tuple, tokens.tolist())]])}, facts


def clip(config):
    """The two towers of config["net"]: a text encoder of net["text"] and what `Clip` takes beside it."""
    net = dict(config["net"])
    encoder = TextEncoder(tokenizer(config).size, length=config["length"], **net.pop("text"))
    return Clip(encoder, pad=PAD, **net)


def shifted(x, most, generator):
    """Pictures (B, C, H, W), each moved by up to `most` pixels a side, its border repeated where it leaves a gap."""
    B, _, H, W = x.shape
    move = torch.randint(0, 2 * most + 1, (2, B, 1), generator=generator).to(x.device)
    rows, columns = ((torch.arange(n, device=x.device) + by) for n, by in zip((H, W), move, strict=True))
    wide = F.pad(x, [most] * 4, mode="replicate").permute(0, 2, 3, 1)
    which = torch.arange(B, device=x.device)[:, None, None]
    return wide[which, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def some_text(config, batch, generator, told):
    """Tokens for the rows of `pairs`, (B, config["length"]): some words of each, as emoji-text draws them.

    told: whether the word for the style stands at the head of each.
    """
    words = emoji_text.some_words(batch, generator, config | {"length": config["length"] - 1})
    if told:
        return torch.cat([words[:, :1], batch["word"][:, None], words[:, 1:]], dim=1)
    return F.pad(words, (0, 1), value=PAD)


def contrastive_loss(config):
    """InfoNCE of pictures moved a little and of some of their words; in every other batch the style is told first.

    Two pictures of a batch have the same id where the same is said of them: the thing, and the style where it is told.
    """
    def loss(net, batch, generator):
        told = bool(torch.rand((), generator=generator) < config["told"])
        tokens = some_text(config, batch, generator, told)
        ids = batch["thing"] * len(config["words"]) + told * batch["word"]
        return info_nce(*net(shifted(batch["x"], config["shift"], generator), tokens), ids), {}
    return loss


def known(config, captions):
    """Captions without the words that a net of this description does not know: a list of texts."""
    words = tokenizer(config)
    return [words.decode(words.encode(caption)) for caption in captions]


@torch.no_grad()
def embed_captions(config, net, captions):
    """The unit vectors of captions, words that are not known left out: (N, dim). A style may be the first word.

    config: that of the loaded recipe. Raises ValueError for a caption that is too long.
    """
    tokens = tokens_of(config, known(config, captions))
    return torch.cat([net.encode_texts(some) for some in tokens.split(500)])


@torch.no_grad()
def embed_pictures(net, pictures):
    """The unit vectors of pictures (N, 3, 32, 32): (N, dim)."""
    return torch.cat([net.encode_pictures(some) for some in pictures.split(500)])


TOWERS = {"net": {"dim": 64, "channels": [32, 64, 128], "dropout": 0.2,
                  "text": {"width": 128, "depth": 1, "heads": 4}},
          "batch": 128, "fit": {"lr": 1.5e-3, "warmup": 30, "precision": "float32", "weight_decay": 0.05}}
RECIPE = Recipe(
    name="tiny-clip", data=pairs, net=clip, loss=contrastive_loss, presets={"cpu": TOWERS, "cuda": TOWERS},
    config={"length": 21, "longest": 28, "least": 2, "nameless": 0.1, "scenes": 1_500, "scene_seed": 1, "told": 0.5,
            "shift": 3})
