"""`reveal` shows the model answer that stands in solutions/, after one has written something, and never raises."""

import json

import pytest

from minidiff.exercises import reveal as module
from minidiff.exercises.reveal import reveal
from tests.course.tree import ROOT, WRITTEN, notebooks

WRITTEN_EXERCISES = [(chapter, cell["metadata"]["minidiff"]["exercise"], "".join(cell["source"]))
                     for chapter in WRITTEN
                     for cell in json.loads(notebooks(chapter)[1].read_text(encoding="utf-8"))["cells"]
                     if "manual" in cell["metadata"].get("tags", [])]


@pytest.mark.parametrize("chapter, id, text", WRITTEN_EXERCISES, ids=[id for _, id, _ in WRITTEN_EXERCISES])
def test_every_answer_on_paper_is_shown_below_ones_own(chapter, id, text, capsys):
    reveal(id, "  it is 0\n")
    assert capsys.readouterr().out == f"{id}, yours:\nit is 0\n\n{id}, a model answer:\n{text}\n"


def test_the_number_of_an_exercise_names_it_too(capsys):
    texts = {}
    for id in ("ch04.6", "ch04.paper_1", "ch04.7", "ch04.experiment_1"):
        reveal(id, "mine")
        texts[id] = capsys.readouterr().out.split("a model answer:\n")[1]
    assert texts["ch04.6"] == texts["ch04.paper_1"] != texts["ch04.7"] == texts["ch04.experiment_1"]


def test_every_answer_on_paper_has_a_number_of_its_own():
    for chapter in WRITTEN:
        answers = module._answers(json.loads(notebooks(chapter)[1].read_text(encoding="utf-8")))
        numbers = [number for (number, _), _ in answers]
        assert all(numbers) and len(set(numbers)) == len(numbers), chapter


@pytest.mark.parametrize("mine", ["", " \n\t", None, 3, ["words"]])
def test_nothing_is_shown_before_one_has_written_something(mine, capsys):
    reveal("ch01.induction", mine)
    assert capsys.readouterr().out == (
        "ch01.induction: write your own answer first, then compare: reveal('ch01.induction', \"my answer ...\")\n")
    reveal("ch01.induction")
    assert "write your own answer first" in capsys.readouterr().out


@pytest.mark.parametrize("id, says", [("ch04.99", "ch04.6 (paper_1), ch04.7 (experiment_1)"),
                                      ("ch01.q_sample", "ch01.2 (induction)"), ("ch01", "ch01.2 (induction)"),
                                      ("ch99.1", "those of ch01, ch02"), ("", "those of ch01"), (None, "those of ch01"),
                                      ([], "those of ch01")])
def test_an_unknown_id_is_a_sentence(id, says, capsys):
    reveal(id, "mine")
    out = capsys.readouterr().out
    assert out.startswith("there is no model answer") and says in out and out.count("\n") == 1


def test_an_installed_package_says_where_the_answers_are(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(module, "SOLUTIONS", tmp_path / "solutions")
    reveal("ch04.6", "mine")
    assert capsys.readouterr().out == ("ch04.6: no model answers are installed; they are in the folder solutions/ of "
                                       "the course's repository\n")


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"cells": [3]}', '{"cells": [{"metadata": []}]}', "\xff"])
def test_a_broken_notebook_is_a_sentence(text, tmp_path, monkeypatch, capsys):
    (tmp_path / "04_broken.ipynb").write_text(text, encoding="latin-1")
    monkeypatch.setattr(module, "SOLUTIONS", tmp_path)
    reveal("ch04.6", "mine")
    assert capsys.readouterr().out == f"ch04.6: {tmp_path / '04_broken.ipynb'} cannot be read as a notebook\n"


def test_the_answers_are_those_of_this_checkout():
    assert module.SOLUTIONS == ROOT / "solutions"
