"""Which file of a Gradescope submission counts as the notebook."""

import pytest

from minidiff.grading import gradescope
from minidiff.grading.mark import ROOT, notebooks

STEM = notebooks()["ch01"]


@pytest.mark.parametrize("names, found, notes", [
    (["my homework.ipynb"], "my homework.ipynb", []),
    (["old.ipynb", f"{STEM} (1).ipynb"], f"{STEM} (1).ipynb", ["Not graded: old.ipynb."]),
    (["a.ipynb", "b.ipynb", ".hidden.ipynb"], None, [
        "Not graded: a.ipynb.", "Not graded: b.ipynb.", f"Nothing to grade: hand in {STEM}.ipynb."]),
])
def test_one_notebook_counts_whatever_its_name_and_of_several_the_one_named_like_the_chapter(
        names, found, notes, tmp_path):
    for name in names:
        (tmp_path / name).touch()
    assert gradescope.handed_in(tmp_path, ["ch01"]) == ({"ch01": tmp_path / found} if found else {}, notes)


def test_a_link_is_no_notebook(tmp_path):
    (tmp_path / "link.ipynb").symlink_to(ROOT / "solutions" / f"{STEM}.ipynb")
    assert gradescope.handed_in(tmp_path, ["ch01"])[0] == {}
