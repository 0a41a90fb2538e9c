"""The grader gives every known submission its mark, whatever the code in it tries, and leaves nothing behind."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from minidiff.exercises.core import exercises
from minidiff.grading import answers, mark, run, sandbox, wire
from minidiff.grading.__main__ import main
from minidiff.grading.mark import Marker, notebooks
from minidiff.grading.nursery import Limits
from minidiff.grading.submissions import Submission, collect

CORPUS = sorted((Path(__file__).parents[1] / "submissions").glob("*.py.txt"))
STEM = notebooks()["ch01"]
LIMITS = Limits(timeout=4.0, memory=2.0)
SEED = 11


def solution():
    return nbformat.read(mark.ROOT / "solutions" / f"{STEM}.ipynb", as_version=4)


def with_answer(source):
    """The solved chapter 01 with another answer to ch01.q_sample; `# ---` ends a cell before it."""
    notebook = solution()
    at = next(i for i, c in enumerate(notebook.cells)
              if c.metadata.get("minidiff", {}).get("exercise") == "ch01.q_sample" and c.cell_type == "code")
    *before, notebook.cells[at].source = source.split("# ---\n")
    notebook.cells[at:at] = [nbformat.v4.new_code_cell(s) for s in before]
    return notebook


def save(notebook, folder):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{STEM}.ipynb"
    path.write_text(json.dumps(notebook), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def sheets(tmp_path_factory):
    """The marks of the whole corpus, graded as one class: {name: Sheet}."""
    folder = tmp_path_factory.mktemp("class")
    for file in CORPUS:
        save(with_answer(file.read_text().partition("\n")[2]), folder / file.name.removesuffix(".py.txt"))
    found, ignored = collect(folder, notebooks())
    assert len(found) == len(CORPUS) >= 40 and not ignored
    graded, _ = run.grade(found, SEED, LIMITS, hide=(folder,))
    return {sheet.student: sheet for sheet in graded}


@pytest.mark.parametrize("file", CORPUS, ids=lambda f: f.name.removesuffix(".py.txt"))
def test_a_submission_gets_the_mark_that_it_must_get(file, sheets):
    must, _, points = file.read_text().partition("\n")[0].removeprefix("# ").partition(", ")
    marks = {m.id: m for m in sheets[file.name.removesuffix(".py.txt")].marks}
    got = marks.pop("ch01.q_sample")
    assert got.state == must, got
    if points:
        assert got.points == float(points.split()[0]), got
    assert got.points < got.of or must == "passed"
    assert {m.state for m in marks.values()} == {"passed", "to be read"}  # every other exercise of the notebook


def test_nothing_is_left_behind(sheets):
    assert not Path("minidiff-was-here").exists()
    if sandbox.LINUX:
        assert not [p for p in sandbox.descendants(os.getpid()) if "sleep(1000)" in command_line(p)]


def command_line(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


@pytest.mark.parametrize("chapter", notebooks())
def test_the_solution_gets_full_marks_and_an_untouched_chapter_none(chapter):
    stem = f"{notebooks()[chapter]}.ipynb"
    with Marker(chapter, SEED) as marker:
        full = marker.sheet(Submission("full", chapter, mark.ROOT / "solutions" / stem))
        none = marker.sheet(Submission("none", chapter, mark.ROOT / "chapters" / stem))
    assert (full.state, full.points) == ("passed", sum(e.points for e in exercises(chapter).values()))
    assert (none.state, none.points) == ("not started", 0)
    assert {m.state for m in none.marks} == {"not started", "to be read"}


def test_a_system_without_fork_gives_the_same_marks():
    with Marker("ch01", SEED, fork=False) as marker:
        sheet = marker.sheet(Submission("full", "ch01", mark.ROOT / "solutions" / f"{STEM}.ipynb"))
    assert sheet.state == "passed"


BROKEN = {
    "empty": b"", "not_json": b"PK\x03\x04 rest", "cut_off": b'{"cells": [', "a_list": b"[1, 2]",
    "no_cells": b'{"nbformat": 4}', "cells_are_numbers": b'{"cells": [1], "nbformat": 4}',
}


@pytest.fixture(scope="module")
def odd_class(tmp_path_factory):
    """Files that are broken or come from other programs, and the OUT folder of one run over them."""
    folder, out = tmp_path_factory.mktemp("odd"), tmp_path_factory.mktemp("marks")
    for name, data in BROKEN.items():
        (folder / name).mkdir()
        (folder / name / f"{STEM}.ipynb").write_bytes(data)
    text = json.dumps(solution(), indent=1)
    (folder / f"mia_123_{STEM}.ipynb").write_text(text)
    (folder / f"windows_late_77_{STEM} (1).ipynb").write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    old = nbformat.convert(solution(), 3)
    for cell in old.worksheets[0].cells:
        cell.metadata = {}
    (folder / f"old_5_{STEM}.ipynb").write_text(nbformat.v3.writes_json(old))
    (folder / f"=cmd_6_{STEM}.ipynb").write_text(text)
    (folder / "readme.txt").write_text("hello")
    assert main(["run", str(folder), "-o", str(out), "--seed", "4"]) == 0
    with open(out / "grades.csv", encoding="utf-8", newline="") as stream:
        return out, {row["student"]: row for row in csv.DictReader(stream)}


def test_a_broken_file_is_a_row_and_the_class_goes_on(odd_class):
    out, rows = odd_class
    assert set(BROKEN) <= set(rows) and len(rows) == len(BROKEN) + 4
    for name in BROKEN:
        assert rows[name]["state"] == "unreadable" and float(rows[name]["points"]) == 0 and rows[name]["note"]


@pytest.mark.parametrize("student", ["mia", "windows", "old", "'=cmd"])
def test_notebooks_of_other_programs_are_read(student, odd_class):
    assert odd_class[1][student]["state"] == "passed"


def test_a_page_for_each_student_tells_no_solution(sheets, tmp_path):
    run.write(tmp_path, list(sheets.values()), [], SEED, "limits")
    lines = {line.strip() for c in solution().cells if c.cell_type == "code" for line in c.source.splitlines()
             if len(line.strip()) > 25 and "exercise" in c.metadata.get("tags", [])}
    for sheet in sheets.values():
        page = (tmp_path / f"{sheet.student}.md").read_text()
        assert sheet.marks[0].id in page and not any(line in page for line in lines)


def test_the_same_seed_gives_the_same_marks(tmp_path):
    path = save(with_answer("def q_sample(x0, t, eps, alpha_bar):\n    return alpha_bar[t] * x0\n"), tmp_path / "a")
    one, two = (run.grade([Submission("a", "ch01", path)], 3, LIMITS, jobs=1)[0] for _ in range(2))
    assert one == two


def test_report_sums_up_a_class(odd_class, capsys):
    out, _ = odd_class
    capsys.readouterr()
    assert main(["report", str(out)]) == 0
    said = capsys.readouterr().out
    assert "ch01: 10 notebooks, 6 of them unreadable" in said and "ch01.q_sample: 40 % passed" in said
    assert "the same up to names and comments: ch01.q_sample: " in said and (out / "report-ch01.png").exists()


@pytest.mark.parametrize("make, says", [
    (lambda p: ["run", p / "no", "-o", p / "out"], "no such folder"),
    (lambda p: ["run", p / "empty", "-o", p / "out"], "no notebook there is named like a chapter"),
    (lambda p: ["run", p / "empty", "-o", p / "empty" / "out"], "lies inside"),
    (lambda p: ["run", p / "empty", "-o", p / "out", "--hidden", p / "empty"], "no hidden cases"),
    (lambda p: ["run", p / "empty", "-o", p / "out", "-j", "0"], "must be positive"),
    (lambda p: ["report", p / "empty"], "no marks there"),
    (lambda p: ["selftest", "77"], "no chapter 77"),
])
def test_wrong_use_is_one_line_and_exit_2(make, says, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert main([str(a) for a in make(tmp_path)]) == 2
    error = capsys.readouterr().err.strip()
    assert says in error and "\n" not in error


@pytest.mark.parametrize("value", [None, True, 3, -1.5, float("inf"), 2 + 1j, "text", (1, [2.0, None]), {"a": (1,)}])
def test_plain_values_cross_the_wire(value):
    assert wire.unpack(wire.pack(value)) == value


@pytest.mark.parametrize("data", [b"", b"x" * 7, b"\xff" * 8, wire.LENGTH.pack(3) + b"[1]", wire.pack(1)[:-1],
                                  wire.pack(1) + b"!", wire.LENGTH.pack(18) + b'{"tensor":["x",[]]}'])
def test_bytes_that_are_no_message_are_refused(data):
    with pytest.raises(wire.WireError):
        wire.unpack(data)


def test_only_definitions_of_a_notebook_run():
    cells = [answers.Cell("code", "import math\nprint('no')\nstep = 1\nslow = train()\ndef helper():\n    return step")]
    cells.append(answers.Cell("code", "def snr(a):\n    return helper() + math.pi + slow"))
    codes = answers.parsed(cells)
    pulled = answers.pull(codes, answers.find(codes, "ch01.snr"), "ch01.snr", {})
    assert [part["keep"] for part in pulled[1:]] == [[0, 2, 4], [0]]


def test_the_command_explains_its_limits():
    said = subprocess.run([sys.executable, "-m", "minidiff.grading", "run", "--help"], capture_output=True, text=True)
    assert "10 s of wall clock" in said.stdout and "4 GiB" in said.stdout
