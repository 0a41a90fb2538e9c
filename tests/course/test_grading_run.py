"""The commands of the grader: which files they take, what they write, and what they say to wrong use."""

import csv
import json
import os

import pytest

from minidiff.exercises import judge
from minidiff.exercises.core import exercises
from minidiff.grading.__main__ import main
from minidiff.grading.mark import Mark, load_hidden, manual, notebooks
from minidiff.grading.notebook import WRITE_HERE
from minidiff.grading.selftest import solution_lines, tells
from minidiff.grading.submissions import collect
from tests.submissions import save, solved, with_answers

STEM = notebooks()["ch01"]


def call(*arguments):
    return main([str(a) for a in arguments])


@pytest.fixture(scope="module")
def marked(tmp_path_factory):
    """A flat folder of a class as a course site gives it, and the OUT folder of one run over it."""
    folder, out = tmp_path_factory.mktemp("class"), tmp_path_factory.mktemp("marks")
    right = json.dumps(solved("ch01"))
    bad = with_answers("ch01", {"ch01.q_sample": ["def q_sample(x0, t, eps, alpha_bar):\n    return alpha_bar[t] * x0"],
                                "ch01.snr": ['def snr(alpha_bar):\n    raise NotImplementedError("ch01.snr")']})
    silent = solved("ch01")
    for notebook, text in ((bad, "because\n<script>x</script>"), (silent, WRITE_HERE)):
        for cell in notebook.cells:
            if "manual" in cell.metadata.get("tags", []):
                cell.source = text
    (folder / f"mia_123_{STEM}.ipynb").write_text(right)
    (folder / f"mia_123_{STEM} (1).ipynb").write_text(json.dumps(bad))
    (folder / f"=cmd_late_6_7_{STEM}-1.ipynb").write_text(json.dumps(silent))
    (folder / f"lea_8_{STEM}.ipynb").write_text("no notebook")
    (folder / os.fsdecode(b"j\xff_9_" + f"{STEM}.ipynb".encode())).write_text(right)
    (folder / os.fsdecode(b"j\xfe_9_" + f"{STEM}.ipynb".encode())).write_text("no notebook either")
    (folder / "homework1_final.ipynb").write_text("nor this")
    (folder / "readme.txt").write_text("hello")
    assert call("run", folder, "-o", out, "--seed", 4, "-j", 1) == 0
    with open(out / "grades.csv", encoding="utf-8", newline="") as stream:
        return out, {row["student"]: row for row in csv.DictReader(stream)}


def test_every_student_has_a_row(marked):
    _, rows = marked
    assert {name: rows[name]["state"] for name in rows} == {
        "mia": "not passed", "'=cmd": "passed", "lea": "unreadable", r"j\xff": "passed", r"j\xfe": "unreadable",
        "homework1_final": "unreadable"}
    assert float(rows["lea"]["points"]) == 0 and "not JSON" in rows["lea"]["note"]
    assert rows["mia"]["ch01.snr state"] == "not started" and rows["mia"]["ch01.q_sample note"]
    assert float(rows["'=cmd"]["points"]) == float(rows["mia"]["of"]) == sum(
        e.points for e in exercises("ch01").values())


def test_the_run_says_what_it_did(marked):
    said = json.loads((marked[0] / "run.json").read_text())
    assert said["seed"] == 4 and "limits: wall clock" in said["promises"] and set(said["students"]) == {
        "mia", "=cmd", "lea", r"j\xff", r"j\xfe", "homework1_final"}
    assert [why for _, why in said["not graded"]] == ["an earlier hand-in", "not named like a chapter"]


def test_the_page_of_a_student_tells_what_was_missed_and_no_solution(marked):
    page = (marked[0] / "mia.md").read_text()
    assert "MISS: uses each image's own step" in page and "expected" in page and "> because" in page
    more = sum(points for _, points in manual("ch01"))
    assert f"\nUp to {more} points more are for the written answers; your teacher gives them.\n" in page
    assert "## ch01.snr: not started, 0 of 1 points" in page
    assert not any(line in page for line in solution_lines("ch01"))
    assert "could not be graded: not JSON" in (marked[0] / "lea.md").read_text()


def test_report_sums_up_a_class(marked, capsys):
    out, _ = marked
    assert call("report", out) == 0
    said = capsys.readouterr().out
    assert "ch01: 6 notebooks, 3 of them unreadable" in said
    assert "- ch01.q_sample: 33 % passed, 1 of 3 points on average, 3 not started" in said
    assert "  - most missed (1 times): " in said and r"- =cmd and j\xff: ch01.q_sample" in said
    assert r"- =cmd, j\xff and mia: ch01.linear_betas" in said
    assert "- ch01.induction: to be read, 2 of 6 written" in said
    page = (out / "report-ch01.md").read_text()
    assert "**mia**\n\n> because\n> &lt;script>x&lt;/script>\n" in page
    assert "Nothing written: =cmd." in page and said.splitlines()[1] in page
    assert (out / "report-ch01.png").stat().st_size > 10_000


