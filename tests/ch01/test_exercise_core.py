"""What a learner sees of an exercise: every state and every message."""

import pytest
import torch

from minidiff.exercises.core import Missed, answer, check, hint, progress
from minidiff.exercises.judge import judge
from tests.ch01.blend import EXERCISES, WEIGHTS, blend, chapter_90, middle_weight_for_all, right, stub  # noqa: F401

PURE = "  ok   leaves its inputs and the global random state alone\n"
LENT = "  (the rest of this chapter uses minidiff's own blend)\n"


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
        "         hint: w holds one weight PER ROW\n" + PURE + LENT)


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


def test_a_later_worse_try_takes_nothing_back_in_progress(capsys):
    for fn in (middle_weight_for_all, right, middle_weight_for_all, stub, 3):
        check("ch90.blend", fn)
    capsys.readouterr()
    progress()
    assert "ch90.blend       3       10  passed\n" in capsys.readouterr().out


def test_a_reason_that_was_told_before_is_referred_to(capsys):
    check("ch90.blend", lambda x, w: x / nothing)  # noqa: F821
    lines = capsys.readouterr().out.splitlines()
    reasons = [lines[i + 1].strip() for i, line in enumerate(lines) if line.startswith("  MISS")]
    assert reasons[0].startswith("stops with NameError") and reasons[1:3] == ["as above", "as above"]
    assert reasons[3] == "no call came to its end"


def test_one_hint_stands_under_the_claim_that_it_is_about(capsys):
    check("ch90.blend", lambda x, w: torch.zeros_like(x))
    lines = capsys.readouterr().out.splitlines()
    at = [i for i, line in enumerate(lines) if "hint: " in line]
    assert len(at) == 1 and lines[at[0] - 2] == "  MISS uses each row's own weight"


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
