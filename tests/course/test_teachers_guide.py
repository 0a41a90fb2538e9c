"""The teacher's guide: its commands work as they stand, one after the other, and it promises only what is there."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys

import pytest
import torch

from minidiff.grading import build, new, selftest
from minidiff.grading.__main__ import main
from tests.course.tree import WRITTEN, ROOT, course

GUIDE = (ROOT / "solutions" / "README.md").read_text(encoding="utf-8").replace("my_exercise", "my_own_exercise")
# That is another name than the guide's, which a teacher who followed it may have used in this very repository.
COMMANDS = [line for language, block in re.findall(r"^```(\w*)\n(.*?)^```$", GUIDE, re.M | re.S) if not language
            for line in block.splitlines()]
SLOW = ("python -m minidiff.grading build", "python -m minidiff.grading selftest")  # minutes: understood, not run
NOT_HERE = ("make ", "source ",  # what they install is what these tests run in
            "python -m pytest tests/course/test_notebooks.py")  # stands beside this file
FAILS = ("python -m pytest tests/course/test_exercises.py -k my_own_exercise",)  # until its files are filled in


# Runs commands one after the other, each in a process of its own; those that start Python in one that has torch loaded.
FOLLOW = '''
import json, os, runpy, shlex, sys
import matplotlib.pyplot, nbclient, nbformat, torch
done = {}
for command in sys.argv[1:]:
    if not (child := os.fork()):
        output = os.open("said.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(output, 1), os.dup2(output, 2)
        words = shlex.split(command)
        if words[:2] != ["python", "-m"]:
            os.execvp("bash", ["bash", "-c", command])
        sys.argv, code = words[2:], 0
        try:
            runpy.run_module(words[2], run_name="__main__", alter_sys=True)
        except SystemExit as stop:
            code = stop.code
        sys.stdout.flush(), sys.stderr.flush()
        os._exit(int(code or 0))
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with open("said.txt") as file:
        done[command] = (code, file.read())
json.dump(done, sys.stdout)
'''


@pytest.fixture(scope="module")
def followed(tmp_path_factory):
    """A copy of the repository in which the guide was followed, and {command: (exit status, what it said)}."""
    copy = tmp_path_factory.mktemp("guide") / "minidiff"
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]  # a new exercise's files as well
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, copy / name)
    subprocess.run(["git", "init", "-q"], cwd=copy, check=True)
    commands = [command for command in COMMANDS if not command.startswith(SLOW + NOT_HERE)]
    environment = {**os.environ, "PYTHONPATH": str(copy), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", FOLLOW, *commands], cwd=copy, env=environment, capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stderr
    return copy, json.loads(done.stdout)


def test_every_command_works(followed):
    _, done = followed
    assert len(done) >= 10
    assert {command: said[-500:] for command, (code, said) in done.items() if code and command not in FAILS} == {}


def test_the_tests_of_a_new_exercise_fail_until_it_is_written(followed):
    code, said = followed[1][FAILS[0]]
    assert code == 1 and re.search(r"\d+ failed, \d+ passed", said) and "ch04.my_own_exercise-mistake_6" in said


def test_the_files_that_are_promised_are_there(followed):
    promised = re.findall(r"^\| `([\w./-]+)` \|", GUIDE, re.M)
    assert len(promised) >= 10 and [name for name in promised if not (followed[0] / name).is_file()] == []
    assert (followed[0] / "out" / "nbgrader" / "README.md").is_file()
    assert (followed[0] / "work" / "01_adding_noise.ipynb").is_file()


def test_who_knows_everything_gets_all_points_and_who_has_not_begun_none(followed):
    with open(followed[0] / "out" / "marks" / "grades.csv", encoding="utf-8", newline="") as stream:
        rows = {row["student"]: row for row in csv.DictReader(stream)}
    assert (rows["ada"]["state"], rows["ada"]["points"]) == ("passed", rows["ada"]["of"] + ".0")
    assert (rows["ben"]["state"], float(rows["ben"]["points"])) == ("not started", 0)


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith(SLOW)])
def test_a_slow_command_is_understood(command, monkeypatch):
    ran = []
    for module in (build, selftest):
        monkeypatch.setattr(module, "command", lambda args: ran.append(args) or 0)
    assert main(command.split()[3:]) == 0 and len(ran) == 1


@pytest.mark.parametrize("command", re.findall(r"`((?:python -m|make) [^`]+)`", GUIDE))
def test_a_command_in_the_text_exists(command):
    if command.startswith("make "):
        assert command.split()[1] in re.search(r"^\.PHONY: (.*)", (ROOT / "Makefile").read_text(), re.M)[1].split()
    else:
        assert command.split()[:3] == ["python", "-m", "minidiff.grading"]
        with pytest.raises(SystemExit, match="^0$"):
            main([*command.split()[3:], "--help"])


def test_the_plans_link_to_the_chapters_that_exist_and_name_the_others():
    six, fourteen = [re.findall(r"^\| \d+ \| (.*?) \|", part, re.M) for part in GUIDE.split("**Fourteen weeks**")]
    assert [len(six), len(fourteen[:14])] == [6, 14]
    numbers = [re.findall(r"\d\d(?!_)", re.sub(r"\(\S+\)", "", " ".join(plan))) for plan in (six, fourteen[:14])]
    assert numbers[0] == ["01", "02", "03", "04", "05", "07", "10", "12", "13", "15"]
    assert numbers[1] == [f"{n:02}" for n in range(1, 21)]
    links = [re.findall(r"\[(\d\d)\]\((\w+)\.ipynb\)", " ".join(plan)) for plan in (six, fourteen)]
    written = {chapter: course()[chapter]["notebook"] for chapter in WRITTEN}
    assert dict(links[1]) == written
    assert dict(links[0]) == {chapter: name for chapter, name in written.items() if chapter in numbers[0]}


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)#]+)\)", GUIDE))))
def test_each_link_leads_somewhere(link):
    assert (ROOT / "solutions" / link).is_file()


@pytest.mark.parametrize("file", sorted(set(re.findall(r"\btests/course/\w+\.py", GUIDE))))
def test_each_file_of_tests_exists(file):
    assert (ROOT / file).is_file()


def test_the_case_that_is_shown_fits_the_skeleton():
    shown, = re.findall(r"^```python\n(.*?)^```$", GUIDE, re.M | re.S)
    skeleton = new.CASES.substitute(number="04", name="q_sample", module="process.forward", id="ch04.x", arguments="x")
    names = {}
    exec(skeleton, names)
    case = eval(shown, names)
    assert [x.shape for x in case.inputs(torch.Generator())] == [(8, 1, 8, 8)]


@pytest.mark.parametrize("place", sorted(set(re.findall(r"`((?:minidiff|tests|chapters|solutions)/[\w/]*/)`", GUIDE))))
def test_each_place_exists(place):
    assert (ROOT / place).is_dir()
