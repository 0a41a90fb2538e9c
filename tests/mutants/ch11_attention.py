"""Wrong and right answers to the exercises of chapter 11 about reading a text."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from minidiff.models.cross_attention import CrossAttention2d, JointAttention2d
from minidiff.models.text_encoder import join_heads, split_heads
from tests.mutants import alternative, mutant

# --- CrossAttention2d -----------------------------------------------------------------------------------------------


class Steps(CrossAttention2d):
    """The layer with every step open to change."""

    def queries_and_keys(self, x, context):
        return self.attended(x, context)[:2]

    def scores(self, q, k):
        return q @ k.transpose(2, 3) / q.shape[-1]**0.5

    def shares(self, scores, mask):
        return scores.masked_fill(~mask[:, None, None, :], -torch.inf).softmax(dim=-1)

    def values(self, tokens):
        return split_heads(self.v(tokens), self.heads)

    def back(self, mixed, x):
        return self.o(join_heads(mixed)).transpose(1, 2).reshape(x.shape)

    def forward(self, x, context):
        q, k = self.queries_and_keys(x, context)
        return x + self.back(self.shares(self.scores(q, k), context[1]) @ self.values(context[0]), x)

    def maps(self, x, context):
        q, k = self.queries_and_keys(x, context)
        return self.shares(self.scores(q, k), context[1]).unflatten(2, x.shape[2:])


@mutant("ch11.CrossAttention2d")
class ReadsThePadding(Steps):
    def shares(self, scores, mask):
        return scores.softmax(dim=-1)


@mutant("ch11.CrossAttention2d")
class ReadsThePaddingOnly(Steps):
    def shares(self, scores, mask):
        return scores.masked_fill(mask[:, None, None, :], -1e9).softmax(dim=-1)


@mutant("ch11.CrossAttention2d")
class ScoresOfZeroForPadding(Steps):
    def shares(self, scores, mask):
        return (scores * mask[:, None, None, :]).softmax(dim=-1)


@mutant("ch11.CrossAttention2d")
class SoftmaxOverThePlaces(Steps):
    def shares(self, scores, mask):
        return scores.softmax(dim=2) * mask[:, None, None, :]


@mutant("ch11.CrossAttention2d")
class NoRoot(Steps):
    def scores(self, q, k):
        return q @ k.transpose(2, 3)


@mutant("ch11.CrossAttention2d")
class RootOfAllChannels(Steps):
    def scores(self, q, k):
        return q @ k.transpose(2, 3) / (q.shape[-1] * self.heads)**0.5


@mutant("ch11.CrossAttention2d")
class KeysAsValues(Steps):
    def values(self, tokens):
        return split_heads(self.k(tokens), self.heads)


@mutant("ch11.CrossAttention2d")
class NotBesideTheIdentity(Steps):
    def forward(self, x, context):
        return super().forward(x, context) - x


@mutant("ch11.CrossAttention2d")
class PlacesAndChannelsMixedUp(Steps):
    def back(self, mixed, x):
        return self.o(join_heads(mixed)).reshape(x.shape)


@mutant("ch11.CrossAttention2d")
class HeadsInterleaved(Steps):
    def back(self, mixed, x):
        return self.o(mixed.permute(0, 2, 3, 1).flatten(2)).transpose(1, 2).reshape(x.shape)


@mutant("ch11.CrossAttention2d")
class NotNormalised(Steps):
    def queries_and_keys(self, x, context):
        return (split_heads(self.q(x.flatten(2).transpose(1, 2)), self.heads),
                split_heads(self.k(context[0]), self.heads))


@mutant("ch11.CrossAttention2d")
class OutputNotZero(Steps):
    def __init__(self, channels, width, heads=4, groups=8):
        super().__init__(channels, width, heads, groups)
        self.o = nn.Linear(channels, channels)


alternative("ch11.CrossAttention2d")(Steps)


@alternative("ch11.CrossAttention2d")
class HeadByHead(CrossAttention2d):
    def shares(self, x, context, head):
        tokens, mask = context
        c = x.shape[1] // self.heads
        part = slice(head * c, (head + 1) * c)
        q, k = self.q(self.norm(x).flatten(2).transpose(1, 2))[..., part], self.k(tokens)[..., part]
        scores = torch.einsum("bnc,blc->bnl", q, k) / math.sqrt(c) + torch.where(mask, 0.0, -torch.inf)[:, None, :]
        return scores.softmax(dim=2), self.v(tokens)[..., part]

    def forward(self, x, context):
        mixed = torch.cat([a @ v for a, v in (self.shares(x, context, h) for h in range(self.heads))], dim=2)
        return x + self.o(mixed).transpose(1, 2).unflatten(2, x.shape[2:])

    def maps(self, x, context):
        found = torch.stack([self.shares(x, context, h)[0] for h in range(self.heads)], dim=1)
        return found.reshape(len(x), self.heads, *x.shape[2:], -1)


# --- JointAttention2d -----------------------------------------------------------------------------------------------

@mutant("ch11.JointAttention2d")
class TextFirst(JointAttention2d):
    def attended(self, x, context):
        q, k, v, seen = super().attended(x, context)
        n = q.shape[2]
        return q, torch.cat([k[:, :, n:], k[:, :, :n]], dim=2), v, seen


@mutant("ch11.JointAttention2d")
class MaskOnTheWrongSide(JointAttention2d):
    def attended(self, x, context):
        q, k, v, _ = super().attended(x, context)
        return q, k, v, F.pad(context[1], (0, q.shape[2]), value=True)[:, None, None, :]


@mutant("ch11.JointAttention2d")
class ReadsAllPadding(JointAttention2d):
    def attended(self, x, context):
        q, k, v, seen = super().attended(x, context)
        return q, k, v, torch.ones_like(seen)


@mutant("ch11.JointAttention2d")
class PlacesAreHidden(JointAttention2d):
    def attended(self, x, context):
        q, k, v, _ = super().attended(x, context)
        return q, k, v, F.pad(context[1], (q.shape[2], 0), value=False)[:, None, None, :]


@mutant("ch11.JointAttention2d")
class KeysAndValuesOfThePlacesExchanged(JointAttention2d):
    def attended(self, x, context):
        q, k, v, seen = super().attended(x, context)
        n = q.shape[2]
        return (q, torch.cat([v[:, :, :n], k[:, :, n:]], dim=2), torch.cat([k[:, :, :n], v[:, :, n:]], dim=2), seen)


@mutant("ch11.JointAttention2d")
class TheTextAlone(JointAttention2d):
    def attended(self, x, context):
        return CrossAttention2d.attended(self, x, context)


@mutant("ch11.JointAttention2d")
class TwoSoftmaxes(JointAttention2d):
    def forward(self, x, context):
        q, k, v, seen = self.attended(x, context)
        n = q.shape[2]
        parts = [F.scaled_dot_product_attention(q, k[:, :, s], v[:, :, s], attn_mask=seen[..., s])
                 for s in (slice(n), slice(n, None))]
        return x + self.o(join_heads(sum(parts) / 2)).transpose(1, 2).reshape(x.shape)


@mutant("ch11.JointAttention2d")
class MapsOfThePlaces(JointAttention2d):
    def maps(self, x, context):
        q, k, _, seen = self.attended(x, context)
        scores = (q @ k.transpose(2, 3) / q.shape[-1]**0.5).masked_fill(~seen, -torch.inf)
        return scores.softmax(dim=-1)[..., :context[0].shape[1]].unflatten(2, x.shape[2:])


@mutant("ch11.JointAttention2d")
class MapsOfSumOne(JointAttention2d):
    def maps(self, x, context):
        found = super().maps(x, context)
        return found / found.sum(dim=-1, keepdim=True)


@alternative("ch11.JointAttention2d")
class ByHand(JointAttention2d):
    def shares(self, x, context):
        q, k, v, seen = self.attended(x, context)
        scores = torch.where(seen, torch.einsum("bhnc,bhmc->bhnm", q, k) / math.sqrt(q.shape[3]), -torch.inf)
        return scores.softmax(dim=3), v

    def forward(self, x, context):
        shares, v = self.shares(x, context)
        return x + self.o((shares @ v).transpose(1, 2).flatten(2)).transpose(1, 2).unflatten(2, x.shape[2:])

    def maps(self, x, context):
        return self.shares(x, context)[0][..., -context[0].shape[1]:].unflatten(2, x.shape[2:])


@alternative("ch11.JointAttention2d")
class WithAGate(JointAttention2d):
    """Attention to the places and attention to the text, in the shares that their sums of exponentials have."""

    def forward(self, x, context):
        q, k, v, seen = self.attended(x, context)
        n, out, sums = q.shape[2], [], []
        for part in (slice(n), slice(n, None)):
            scores = (q @ k[:, :, part].transpose(2, 3) / q.shape[-1]**0.5).masked_fill(~seen[..., part], -torch.inf)
            out.append(scores.softmax(dim=-1) @ v[:, :, part])
            sums.append(scores.logsumexp(dim=-1, keepdim=True))
        gate = torch.sigmoid(sums[1] - sums[0])
        mixed = (1 - gate) * out[0] + gate * out[1]
        return x + self.o(join_heads(mixed)).transpose(1, 2).reshape(x.shape)
