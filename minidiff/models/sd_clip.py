"""The text tower of CLIP ViT-L/14, from which Stable Diffusion 1 knows what a prompt says: chapter 11's encoder."""

import torch
from torch import nn

from minidiff.models.text_encoder import TextEncoder


class QuickGELU(nn.Module):
    """x sigmoid(1.702 x), an approximation of GELU (Hendrycks and Gimpel 2016, section 2): the shape of x."""

    def forward(self, x):
        return x * torch.sigmoid(1.702 * x)


class ClipText(TextEncoder):
    """A causal `TextEncoder` that masks no padding (Radford et al. 2021, section 2.4): forward(tokens) alone.

    tokens: (B, L) int64, L <= length -> (B, L, width), one vector a token after the last normalisation. Stable
    Diffusion reads all of them, those of the padding too. Raises ValueError for L > length.
    """

    def __init__(self, size=49_408, width=768, depth=12, heads=12, length=77):
        super().__init__(size, width, depth, heads, length, causal=True)
        for layer in self.layers:
            layer.mlp[1] = QuickGELU()

    def forward(self, tokens):
        return super().forward(tokens, torch.ones_like(tokens, dtype=torch.bool))
