"""Whatever a learner's code does, a check goes on, says it in a sentence, and leaves the session as it was."""

import random
import sys
import warnings

import numpy as np
import pytest
import torch

from minidiff.exercises.core import Case, Exercise, check
from minidiff.exercises.judge import judge
from tests.ch01.blend import EXERCISES, chapter_90, misses, right, stub  # noqa: F401 (a fixture)


def test_a_missing_return_is_a_sentence():
    assert misses(lambda x, w: None)[1] == "gives None, expected a tensor: is a `return` missing?"


class Odd(BaseException):
    def __str__(self):
        raise RuntimeError("no text either")


@pytest.mark.parametrize("error, sentence", [
    (ValueError("two\nlines"), "stops with ValueError: two lines (line {})"),
    (SystemExit(1), "stops with SystemExit: 1 (line {})"),
    (NotImplementedError("later"), "stops with NotImplementedError: later (line {})"),
    (RuntimeError("<f at 0x7f00> " + "x" * 200), f"stops with RuntimeError: <f> {'x' * 76}... (line {{}})"),
    (Odd(), "stops with Odd (line {})"),
])
def test_an_exception_is_a_sentence_with_the_line_of_the_cell(error, sentence):
    def raises(x, w):
        raise error
    line = raises.__code__.co_firstlineno + 1
    assert misses(raises) == [sentence.format(f"{line} of the cell")] * 3 + [
        "no call came to its end"]


def test_equal_sentences_are_told_once(capsys):
    def broken(x, w):
        raise ValueError("broken")
    check("ch90.blend", broken)
    assert capsys.readouterr().out.count("stops with ValueError: broken") == 1


class Endless(tuple):
    def __len__(self):
        raise OverflowError


@pytest.mark.parametrize("expected, got, sentence", [
    (np.ones(1), np.array([object()]), "gives a numpy array that cannot be compared (TypeError)"),
    ((1, 2), Endless(), "gives an Endless that cannot be compared (OverflowError)"),
])
def test_a_value_that_cannot_be_compared_is_a_sentence(expected, got, sentence):
    exercise = Exercise("ch90.any", "", lambda: expected, 1, 1, "easy", (Case("is as expected", lambda g: ()),), ())
    assert judge(exercise, lambda: got).cases[0].miss == sentence


def test_endless_recursion_is_a_sentence():
    def recursive(x, w):
        return recursive(x, w)
    assert misses(recursive)[0].startswith("stops with RecursionError")


def test_an_interrupt_by_hand_comes_through():
    def interrupted(x, w):
        raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt):
        check("ch90.blend", interrupted)


def test_one_unwritten_part_is_not_an_untouched_exercise():
    def half(x, w):
        return stub(x, w) if x.shape[1] == 2 else right(x, w)
    result = judge(EXERCISES[0], half)
    assert result.state == "not passed" and sum(case.passed for case in result.cases) == 3


def test_warnings_and_progress_bars_do_not_reach_stderr(capfd):
    def noisy(x, w):
        warnings.warn("loud")
        print("bar", file=sys.stderr)
        return right(x, w)
    assert check("ch90.blend", noisy).passed
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("draw", [lambda: torch.rand(1), lambda: np.random.rand(), random.random,
                                  lambda: torch.manual_seed(3)])
def test_a_hidden_draw_is_told(draw):
    def draws(x, w):
        draw()
        return right(x, w)
    assert misses(draws) == ["draws from the global random state"]


def test_layers_may_draw_their_weights_as_the_reference_does():
    class Other(torch.nn.Linear):
        def forward(self, x):
            return torch.clamp(super().forward(x), min=0)
    assert judge(EXERCISES[1], Other).passed


def test_a_check_leaves_global_states_as_they_were():
    def careless(x, w):
        torch.manual_seed(5), np.random.seed(5), random.seed(5)
        torch.set_default_dtype(torch.float64)
        torch.set_grad_enabled(False)
        return right(x, w)
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    judge(EXERCISES[0], careless)
    assert torch.equal(before[0], torch.get_rng_state()) and (before[1] == np.random.get_state()[1]).all()
    assert before[2] == random.getstate()
    assert torch.get_default_dtype() == torch.float32 and torch.is_grad_enabled()
