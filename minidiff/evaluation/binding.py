"""Does a net know whose colour and shape a word names? Captions that are wrong in that alone, and their errors."""

from dataclasses import replace

import torch

from minidiff.data.shapes_words import COLOURS, SHAPES
from minidiff.data.tokenizer import split
from minidiff.models.text_encoder import pool_mean

PARTS = {"colours": "colour", "shapes": "shape"}


def can_swap(description):
    """Whether a Description names two single things of different colours and shapes: then a swap makes it false."""
    return (len(description.things) == 2 and all(thing.count == 1 for thing in description.things)
            and all(len({getattr(thing, part) for thing in description.things}) == 2 for part in PARTS.values()))


def swapped(description, what):
    """The Description with the "colours" or the "shapes" of its two things exchanged: the same words, false.

    Raises ValueError for something else to exchange, and for a Description that `can_swap` refuses.
    """
    if what not in PARTS:
        raise ValueError(f"what is swapped must be one of {', '.join(PARTS)}, got {what!r}")
    if not can_swap(description):
        raise ValueError(f"only two single things of two colours and two shapes can be swapped, got {description}")
    one, other = description.things
    part = PARTS[what]
    return replace(description, things=(replace(one, **{part: getattr(other, part)}),
                                        replace(other, **{part: getattr(one, part)})))


def word_places(caption):
    """Where a caption of shapes names its things: {"colour": [...], "shape": [...]}, a number for each thing, in order.

    The numbers count the tokens of `Words`, of which the first, 0, is the start of the text.
    """
    words = [word.removesuffix("es") if word == "crosses" else word.rstrip("s") if word not in SHAPES else word
             for word in split(caption)]
    return {part: [i for i, word in enumerate(words, start=1) if word in known]
            for part, known in (("colour", COLOURS), ("shape", SHAPES))}


@torch.no_grad()
def errors_by_time(net, x0, captions, times, path, generator):
    """The squared error of x0 that a net makes with each of several captions: {name: (T, N)}, a mean over pixels.

    net: (x_t, t on the scale 0..1000, tokens=(N, L)) -> x0; x0: (N, ...); captions: {name: tokens (N, L)}; times: T of
    `path`. All captions meet the same noise, one for each time and picture, so their differences are of the words.
    """
    found = {name: [] for name in captions}
    for t in times:
        t = torch.full((len(x0),), float(t), dtype=torch.float64)
        eps = torch.randn(x0.shape, generator=generator).to(x0)
        x_t = path.mix(x0, eps, t)
        for name, tokens in captions.items():
            guess = net(x_t, path.net_time(t), tokens=tokens)
            found[name].append((guess - x0).square().flatten(1).mean(dim=1))
    return {name: torch.stack(rows) for name, rows in found.items()}


def two_ways_in(net):
    """A `TextUNet` that reads two texts: (x, t, tokens=(N, 2, L)) -> as x.

    The first goes word by word to the attention layers, the second as a mean to the vector of the time. With the same
    text twice it is the net itself. Raises ValueError for a net that adds no mean to the time: it has one way in.
    """
    if not net.mean:
        raise ValueError("the net adds no mean of its text to the time, so the text has one way in only")

    def read(x, t, tokens):
        words, whole = tokens.unbind(dim=1)
        vectors, mask = net.encoder(words, words != net.pad), whole != net.pad
        mean = pool_mean(net.encoder(whole, mask), mask)
        return net.unet(x, t, context=(vectors, words != net.pad), text=mean)
    return read
