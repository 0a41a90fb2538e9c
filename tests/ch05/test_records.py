"""What the committed records of chapter 05 say, and that they are of the files beside them."""

import json
import lzma
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
AUDIT = json.loads((BENCHMARKS / "audit.json").read_text())
BASELINES = json.loads((BENCHMARKS / "baselines.json").read_text())


def test_the_floor_of_real_digits_falls_with_n_and_ends_above_zero():
    floor = list(AUDIT["floor"].values())
    assert floor == sorted(floor, reverse=True) and 0 < AUDIT["limit"]["real"] < floor[-1]
    judge = json.loads((BENCHMARKS.parent / "checkpoints" / "mnist-classifier.json").read_text())["metrics"]["floor"]
    assert floor == pytest.approx([judge[n] for n in AUDIT["floor"]], rel=0.25)  # the same pictures, other draws


def test_the_first_digits_of_the_test_set_are_not_like_the_rest():
    assert AUDIT["first test pictures"] > 3 * AUDIT["floor"]["1000"]


def test_relatives_stand_together_in_the_file_of_test_digits():
    order = AUDIT["in file order"]
    assert order["share by chance"] == pytest.approx(2 * order["places"] / 10_000, rel=0.01)
    assert order["share"] > 5 * order["share by chance"]


def test_the_impostor_wins_in_linear_features_and_loses_in_those_of_the_judge():
    assert abs(AUDIT["linear"]["impostor"]) < 1e-6 < AUDIT["linear"]["test pictures"]
    assert AUDIT["sets"]["impostor"]["distance"] > 20 * AUDIT["sets"]["test pictures"]["distance"]


def test_the_histograms_of_the_audit_count_every_picture():
    memory = AUDIT["memory"]
    assert sum(memory["samples"]) == sum(memory["test"]) == AUDIT["n"]
    assert len(memory["edges"]) == len(memory["samples"]) + 1 and len(memory["nearest"]) == 10


def test_the_drawn_digits_are_those_that_were_measured():
    digits = np.load(lzma.open(BENCHMARKS / "digits.npy.xz"))
    assert digits.shape == (AUDIT["n"], 28, 28) and digits.dtype == np.uint8
    assert (BENCHMARKS / "digits.npy.xz").stat().st_size < 300_000


def test_every_kind_got_the_same_compute():
    for kind, rows in BASELINES["runs"].items():
        assert [row["seed"] for row in rows] == list(range(5)) and len({row["steps"] for row in rows}) == 1
        spent = sum(row["CPU seconds"] for row in rows) / 5
        assert spent == pytest.approx(BASELINES["seconds"], rel=0.25), kind
    pictures = np.load(lzma.open(BENCHMARKS / "baselines.npy.xz"))
    assert pictures.shape == (15, 12, 14, 14)
