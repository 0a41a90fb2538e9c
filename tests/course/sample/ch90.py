"""The exercise of the sample chapter."""

import torch

from minidiff.exercises.core import Case, Exercise


def double(x):
    """Twice x."""
    return 2 * x


EXERCISES = (
    Exercise("ch90.double", "Double", double, 2, 3, "easy",
             (Case("doubles", lambda g: (torch.randn(3, generator=g),)),), ("Add x.", "To itself.")),
)
