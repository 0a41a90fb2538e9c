"""Telling a network a class label: one learned vector a class, and one more that says "no label"."""

import torch
from torch import nn


class LabelEmbedding(nn.Module):
    """A vector a label, to be added to the time's: net.embed.extra["label"] = LabelEmbedding(10, width).

    forward(labels (B,) int in 0..classes) -> (B, width). The label `classes`, kept as `null`, says that none is given.
    The vectors start as normal noise, so that labels differ from the first step on (Dhariwal and Nichol 2021, released
    code). Labels are not looked at here, where that would wait for a device: `check_labels` does, at the border.
    """

    def __init__(self, classes, width):
        super().__init__()
        self.null = classes
        self.table = nn.Embedding(classes + 1, width)

    def forward(self, labels):
        return self.table(labels)


def check_labels(labels, classes, n):
    """Return labels as (n,) int64 if each lies in 0..classes, where `classes` means none. Raises ValueError."""
    labels = torch.as_tensor(labels)
    if labels.shape != (n,):
        raise ValueError(f"labels must be ({n},), one a picture, got {tuple(labels.shape)}")
    if labels.is_floating_point() or (n and (labels.min() < 0 or labels.max() > classes)):
        raise ValueError(f"labels must be whole numbers in 0..{classes}, where {classes} means none, got "
                         f"{labels.min().item()}..{labels.max().item()}")
    return labels.long()


def drop_labels(labels, rate, null, generator):
    """Replace each label by `null` with probability `rate`, so that one net learns with and without labels.

    labels: (B,) int, left as they are; rate in [0, 1]. Draws B numbers from `generator`, on the CPU. Returns (B,).
    (Ho and Salimans 2022, algorithm 1.)
    """
    dropped = torch.rand(len(labels), generator=generator) < rate
    return torch.where(dropped.to(labels.device), null, labels)
