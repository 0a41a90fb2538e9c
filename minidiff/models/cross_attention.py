"""How a picture reads a text: each place asks all tokens, and takes from those that answer."""

import contextlib

import torch
import torch.nn.functional as F
from torch import nn

from minidiff.models.layers import Attention2d, GroupNorm, zero_init
from minidiff.models.text_encoder import join_heads, split_heads


class CrossAttention2d(nn.Module):
    """Attention from the places of a picture to the tokens of a text (Rombach et al. 2022, section 3.3).

    channels: of the picture; width: of a token; heads. The output projection starts at zero: a new layer is the
    identity. Without positions in the tokens, their order does not matter.

    forward(x (B, C, H, W), context) -> (B, C, H, W), with context = (tokens (B, L, width), mask (B, L) bool): what is
    masked is not read. Raises ValueError for channels that are no multiple of heads.
    """

    def __init__(self, channels, width, heads=4, groups=8):
        super().__init__()
        if channels % heads:
            raise ValueError(f"channels must be a multiple of heads, got {channels} and {heads}")
        self.heads = heads
        self.norm = GroupNorm(groups, channels)
        self.q = nn.Linear(channels, channels)
        self.k, self.v = nn.Linear(width, channels), nn.Linear(width, channels)
        self.o = zero_init(nn.Linear(channels, channels))

    def attended(self, x, context):
        """What places ask and what answers: q (B, heads, H W, c), k and v (B, heads, N, c), seen (B, 1, 1, N) bool."""
        tokens, mask = context
        places = self.norm(x).flatten(2).transpose(1, 2)
        q, k, v = (split_heads(h, self.heads) for h in (self.q(places), self.k(tokens), self.v(tokens)))
        return q, k, v, mask[:, None, None, :]

    def forward(self, x, context):
        q, k, v, seen = self.attended(x, context)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=seen)
        return x + self.o(join_heads(mixed)).transpose(1, 2).reshape(x.shape)

    def maps(self, x, context):
        """How much each place takes from each token: (B, heads, H, W, L), >= 0; over all that answers the sum is 1."""
        q, k, _, seen = self.attended(x, context)
        scores = (q @ k.transpose(2, 3) / q.shape[-1]**0.5).masked_fill(~seen, -torch.inf)
        return scores.softmax(dim=-1)[..., -context[1].shape[1]:].unflatten(2, x.shape[2:])


class TextAttention2d(nn.Module):
    """Attention between the places of a picture, then from these to the text: forward(x, context), as both."""

    def __init__(self, channels, width, heads=4):
        super().__init__()
        self.places, self.text = Attention2d(channels, heads), CrossAttention2d(channels, width, heads)

    def forward(self, x, context):
        return self.text(self.places(x), context)


class JointAttention2d(CrossAttention2d):
    """One attention to places and tokens together: the keys of the text beside those of the picture.

    (Nichol et al. 2022, GLIDE, section 3: the tokens are projected and concatenated to the attention context.) One
    softmax shares out what a place takes, so the `maps`, which are of the text's part, have a sum below 1.
    """

    def __init__(self, channels, width, heads=4, groups=8):
        super().__init__(channels, width, heads, groups)
        self.own = nn.Linear(channels, 2 * channels)  # keys and values of the places

    def attended(self, x, context):
        """As in `CrossAttention2d`, with N = H W + L: the places first, then the tokens."""
        tokens, mask = context
        places = self.norm(x).flatten(2).transpose(1, 2)
        keys, values = self.own(places).chunk(2, dim=2)
        q, k, v = (split_heads(h, self.heads) for h in (
            self.q(places), torch.cat([keys, self.k(tokens)], dim=1), torch.cat([values, self.v(tokens)], dim=1)))
        return q, k, v, F.pad(mask, (places.shape[1], 0), value=True)[:, None, None, :]


@contextlib.contextmanager
def attention_maps(net):
    """Within it, each call of the net's cross-attention adds its `maps` to the list that is given: in order of calls.

    with attention_maps(net) as maps: net(x, t, ...); then maps[k] is (B, heads, H, W, L) of the k-th layer.
    """
    found = []
    hooks = [layer.register_forward_hook(lambda layer, inputs, _: found.append(layer.maps(*inputs).detach()))
             for layer in net.modules() if isinstance(layer, CrossAttention2d)]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()