def test_pages_of_an_earlier_run_are_named_and_left(tmp_path, capsys):
    out, first, second = tmp_path / "marks", tmp_path / "one", tmp_path / "two"
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "ch01.py").write_text(HIDDEN % ("brightness_ratio", "(0.5 * 4 + 0.5) ** -0.5"))
    for folder, student in ((first, "ann"), (second, "bob")):
        save(solved("ch01"), folder / student, "ch01")
    (tmp_path / "marks").mkdir()
    (out / "mine.md").write_text("a teacher's own")
    assert call("run", first, "-o", out) == call("report", out) == 0
    assert "of an earlier run" not in capsys.readouterr().out
    assert json.loads((out / "run.json").read_text())["hidden"] == "the course's own"
    for _ in range(2):  # once more, and they are still known
        assert call("run", second, "-o", out, "--hidden", hidden) == 0
        said = capsys.readouterr().out
        assert "1 notebook of 1 student, seed " in said
        assert f"of an earlier run, and still in {out}: ann.json, ann.md, report-ch01.md, report-ch01.png\n" in said
    config = json.loads((out / "run.json").read_text())
    assert config["hidden"] == str(hidden) and config["of earlier runs"] == ["ann.json", "ann.md"]
    assert (out / "ann.md").is_file() and (out / "mine.md").read_text() == "a teacher's own"


def test_only_a_wrong_value_is_told_a_hint_about_values():
    ran = judge.Attempt(error="ran over 4 s")
    assert judge.verdict(exercises("ch01")["ch01.q_sample"], 0, ran, None).hint == ""
    raised, wrong = judge.Attempt(error="stops with IndexError"), judge.Attempt(3.0)
    assert [judge.verdict(exercises("ch01")["ch01.q_sample"], i, raised, None).hint for i in (0, 1)] == ["", ""]
    assert judge.verdict(exercises("ch01")["ch01.q_sample"], 0, wrong, 4.0).hint != ""


@pytest.mark.parametrize("names, students", [
    (["ann/{}", "ann/{} (2)", "ann/{}-Copy1"], {"ann": "{} (2)"}),
    (["ann_1_2_{}", "ann_3_4_{}", "bob_LATE_5_6_{}"], {"ann_1": "ann_1_2_{}", "ann_3": "ann_3_4_{}", "bob": "bob_L"}),
    (["ann_1_2_{}", "ann_1_9_{}-1"], {"ann": "ann_1_9_{}-1"}),
    (["Jane Doe_77_assignsubmission_file_/{}"], {"Jane Doe": "{}"}),
    (["Jane Doe_77_assignsubmission_file/{}", "Jane Doe_78_assignsubmission_file/{}", "Bo/{}"],
     {"Jane Doe_77": "{}", "Jane Doe_78": "{}", "Bo": "{}"}),
    (["ann/{}", "bob/homework1_final"], {"ann": "{}", "bob": "homework1_final"}),
    (["ann_1_2_{}", "homework1_final"], {"ann": "ann_1_2_{}", "homework1_final": "homework1_final"}),
    (["ann/{}", "bob/a", "bob/b"],
     {"ann": "{}", "bob": "no notebook is named like a chapter; there are a.ipynb, b.ip"}),
    (["ann/{}", "bob/x/.ipynb_checkpoints/{}"], {"ann": "{}", "bob": "no notebook was handed in"}),
    (["{}", "ann/notes"], {}),
    (["ann/{}", "__MACOSX/x/{}"], {"ann": "{}"}),
])
def test_whose_a_file_is(names, students, tmp_path):
    for name in names:
        path = tmp_path / f"{name.format(STEM)}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    found, _ = collect(tmp_path, notebooks())
    assert {s.student: s.problem or s.path.name for s in found}.keys() == students.keys()
    assert all((s.problem or s.path.name).startswith(students[s.student].format(STEM)) for s in found)


def test_whatever_is_no_submission_is_listed(tmp_path):
    save(solved("ch01"), tmp_path / "ann", "ch01")
    (tmp_path / "ann" / ".ipynb_checkpoints").mkdir()
    (tmp_path / "bob").symlink_to(tmp_path / "ann")
    (tmp_path / "eve").mkdir()
    os.mkfifo(tmp_path / "eve" / f"{STEM}.ipynb")
    found, ignored = collect(tmp_path, notebooks())
    assert ignored == [("ann/.ipynb_checkpoints", "hidden"), ("bob", "a link"), (f"eve/{STEM}.ipynb", "not a file")]
    assert {s.student: s.problem for s in found} == {"ann": "", "eve": "no notebook was handed in"}


