"""Wrong use of `export` is one clear line and exit status 2, and nothing is half-written."""

import errno
import os

import pytest

from minidiff.grading import export
from minidiff.grading.__main__ import main
from minidiff.grading.mark import GradingError


def everything(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


@pytest.mark.parametrize("words, says", [
    (["moodle", "new"], "no export for 'moodle'; there are nbgrader and gradescope"),
    (["nbgrader", "full"], "full is not empty: name a new or empty folder"),
    (["nbgrader", "file"], "file is a file: name a new or empty folder"),
    (["nbgrader", "file/new"], "file/new: cannot be written (Not a directory)"),
    (["nbgrader", "new", "--chapter", "77"], "no chapter 77 with exercises; there are 01, "),
    (["nbgrader", "new", "--chapter", "01", "--chapter", "x"], "no chapter x with exercises; there are 01, "),
    (["gradescope", "new"], "new: the name of an autograder ends in .zip"),
    (["gradescope", "old.zip"], "old.zip exists already: delete it, or choose another name"),
    (["gradescope", "file/new.zip"], "cannot write file/new.zip: "),
    (["gradescope", "new.zip", "--chapter", "77"], "no chapter 77 with exercises; there are 01, "),
])
def test_wrong_use_is_one_line_and_exit_2(words, says, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("file", "old.zip"):
        (tmp_path / name).write_text("mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    before = everything(tmp_path)
    assert main(["export", *words]) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith(f"minidiff.grading: {says}") and "\n" not in error
    assert everything(tmp_path) == before
    assert {(tmp_path / name).read_text() for name in ("file", "old.zip", "full/mine.txt")} == {"mine"}


@pytest.mark.parametrize("there", [False, True])
def test_a_disk_that_is_full_leaves_nothing(there, tmp_path, monkeypatch):
    folder = tmp_path / "course"
    if there:
        folder.mkdir()

    def full(source, target, rename=os.rename):
        if target.name == "b":
            raise OSError(errno.ENOSPC, "No space left on device")
        rename(source, target)
    monkeypatch.setattr(os, "rename", full)
    with pytest.raises(GradingError, match=r"course: cannot be written \(No space left on device\)$"):
        export.write_folder(folder, lambda: {"a.txt": "a", "b/c.txt": "c"})
    assert folder.exists() == there and (not there or everything(folder) == [])


@pytest.mark.parametrize("name", [".", "deep/new"])
def test_a_folder_is_new_or_was_empty(name, tmp_path):
    export.write_folder(tmp_path / name, lambda: {"a.txt": "a", "b/c.txt": "c"})
    assert everything(tmp_path / name) == ["a.txt", "b", "b/c.txt"] and (tmp_path / name / "a.txt").read_text() == "a"


def test_the_command_says_what_it_wrote(tmp_path, capsys):
    assert main(["export", "gradescope", str(tmp_path / "a.zip"), "--chapter", "1", "--seed", "3"]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'a.zip'}: chapters 01, seed 3; next, read the README.md in it\n"
