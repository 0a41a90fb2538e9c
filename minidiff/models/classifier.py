"""A small digit classifier; frozen, its features are the eyes of the course's Fréchet distance."""

import torch.nn.functional as F
from torch import nn


class Classifier(nn.Module):
    """Three convolutions and a 64-d feature layer for 28x28 images, 115,000 weights.

    features(x (B, 1, 28, 28)) -> (B, 64); forward(x) -> (B, 10) logits.
    """

    def __init__(self, classes=10, dim=64):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 3, stride=2, padding=1)
        self.conv3 = nn.Conv2d(32, 32, 3, stride=2, padding=1)
        self.norms = nn.ModuleList([nn.GroupNorm(8, c) for c in (16, 32, 32)])
        self.hidden = nn.Linear(32 * 7 * 7, dim)
        self.head = nn.Linear(dim, classes)

    def features(self, x):
        for conv, norm in zip((self.conv1, self.conv2, self.conv3), self.norms, strict=True):
            x = F.silu(norm(conv(x)))
        return self.hidden(x.flatten(1))

    def forward(self, x):
        return self.head(F.silu(self.features(x)))