HIDDEN = '''
from minidiff.exercises.core import Case
HIDDEN = {"ch01.%s": (Case("is what the teacher says", lambda g: (0.5, 4, 1.0), expect=lambda a, d, sd: %s),)}
'''


@pytest.mark.parametrize("make, says", [
    (lambda p: ["run", p / "no", "-o", p / "out"], "no such folder"),
    (lambda p: ["run", p / "empty", "-o", p / "out"], "no notebook there is named like a chapter"),
    (lambda p: ["run", p / "file", "-o", p / "out"], "file is a file, expected a folder of submissions"),
    (lambda p: ["run", p / "empty", "-o", p / "empty" / "out"], "lies inside"),
    (lambda p: ["run", p / "empty", "-o", p / "empty"], "empty is the folder of submissions itself"),
    (lambda p: ["run", p / "one", "-o", p / "file"], "cannot be made"),
    (lambda p: ["run", p / "one", "-o", p / "out", "--hidden", p / "empty"], "no hidden cases"),
    (lambda p: ["run", p / "one", "-o", p / "out", "--hidden", p / "no"], "no hidden cases"),
    (lambda p: ["run", p / "one", "-o", p / "out", "--hidden", p / "broken"], "no hidden cases can be read"),
    (lambda p: ["run", p / "one", "-o", p / "out", "--hidden", p / "other"], "no hidden cases for ch01 there, exp"),
    (lambda p: ["run", p / "one", "-o", p / "out", "--hidden", p / "none"], "expected a file ch01.py with HIDDEN"),
    (lambda p: ["run", p / "one", "-o", p / "out", "--hidden", p / "unknown"], "there is no exercise 'ch01.other'"),
    (lambda p: ["run", p / "one", "-o", p / "out", "--hidden", p / "wrong"], "solution of ch01.brightness_ratio does"),
    (lambda p: ["run", p / "empty", "-o", p / "out", "-j", "0"], "must be positive"),
    (lambda p: ["run", p / "empty", "-o", p / "out", "--timeout", "nan"], "must be positive"),
    (lambda p: ["report", p / "empty"], "no marks there"),
    (lambda p: ["report", p / "no"], "no marks there"),
    (lambda p: ["selftest", "77"], "no chapter 77"),
    (lambda p: ["new", "ch77.thing"], "no chapter 77"),
    (lambda p: ["new", "thing"], "no name for an exercise"),
    (lambda p: ["new", "ch01.q_sample"], "exists already"),
    (lambda p: ["new", "ch01.thing", "--module", "process.forward"], "there is no thing in it"),
])
def test_wrong_use_is_one_line_and_exit_2(make, says, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    save(solved("ch01"), tmp_path / "one" / "ann", "ch01")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "ch02.py").write_text("HIDDEN = {}")
    for name, text in {"broken": "HIDDEN = 3", "none": "HIDDEN = {}", "unknown": HIDDEN % ("other", "1.0"),
                       "wrong": HIDDEN % ("brightness_ratio", "9.0")}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "ch01.py").write_text(text)
    assert call(*make(tmp_path)) == 2
    error = capsys.readouterr().err.strip()
    assert says in error and "\n" not in error


def test_a_teacher_s_own_cases_stand_in_place_of_ours(tmp_path):
    (tmp_path / "ch01.py").write_text(HIDDEN % ("brightness_ratio", "(0.5 * 4 + 0.5) ** -0.5"))
    (tmp_path / "ch01_more.py").write_text(HIDDEN % ("snr", "0"))
    cases, files = load_hidden("ch01", tmp_path)
    assert {id: len(some) for id, some in cases.items()} == {"ch01.brightness_ratio": 1, "ch01.snr": 1}
    assert len(files) == 2 and len(load_hidden("ch01")[0]) == len(exercises("ch01"))


@pytest.mark.parametrize("chapter", notebooks())
def test_no_case_tells_a_line_of_the_solution(chapter):
    lines, hidden = solution_lines(chapter), load_hidden(chapter)[0]
    told = [(case.says, line) for id, e in exercises(chapter).items() for case in e.cases + hidden.get(id, ())
            for line in lines if line in case.says or line in case.hint]
    assert lines and not told


def test_a_message_with_a_line_of_the_solution_is_noticed():
    line = next(iter(solution_lines("ch01")))
    assert tells(Mark("ch01.snr", "not passed", 0, 1, f"no, {line}"), solution_lines("ch01"))
    assert not tells(Mark("ch01.snr", "not passed", 0, 1, "no"), solution_lines("ch01"))


def test_the_command_explains_its_limits(capsys):
    with pytest.raises(SystemExit):
        main(["run", "--help"])
    said = capsys.readouterr().out
    for limit in ("10 s of wall clock", "60 s for one answer", "4 GiB", "16 MB", "32 at a time", "50 MB", "Isolated"):
        assert limit in said
