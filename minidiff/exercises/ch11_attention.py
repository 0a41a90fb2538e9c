"""The exercises of chapter 11 about reading a text: cross-attention and GLIDE's joint attention."""

import torch

from minidiff.exercises.ch04 import filled, randn, weights
from minidiff.exercises.core import Case, Exercise
from minidiff.models.cross_attention import CrossAttention2d, JointAttention2d


def reading_inputs(B, C, H, W, L, width, dtype=torch.float64):
    """Pictures, tokens, and which tokens belong to each text: at least one, the padding last."""
    def draw(generator):
        lengths = torch.randint(1, L + 1, (B,), generator=generator)
        return (randn(generator, B, C, H, W, dtype=dtype), randn(generator, B, L, width, dtype=dtype),
                torch.arange(L) < lengths[:, None])
    return draw


def layer_of(fn, x, tokens, **options):
    return filled(fn(x.shape[1], tokens.shape[2], **options))


def run(fn, x, tokens, mask, **options):
    """A filled layer on x (B, C, H, W), tokens (B, L, width) and mask (B, L)."""
    return layer_of(fn, x, tokens, **options)(x, (tokens, mask))


def maps(fn, x, tokens, mask, **options):
    return layer_of(fn, x, tokens, **options).maps(x, (tokens, mask))


def sharp(fn, x, tokens, mask):
    """A layer whose queries are large, so that each place reads few tokens: then the scale of the scores matters."""
    layer = layer_of(fn, x, tokens, heads=2)
    with torch.no_grad():
        layer.q.weight.mul_(8)
    return layer(x, (tokens, mask))


def other_padding(fn, x, tokens, mask):
    """The layer's answer where the tokens that are masked are replaced by huge ones."""
    return run(fn, x, torch.where(mask[:, :, None], tokens, 1e6), mask)


def reordered(fn, x, tokens, mask):
    """The layer's answer to the tokens in the opposite order."""
    return run(fn, x, tokens.flip(1), mask.flip(1))


def new(fn, x, tokens, mask):
    return fn(x.shape[1], tokens.shape[2])(x, (tokens, mask))


def slope(fn, x, tokens, mask):
    """How far each token is heard: the gradient of the layer's answer with respect to the tokens."""
    tokens = tokens.clone().requires_grad_()
    return torch.autograd.grad(run(fn, x, tokens, mask).square().sum(), tokens)[0]


def new_inputs(generator):
    return reading_inputs(2, 8, 3, 5, 4, 6, torch.float32)(generator)


CROSS_ATTENTION = Exercise(
    id="ch11.CrossAttention2d", title="cross-attention", reference=CrossAttention2d, points=5, minutes=25,
    difficulty="medium",
    cases=(
        Case("reads the text from every place", reading_inputs(3, 8, 4, 3, 5, 6), run,
             hint="attention with the queries of the places, keys and values of the tokens; join the heads, then "
                  "self.o, then back to the shape of x, and x is added"),
        Case("is the identity when it is new", new_inputs, new, expect=lambda x, *_: x,
             hint="self.o starts at zero, so x + ... must remain x"),
        Case("does not read what is masked", reading_inputs(4, 8, 3, 3, 6, 5), other_padding, expect=lambda *given: run(
            CrossAttention2d, *given), central=True,
             hint="attn_mask is True where a token may be read; the axes are (B, heads, places, tokens)"),
        Case("hears each token as much as it should", reading_inputs(3, 8, 2, 4, 5, 7), slope),
        Case("does not mind the order of the tokens", reading_inputs(2, 8, 3, 4, 5, 6), reordered,
             expect=lambda *given: run(CrossAttention2d, *given)),
        Case("divides by the root of a head's width", reading_inputs(2, 8, 3, 3, 6, 4), sharp,
             hint="F.scaled_dot_product_attention does it, if the heads were split before"),
        Case("shows in its maps what each place takes from each token", reading_inputs(3, 8, 4, 3, 5, 6), maps,
             hint="the softmax of q k^T / sqrt(c) over the tokens, masked ones at -inf; (B, heads, H W, L) becomes "
                  "(B, heads, H, W, L) by .unflatten(2, ...)"),
        Case("has as many heads as one asks for", reading_inputs(2, 12, 2, 5, 3, 4),
             lambda fn, *given: [f(fn, *given, heads=3, groups=4) for f in (run, maps)]),
        Case("has the weights that the constructor names", lambda g: (16, 10), lambda fn, *sizes: weights(fn(*sizes)),
             kind="shape"),
    ),
    hints=("the places: self.norm(x).flatten(2).transpose(1, 2), (B, H W, C); split_heads(self.q(places), self.heads) "
           "are their queries; keys and values come from the tokens",
           "seen is mask[:, None, None, :]; then F.scaled_dot_product_attention(q, k, v, attn_mask=seen)",
           "join_heads gives (B, H W, C): after self.o, .transpose(1, 2).reshape(x.shape)"))


def gate(fn, x, tokens, mask):
    """The part of the whole that each place takes from the text."""
    return maps(fn, x, tokens, mask).sum(dim=4)


JOINT_ATTENTION = Exercise(
    id="ch11.JointAttention2d", title="GLIDE's keys: places and tokens side by side", reference=JointAttention2d,
    points=5, minutes=25, difficulty="hard",
    cases=(
        Case("shares out one softmax over places and tokens", reading_inputs(3, 8, 3, 4, 5, 6), run,
             hint="keys: those of the places, then those of the tokens, along the axis of what is read"),
        Case("is the identity when it is new", new_inputs, new, expect=lambda x, *_: x),
        Case("does not read what is masked, and reads all places", reading_inputs(4, 8, 3, 3, 6, 5), other_padding,
             expect=lambda *given: run(JointAttention2d, *given), central=True,
             hint="F.pad(mask, (number of places, 0), value=True) puts that many True before the mask"),
        Case("hears each token as much as it should", reading_inputs(3, 8, 2, 4, 5, 7), slope,
             hint="the values must stand in the order of the keys"),
        Case("shows in its maps the part of the text", reading_inputs(3, 8, 4, 3, 5, 6), maps,
             hint="the softmax runs over places and tokens; only the tokens' part is shown"),
        Case("leaves something for the places", reading_inputs(3, 8, 2, 3, 4, 6), gate,
             hint="one softmax, not two that are added"),
        Case("does not mind the order of the tokens", reading_inputs(2, 8, 3, 4, 5, 6), reordered,
             expect=lambda *given: run(JointAttention2d, *given)),
        Case("has as many heads as one asks for", reading_inputs(2, 12, 2, 5, 3, 4),
             lambda fn, *given: run(fn, *given, heads=3, groups=4)),
        Case("has the weights that the constructor names", lambda g: (16, 10), lambda fn, *sizes: weights(fn(*sizes)),
             kind="shape"),
    ),
    hints=("keys, values = self.own(places).chunk(2, dim=2), both (B, H W, C)",
           "torch.cat([keys, self.k(tokens)], dim=1) is (B, H W + L, C)",
           "split all three into heads last: split_heads(h, self.heads)"))


EXERCISES = (CROSS_ATTENTION, JOINT_ATTENTION)
