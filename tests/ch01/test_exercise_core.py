"""What a learner sees of an exercise: every state and every message, and that nothing raises."""

import random
import sys
import warnings

import numpy as np
import pytest
import torch

import minidiff.exercises
from minidiff.exercises import core
from minidiff.exercises.core import Case, Exercise, Missed, answer, check, hint, progress
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
PURE = "  ok   leaves its inputs and the global random state alone\n"
LENT = "  (the rest of this chapter uses minidiff's own blend)\n"


@pytest.fixture(autouse=True)
def chapter_90(tmp_path, monkeypatch):
    (tmp_path / "ch90.py").write_text(f"from {__name__} import EXERCISES\n")
    monkeypatch.setattr(minidiff.exercises, "__path__", [str(tmp_path)])
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


def test_an_untouched_exercise_is_not_started_and_the_reference_goes_on(capsys):
    assert answer("ch90.blend", stub) is blend
    assert capsys.readouterr().out == "ch90.blend: not started yet\n" + LENT


def test_a_right_answer_is_kept(capsys):
    assert answer("ch90.blend", right) is right
    assert capsys.readouterr().out == "ch90.blend: all 4 checks pass\n"


def test_a_wrong_answer_reads_what_where_and_both_values(capsys):
    assert answer("ch90.blend", middle_weight_for_all) is blend
    assert capsys.readouterr().out == (
        "ch90.blend: 3 of 4 checks pass\n"
        "  ok   keeps the shape of x\n"
        "  ok   gives 1 where w = 0\n"
        "  MISS uses each row's own weight\n"
        "         3 of 6 values differ; largest at [2, 1]: yours 3, expected 5\n"
        + PURE + "  hint: w holds one weight PER ROW\n" + LENT)


def test_the_same_answer_reads_the_same_text_every_time(capsys):
    texts = set()
    for _ in range(3):
        torch.rand(1)
        answer("ch90.blend", lambda x, w: x * torch.pi)
        texts.add(capsys.readouterr().out)
    assert len(texts) == 1


def test_running_the_check_cell_again_after_the_exchange_is_no_pass(capsys):
    lent = answer("ch90.blend", stub)
    assert answer("ch90.blend", lent) is blend
    assert capsys.readouterr().out.endswith("ch90.blend: this is minidiff's own blend, not your answer\n"
                                            "  (run the cell with your answer again, and then this one)\n")
    progress()
    assert "ch90.blend       3       10  not started\n" in capsys.readouterr().out


def test_check_returns_a_result_with_points(capsys):
    result = check("ch90.blend", middle_weight_for_all)
    assert not result.passed and result.state == "not passed" and result.score == 2.0
    assert [case.passed for case in result.cases] == [True, True, False, True]
    assert check("ch90.blend", right).score == 3.0
    assert check("ch90.blend", stub).score == 0.0
    assert LENT not in capsys.readouterr().out


def test_an_impure_answer_loses_one_case():
    def in_place(x, w):
        return x.sub_(1).mul_(w[:, None]).add_(1)
    result = judge(EXERCISES[0], in_place)
    assert result.score == 2.0 and result.cases[-1].miss == "changes input 1 in place"


def test_a_seed_decides_the_inputs():
    seen = []
    for seed in (0, 0, 1):
        judge(EXERCISES[0], lambda x, w: seen.append(x.clone()), seed)
    assert torch.equal(seen[0], seen[3]) and not torch.equal(seen[0], seen[6])


def test_hints_come_one_by_one(capsys):
    for _ in range(3):
        hint("ch90.blend")
    assert capsys.readouterr().out == ("ch90.blend, hint 1 of 2: What is w[0]?\n"
                                       "ch90.blend, hint 2 of 2: Give w a second dimension.\n"
                                       "ch90.blend, hint 2 of 2: Give w a second dimension.\n")


def test_progress_lists_every_exercise(capsys):
    check("ch90.blend", right)
    check("ch90.Layer", 3)
    capsys.readouterr()
    progress()
    assert capsys.readouterr().out == ("ch  exercise    points  minutes  this session\n"
                                       "90  ch90.blend       3       10  passed\n"
                                       "90  ch90.Layer       2        5  not passed\n"
                                       "1 of 2 passed, 3 of 5 points\n")


@pytest.mark.parametrize("id, known", [("ch90.nosuch", "ch90.blend, ch90.Layer"), ("ch91.x", "those of ch90"),
                                       ("", "those of ch90"), (None, "those of ch90"), ([], "those of ch90")])
def test_an_unknown_id_is_a_sentence(id, known, capsys):
    assert answer(id, right) is right
    assert not check(id, right).passed
    hint(id)
    assert capsys.readouterr().out == f"there is no exercise {id!r}; there are {known}\n" * 3


@pytest.mark.parametrize("thing, kind", [(None, "None"), (3, "a number"), ("x", "a string"), (WEIGHTS, "a tensor")])
def test_something_that_is_no_function_is_a_sentence(thing, kind, capsys):
    assert answer("ch90.blend", thing) is blend
    assert capsys.readouterr().out == f"ch90.blend: expected a function, got {kind}\n" + LENT


def test_a_missing_return_is_a_sentence():
    assert misses(lambda x, w: None)[1] == "gives None, expected a tensor: is a `return` missing?"


class Odd(BaseException):
    def __str__(self):
        raise RuntimeError("no text either")


@pytest.mark.parametrize("error, sentence", [
    (ValueError("two\nlines"), "stops with ValueError: two lines (line {})"),
    (SystemExit(1), "stops with SystemExit: 1 (line {})"),
    (NotImplementedError("later"), "stops with NotImplementedError: later (line {})"),
    (RuntimeError("<f at 0x7f00> " + "x" * 200), f"stops with RuntimeError: <f> {'x' * 106}... (line {{}})"),
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


@pytest.mark.parametrize("act", [lambda: answer("ch90.blend", stub), lambda: check("ch90.blend", middle_weight_for_all),
                                 lambda: answer("ch90.blend", blend), lambda: check("ch90.x", right)])
def test_strict_mode_raises_with_the_text(act, monkeypatch, capsys):
    monkeypatch.setenv("MINIDIFF_STRICT", "1")
    with pytest.raises(Missed, match="ch90"):
        act()
    assert answer("ch90.blend", right) is right
    assert capsys.readouterr().out == "ch90.blend: all 4 checks pass\n"


def test_no_message_holds_a_line_of_the_solution(capsys):
    for fn in (stub, middle_weight_for_all, lambda x, w: None, lambda x: x, lambda x, w: x.double()):
        answer("ch90.blend", fn)
    assert "w[:, None]" not in capsys.readouterr().out
