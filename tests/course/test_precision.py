"""What is asked for in float64 is computed in float64: the reference itself, one precision lower, passes none."""

import types

import pytest
import torch

from minidiff.exercises.core import chapters, exercises, find
from minidiff.exercises.judge import DIGITS, judge
from tests.mutants import mutants

# Blocks of a net, averages of nets, whole numbers and shares have no digits to lose; schedules and grids take plain
# numbers, and wrappers take denoisers: they have mutants of their own that compute in float32.
WITHOUT = {"ch03.ema_update", "ch04.ResBlock", "ch04.Attention2d", "ch05.precision_recall", "ch07.timestep_subset",
           "ch10.drop_labels", "ch11.bpe_merge", "ch11.pad_mask", "ch11.retrieval_at", "ch11.CrossAttention2d",
           "ch11.JointAttention2d"}
OF_NUMBERS = {"ch01.linear_betas", "ch01.brightness_ratio", "ch04.sin_embed", "ch06.cosine_betas", "ch08.lambda_grid",
              "ch08.karras_sigmas"}
WRAPPERS = {"ch10.cfg", "ch10.interval", "ch10.autoguided", "ch10.classifier_guided", "ch10.reconstruction_guided",
            "ch10.averaged"}
NUMERIC = [id for chapter in chapters() for id in exercises(chapter)
           if id not in WITHOUT | OF_NUMBERS | WRAPPERS]


def mapped(change, value):
    """A value with `change` done to every tensor in it."""
    if isinstance(value, dict):
        return {key: mapped(change, item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return type(value)(mapped(change, item) for item in value)
    return change(value) if isinstance(value, torch.Tensor) else value


def lower(x):
    return x.float() if x.dtype == torch.float64 else x


def wider(x):
    return x.double() if x.dtype == torch.float32 else x


def one_precision_lower(reference):
    """The reference on inputs in float32, its results made float64 again where they would have been."""
    def answer(*inputs, **more):
        value = reference(*mapped(lower, inputs), **mapped(lower, more))
        if isinstance(value, types.GeneratorType):
            return (mapped(wider, item) for item in value)
        return mapped(wider, value)
    return answer


@pytest.mark.parametrize("id", NUMERIC)
def test_an_answer_in_float32_does_not_pass(id):
    assert not judge(find(id), one_precision_lower(find(id).reference)).passed


@pytest.mark.parametrize("id", sorted(WRAPPERS))
def test_a_wrapper_that_computes_in_float32_is_among_the_mutants(id):
    assert any("half_the_precision" in name or "float32" in name for name in mutants(id))


def test_who_is_right_to_six_digits_is_told_that_and_nothing_about_the_formula():
    def first_hint(name, id="ch06.cosine_betas"):
        return next(case.hint for case in judge(find(id), mutants(id)[name]).cases if case.hint)
    assert first_hint("curve_in_float32") == DIGITS != first_hint("no_offset")
