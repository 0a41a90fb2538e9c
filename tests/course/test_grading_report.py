"""What the report of a class says: which answers are alike, what is hardest, and that it never fails."""

import pytest

from minidiff.grading.mark import Mark, Sheet
from minidiff.grading.report import alike, hardest, lines, to_be_read


def sheet(student, **texts):
    given = [Mark(id, "passed", 1, 1, digest=text, text=text).__dict__ for id, text in texts.items()]
    return Sheet(student, "ch01", "x", tuple(given)).__dict__


def test_what_many_wrote_alike_says_nothing_about_two():
    few = [sheet(name, a="one", b=name, c="same") for name in "pq"]
    groups, usual = alike(few + [sheet(name, a=name, b=name, c="same") for name in "rstu"], own={"same"})
    assert groups == [(("p", "q"), ["a"])] and usual == [("c", list("pqrstu"), True)]


def test_a_group_is_one_line():
    said = lines("ch01", [sheet(name, **{"ch01.snr": "one", "ch01.prior_kl": "two"}) for name in "pqr"])
    assert said[-1] == "- p, q and r: ch01.snr, ch01.prior_kl"
    assert sum("p, q" in line for line in said) == 1


@pytest.mark.parametrize("passed, says", [
    ((1, 0, 2), "b passes least often"), ((0, 0, 2), "2 of 3 exercises pass least often"),
    ((1, 1, 1), "no exercise passes less often than another"), ((1,), "a passes least often")])
def test_the_picture_names_one_exercise_only_where_one_is_last(passed, says):
    marks = {f"ch01.{name}": [{"state": "passed"}] * n + [{"state": "not passed"}] * (2 - n)
             for name, n in zip("abc", passed)}
    assert hardest(marks) == says


def test_a_class_without_one_readable_notebook_has_a_report():
    assert lines("ch01", [Sheet("a", "ch01", "x", (), "broken").__dict__])[0].endswith("1 of them unreadable")
    assert to_be_read([]) == []
