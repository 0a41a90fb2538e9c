"""The page of a student and the cells of a table: nobody's words are a formula, a tag or a path."""

import pytest

from minidiff.exercises import judge
from minidiff.grading import page
from minidiff.grading.mark import Mark, Sheet


@pytest.mark.parametrize("value, safe", [
    ("=1+1", "'=1+1"), ("\u200b=1+1", "'=1+1"), ("a;=1+1", "a,=1+1"), ("\uff1d1", "'\uff1d1"), ("\t@x", "'@x"),
    ("two\nlines", "two lines"), (3.5, 3.5), ("yours -1, expected 2", "yours -1, expected 2")])
def test_no_cell_of_a_table_is_a_formula(value, safe):
    assert page.cell(value) == safe


def test_a_student_s_words_hide_nothing_on_a_page():
    words = "<!-- <script> ![x](http://x) [a](b) a<b and $a < b$"
    assert page.plain(words) == "&lt;!-- &lt;script> !\\[x]\\(http://x) [a]\\(b) a&lt;b and $a < b$"
    assert page.quoted("a\n<!--") == ["> a", "> &lt;!--"]


def test_one_reason_is_told_once():
    cases = [judge.Outcome("a", True), *(judge.Outcome(f"b{i}", False, "stops with <img>") for i in range(10))]
    text = page.page(Sheet("x", "ch01", "x.ipynb", (Mark("ch01.snr", "not passed", 0, 1, cases=tuple(cases)),)))
    assert text.count("stops with &lt;img>") == 1 and "- MISS: b0 (and 9 more)\n" in text and "- ok: a\n" in text


def test_no_two_students_share_a_file():
    names = page.file_names(["A b", "a_b", "a_b-2", "grades", "", "x" * 200, "../../etc", "RUN", "report-ch01"])
    assert len({n.lower() for n in names.values()}) == 9
    assert not {"grades", "run", "report-ch01"} & {n.lower() for n in names.values()}
    assert all("/" not in n and len(n) < 90 and not n.startswith(".") for n in names.values())
