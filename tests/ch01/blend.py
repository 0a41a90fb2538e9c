"""An exercise for the tests of the exercises, with a right, a wrong and an unwritten answer."""

import sys

import pytest
import torch

import minidiff.exercises
from minidiff.exercises import core
from minidiff.exercises.core import Case, Exercise
from minidiff.exercises.judge import judge


def blend(x, w):
    """The exercise of this file: w x + (1 - w), with one weight per row."""
    return w[:, None] * x + (1 - w[:, None])


class Layer(torch.nn.Linear):
    """A class exercise; building one draws its weights."""

    def forward(self, x):
        return super().forward(x).relu()


def with_ones(cls, x):
    layer = cls(2, 2)
    torch.nn.init.ones_(layer.weight)
    torch.nn.init.zeros_(layer.bias)
    return layer(x)


WEIGHTS = torch.tensor([0.0, 0.5, 1.0])
EXERCISES = (
    Exercise("ch90.blend", "Blend", blend, 3, 10, "easy", (
        Case("keeps the shape of x", lambda g: (torch.randn(3, 3, generator=g), WEIGHTS), kind="shape",
             drive=lambda fn, x, w: tuple(fn(x, w).shape)),
        Case("gives 1 where w = 0", lambda g: (torch.randn(3, 3, generator=g), WEIGHTS * 0)),
        Case("uses each row's own weight", lambda g: (torch.arange(6.0).reshape(3, 2), WEIGHTS),
             hint="w holds one weight PER ROW"),
    ), ("What is w[0]?", "Give w a second dimension.")),
    Exercise("ch90.Layer", "A layer", Layer, 2, 5, "medium", (
        Case("is linear, then cut at 0", lambda g: (torch.randn(3, 2, generator=g),), drive=with_ones),
    ), ("Inherit.",)),
)


@pytest.fixture(autouse=True)
def chapter_90(tmp_path, monkeypatch):
    (tmp_path / "ch90.py").write_text(f"from {__name__} import EXERCISES\n")
    monkeypatch.setattr(minidiff.exercises, "__path__", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "minidiff.exercises.ch90", raising=False)
    for memory in ("_states", "_hints_given"):
        monkeypatch.setattr(core, memory, {})
    yield
    sys.modules.pop("minidiff.exercises.ch90", None)


def stub(x, w):
    raise NotImplementedError("ch90.blend")


def right(x, w):
    return torch.einsum("b,bd->bd", w, x - 1) + 1


def middle_weight_for_all(x, w):
    return w[1] * x + (1 - w[1])


def misses(fn):
    return [case.miss for case in judge(EXERCISES[0], fn).cases if not case.passed]
