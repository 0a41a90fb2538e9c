"""A transformer that reads a text: one vector a token, each of which has seen the others."""

import torch
import torch.nn.functional as F
from torch import nn


class TextEncoder(nn.Module):
    """Token and position embeddings, then layers of attention and an MLP (Vaswani et al. 2017, sections 3.1 and 3.3).

    size: how many tokens there are; width: of a vector; depth, heads: layers, and heads in each; length: most tokens of
    a text; causal: whether a token sees only itself and those before it (Radford et al. 2021, CLIP); hidden: width
    inside the MLPs, by default 4 width; norm_first: whether a layer normalises what it reads (pre-norm), or what it
    gives back (post-norm, as BERT); eps: of the normalisations. With depth 0 and positions=False it is a bag of words:
    the vector of a token depends on that token alone.

    forward(tokens (B, L) int64, mask (B, L) bool, True for the tokens of the text) -> (B, L, width), zeros at what
    is masked. Raises ValueError for L > length, and for a width that is no multiple of heads.
    """

    def __init__(self, size, width=128, depth=2, heads=4, length=32, causal=False, hidden=None, positions=True,
                 norm_first=True, eps=1e-5):
        super().__init__()
        self.causal, self.norm_first, self.length, self.width = causal, norm_first, length, width
        self.token = nn.Embedding(size, width)
        self.position = nn.Embedding(length, width) if positions else None
        self.norm = nn.LayerNorm(width, eps)  # after the embeddings where norm_first is False, else at the end
        self.layers = nn.ModuleList(Layer(width, heads, hidden or 4 * width, norm_first, eps) for _ in range(depth))
        for table in (self.token, self.position)[:1 + positions]:
            nn.init.normal_(table.weight, std=0.1)

    def forward(self, tokens, mask):
        L = tokens.shape[1]
        if L > self.length:
            raise ValueError(f"texts may have {self.length} tokens, got {L}")
        h = self.token(tokens)
        if self.position is not None:
            h = h + self.position.weight[:L]
        h = h if self.norm_first else self.norm(h)
        seen = pad_mask(mask, self.causal)
        for layer in self.layers:
            h = layer(h, seen)
        return (self.norm(h) if self.norm_first else h) * mask[:, :, None]


class Layer(nn.Module):
    """Self-attention and an MLP, each beside an identity: forward(h (B, L, width), seen) -> (B, L, width).

    seen: (B or 1, 1, L or 1, L) bool, whether the token of a row sees that of a column.
    """

    def __init__(self, width, heads, hidden, norm_first, eps):
        super().__init__()
        if width % heads:
            raise ValueError(f"width must be a multiple of heads, got {width} and {heads}")
        self.heads, self.norm_first = heads, norm_first
        self.q, self.k, self.v, self.o = (nn.Linear(width, width) for _ in range(4))
        self.mlp = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))
        self.norm1, self.norm2 = nn.LayerNorm(width, eps), nn.LayerNorm(width, eps)

    def forward(self, h, seen):
        if self.norm_first:
            h = h + self.attend(self.norm1(h), seen)
            return h + self.mlp(self.norm2(h))
        h = self.norm1(h + self.attend(h, seen))
        return self.norm2(h + self.mlp(h))

    def attend(self, h, seen):
        q, k, v = (split_heads(f(h), self.heads) for f in (self.q, self.k, self.v))
        return self.o(join_heads(F.scaled_dot_product_attention(q, k, v, attn_mask=seen)))


def pad_mask(mask, causal=False):
    """Which token may read which: mask (B, L) bool, True for the tokens of a text -> (B, 1, L or 1, L) bool.

    The last axis is what is read, the one before it who reads, and the 1 stands for the heads. No token reads padding;
    with causal=True none reads what comes after it (Vaswani et al. 2017, section 3.2.3).
    """
    seen = mask[:, None, None, :]
    if causal:
        L = mask.shape[1]
        seen = seen & torch.ones(L, L, dtype=torch.bool, device=mask.device).tril()
    return seen


def split_heads(h, heads):
    """(B, N, C) -> (B, heads, N, C / heads)."""
    return h.unflatten(2, (heads, -1)).transpose(1, 2)


def join_heads(h):
    """(B, heads, N, c) -> (B, N, heads c), which undoes `split_heads`."""
    return h.transpose(1, 2).flatten(2)


def pool_mean(h, mask):
    """The mean vector of the tokens of each text: h (B, L, C), mask (B, L) -> (B, C), zeros for a text of none."""
    return (h * mask[:, :, None]).sum(dim=1) / mask.sum(dim=1, keepdim=True).clamp(min=1)


def pool_last(h, mask):
    """The vector of the last token of each text, the only one that sees all in a causal encoder: as `pool_mean`."""
    last = mask.long().cumsum(dim=1).argmax(dim=1)
    return h[torch.arange(len(h), device=h.device), last]
