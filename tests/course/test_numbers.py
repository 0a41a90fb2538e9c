"""The numbers of an experiment are checked against what is computed, within a tolerance that a guess does not meet."""

import re

import pytest
import torch

from minidiff.exercises.core import chapters
from minidiff.exercises.numbers import _numbers, check_numbers
from minidiff.grading.build import read
from tests.course.tree import WRITTEN, notebooks

ALL = {numbers.id: numbers for chapter in chapters() for numbers in _numbers(chapter)}
each = pytest.mark.parametrize("id", ALL)


@each
def test_the_right_numbers_pass_and_are_never_printed(id, capsys):
    right = ALL[id].expected()
    assert check_numbers(id, right)
    assert check_numbers(id, {name: torch.tensor(value) for name, value in right.items()})
    capsys.readouterr()
    assert not check_numbers(id, {})
    out = capsys.readouterr().out
    assert f"{id}: 0 of {len(right)} numbers are right" in out and out.count("  -    ") == len(right)
    assert not check_numbers(id, {name: 2 * value for name, value in right.items()})
    assert not re.search(r"\d\.\d", capsys.readouterr().out)


@each
def test_one_number_beyond_the_tolerance_misses_alone(id, capsys):
    right, rtol = ALL[id].expected(), ALL[id].rtol
    for name, value in right.items():
        assert check_numbers(id, right | {name: value * (1 + 0.9 * rtol)})
        assert not check_numbers(id, right | {name: value * (1 + 1.1 * rtol)})
        out = capsys.readouterr().out
        assert f"  MISS {name}\n" in out and out.count("MISS") == 1


def test_the_estimate_of_the_factor_is_not_taken_for_the_factor():
    assert not any(check_numbers("ch01.few_steps", ALL["ch01.few_steps"].expected() | {T: 1000 / T})
                   for T in (200, 50, 20))


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), "many", [], torch.ones(2), 1j, object()])
def test_what_is_no_number_is_a_miss(wrong, capsys):
    right = ALL["ch01.few_steps"].expected()
    assert not check_numbers("ch01.few_steps", right | {50: wrong})
    assert "  MISS 50\n" in capsys.readouterr().out


@pytest.mark.parametrize("id, mine, says", [
    ("ch01.q_sample", {}, "there are no numbers to check for 'ch01.q_sample'; there are those of ch01.few_steps"),
    (None, {}, "there are no numbers to check for None"), ("ch01.few_steps", 4.87, "expected a dict with the keys 200"),
    ("ch01.few_steps", {"200": 4.87}, "  ?    '200' is none of 200, 50, 20, 10")])
def test_a_wrong_call_is_a_sentence(id, mine, says, capsys):
    assert not check_numbers(id, mine)
    assert says in capsys.readouterr().out


def test_the_text_of_the_exercise_names_the_call():
    texts = {chapter: "\n".join(cell.source for cell in read(notebooks(chapter)[1]).cells
                               if "exercise-text" in cell.metadata.get("tags", [])) for chapter in WRITTEN}
    named = {id for text in texts.values() for id in re.findall(r'`check_numbers\("([^"]+)"', text)}
    assert named == set(ALL) and all(f'check_numbers("{id}"' in texts[id[2:4]] for id in ALL)
