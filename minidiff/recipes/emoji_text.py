"""emoji-text: a U-Net learns to draw emoji in three styles from their names and key words."""

from functools import partial

import torch

from minidiff.data.emoji import STYLES, emoji
from minidiff.data.tokenizer import END, PAD, START, UNKNOWN, learn_words
from minidiff.models.labels import check_labels
from minidiff.recipes.captions import caption_draw, caption_loss, captions_asked_for, text_unet, tokenizer, tokens_of
from minidiff.recipes.recipe import Recipe

NAME = 1  # the part of a caption that is the name; key words are the parts after it, 0 is what always stays


def pictures(config):
    """The training pictures, their styles, the tokens of name and key words, and to which of these a token belongs.

    {"x": (N, 3, 32, 32), "style": (N,), "tokens": (N, L), "parts": (N, L)} with L = config["longest"].
    """
    chosen, styles = emoji("train"), STYLES[:3]
    texts = [[name, *(tag for tag in tags if tag not in name.split())]
             for name, tags in zip(chosen.captions, chosen.tags, strict=True)]
    facts = {"data": "emoji", "styles": list(styles),
             "words": list(learn_words([part for text in texts for part in text], config["least"]).words)}
    words = tokenizer(facts)
    tokens = torch.full((len(texts), config["longest"]), PAD)
    parts = torch.zeros_like(tokens)
    for i, text in enumerate(texts):
        numbers = [(token, k) for k, part in enumerate(text, start=NAME) for token in words.encode(part)
                   if token != UNKNOWN]
        for j, (token, k) in enumerate(numbers[:config["longest"]]):
            tokens[i, j], parts[i, j] = token, k
    return {"x": chosen.pictures, "style": torch.tensor([styles.index(style) for style in chosen.styles]),
            "tokens": tokens, "parts": parts}, facts


def some_words(batch, generator, config):
    """A caption for each row, (B, config["length"]) as `tokens_of` makes them: its name and some of its key words.

    A row is left with a part c of its key words, where c is 0 for every other row and uniform in 0..1 for the rest. One
    name in ten is left out where key words remain. The order of the parts is random, that of the words in a name not.
    """
    parts, B = batch["parts"], len(batch["parts"])
    u = torch.rand(B, 2 * config["longest"] + 4, generator=generator).to(parts.device)
    share, nameless, u = (2 * u[:, 0] - 1).clamp(min=0), u[:, 1] < config["nameless"], u[:, 2:]
    stays, place = (side.gather(1, parts) for side in u.chunk(2, dim=1))
    real = batch["tokens"] != PAD
    kept = real & (parts > NAME) & (stays < share[:, None])
    nameless &= kept.any(dim=1)
    kept |= real & (parts == NAME) & ~nameless[:, None]
    order = torch.where(kept, place, 2.0).argsort(dim=1, stable=True)[:, :config["length"] - 2]
    kept = kept.gather(1, order)
    tokens = torch.full((B, config["length"]), PAD, device=parts.device)
    tokens[:, 1:-1] = torch.where(kept, batch["tokens"].gather(1, order), PAD)
    tokens[:, 0] = START
    return tokens.scatter(1, kept.sum(dim=1, keepdim=True) + 1, END)


def asked_for(n, config, caption=None, style=None):
    """{"tokens": (n, L), "style": (n,)} of captions and styles, each one for all or a list of n; "any" is a style too.

    By default the pairs held out of training, in turn; a caption alone is drawn in each style in turn. Raises
    ValueError for a style that is none.
    """
    held = emoji("test")
    if style is None:
        style = in_turn(held.styles if caption is None else config["styles"], n)
    style, known = [style] * n if isinstance(style, str) else list(style), [*config["styles"], "any"]
    if unknown := [s for s in style if s not in known]:
        raise ValueError(f"style must be one of {', '.join(known)}, got {unknown[0]!r}")
    return {"tokens": tokens_of(config, captions_asked_for(n, caption, partial(in_turn, held.captions))),
            "style": check_labels(torch.tensor([known.index(s) for s in style]), len(config["styles"]), n)}


def in_turn(values, n):
    """n values, from the first again after the last: a list."""
    return [values[i % len(values)] for i in range(n)]


RECIPE = Recipe(
    name="emoji-text", data=pictures, net=text_unet,
    loss=lambda config: caption_loss(config, partial(some_words, config=config)),
    draw=lambda config: caption_draw(config, partial(asked_for, config=config)),
    presets={"cpu": {"net": {"channels": [64, 128, 160], "blocks": 1, "patch": 2, "width": 192, "attention": [1, 2],
                             "reads": "self+cross", "text": {"width": 128, "depth": 1, "heads": 4}},
                     "batch": 32, "fit": {"lr": 1e-3, "precision": "float32"}},
             "cuda": {"net": {"channels": [96, 160, 224], "blocks": 2, "patch": 2, "width": 256, "attention": [1, 2],
                              "reads": "self+cross", "text": {"width": 192, "depth": 2, "heads": 6}},
                      "batch": 512, "fit": {"lr": 1e-3, "precision": "bfloat16", "compile": True}}},
    config={"shape": [3, 32, 32], "length": 20, "longest": 28, "least": 2, "nameless": 0.1, "target": "x0",
            "least_time": 0.2, "shift": 1.0, "uncaptioned": 0.1})
