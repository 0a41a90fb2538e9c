"""The archive for Gradescope: unpacked in Gradescope's layout, its script grades, and writes what Gradescope reads."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from pathlib import Path

import jsonschema
import pytest

from minidiff.exercises.core import exercises
from minidiff.grading import gradescope, run
from minidiff.grading.__main__ import main
from minidiff.grading.mark import ROOT, manual, notebooks
from minidiff.grading.submissions import Submission
from tests.course.gradescope_format import SCHEMA
from tests.course.handed_in import WRONG, chapter, hand_in, solved

SEED = 5
STEM = notebooks()["ch01"]
UNTOUCHED = {c.metadata.minidiff.exercise: c.source for c in chapter("ch01").cells
             if c.metadata.get("minidiff", {}).get("exercise") == "ch01.brightness_ratio"}
OF = sum(e.points for e in exercises("ch01").values())


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    file = tmp_path_factory.mktemp("export") / "autograder.zip"
    assert main(["export", "gradescope", str(file), "--chapter", "01", "--seed", str(SEED)]) == 0
    return file


@pytest.fixture(scope="module")
def autograder(archive):
    """Gradescope's folder layout with the archive unpacked in it, where another user may go."""
    root = Path(tempfile.mkdtemp(prefix="autograder-"))
    root.chmod(0o755)
    shutil.unpack_archive(archive, root / "source")
    for name in gradescope.PROGRAMS:  # Python's zipfile forgets the modes that the archive holds
        (root / "source" / name).chmod(0o755)
    shutil.copy(root / "source" / "run_autograder", root)
    yield root
    shutil.rmtree(root)


def upload(root, files):
    """Lay files {name: path or bytes} into submission/, and empty results/."""
    for name in ("submission", "results"):
        shutil.rmtree(root / name, ignore_errors=True)
        (root / name).mkdir()
    for name, file in files.items():
        (root / "submission" / name).write_bytes(file if isinstance(file, bytes) else file.read_bytes())


def results(root):
    found = json.loads((root / "results" / "results.json").read_text())
    jsonschema.validate(found, SCHEMA)
    return found


def grade(root, files, student=""):
    """Run run_autograder as Gradescope does. Returns results.json and the finished process."""
    upload(root, files)
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])  # where setup.sh's packages are
    environment = {**os.environ, "PATH": path, "MINIDIFF_AUTOGRADER": str(root), "MINIDIFF_STUDENT": student}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run([root / "run_autograder"], cwd=root, env=environment, capture_output=True, text=True)
    return results(root), done


@pytest.fixture
def grade_here(autograder, monkeypatch):
    """The same without a new process for the grader: (files, student) -> results.json and the exit status."""
    def grade_here(files, student=""):
        upload(autograder, files)
        monkeypatch.setenv("MINIDIFF_AUTOGRADER", str(autograder))
        monkeypatch.setenv("MINIDIFF_STUDENT", student)
        monkeypatch.setattr(gradescope, "ROOT", autograder / "source")
        status = gradescope.main()
        return results(autograder), status
    return grade_here


@pytest.fixture(scope="module")
def graded(autograder, tmp_path_factory):
    """What Gradescope would show for a right and a partly right notebook, and our own sheets."""
    folder, right = tmp_path_factory.mktemp("class"), solved("ch01")
    files = {name: hand_in(chapter("ch01"), answers, folder / f"{name}.ipynb")
             for name, answers in {"right": right, "partly": right | WRONG | UNTOUCHED}.items()}
    sheets, _ = run.grade([Submission(name, "ch01", file) for name, file in files.items()], SEED)
    found = {name: grade(autograder, {f"{STEM}.ipynb": file})[0] for name, file in files.items()}
    return found, {sheet.student: sheet for sheet in sheets}


@pytest.mark.parametrize("name", ["right", "partly"])
def test_the_marks_are_those_of_our_own_grader(name, graded):
    found, sheet = graded[0][name], graded[1][name]
    ours = {mark.id: (mark.points, mark.of) for mark in sheet.marks if mark.state != "to be read"}
    assert {t["name"]: (t["score"], t["max_score"]) for t in found["tests"] if "score" in t} == ours
    assert found["score"] == pytest.approx(sheet.points)


def test_the_marks_are_full_or_a_part(graded):
    scores = {name: found["score"] for name, found in graded[0].items()}
    assert scores["right"] == OF and 0 < scores["partly"] < OF - 4


def test_a_student_reads_what_is_missed_and_a_teacher_the_written_answers(graded):
    partly = {t["name"]: t for t in graded[0]["partly"]["tests"]}
    assert "MISS uses each image's own step" in partly["ch01.q_sample"]["output"]
    assert partly["ch01.linear_betas"]["output"].startswith("ch01.linear_betas: not passed, the cell is no Python")
    assert partly["ch01.snr"]["status"] == "failed" and partly["ch01.prior_kl"]["status"] == "passed"
    assert [name for name in partly if "to be read" in name] == [
        f"{id}: to be read, up to {points} points" for id, points in manual("ch01")]
    assert partly["ch01.brightness_ratio"]["output"] == "ch01.brightness_ratio: not started"


def test_nothing_handed_in_is_0_points_and_a_sentence(autograder):
    found, done = grade(autograder, {"notes.txt": b"hello"})
    assert done.returncode == 0 and (found["score"], found["tests"]) == (0, [])
    assert found["output"] == f"Nothing to grade: hand in {STEM}.ipynb."


def test_a_broken_notebook_is_0_points_and_a_sentence(grade_here):
    found, _ = grade_here({f"{STEM}.ipynb": b"PK no JSON"})
    assert found["score"] == 0 and "could not be graded: not JSON" in found["output"]


def test_what_goes_wrong_in_the_grader_is_no_fault_of_the_student(grade_here):
    found, status = grade_here({}, student="nobody-has-this-name")
    assert status == 1
    assert found["output"] == ("The grader could not run: there is no user 'nobody-has-this-name', whom setup.sh "
                               "makes to run answers. Please tell your teacher.")


def test_a_grader_that_is_killed_leaves_a_sentence(autograder, grade_here, monkeypatch):
    def killed():
        raise KeyboardInterrupt
    monkeypatch.setattr(gradescope, "student", killed)
    with pytest.raises(KeyboardInterrupt):
        grade_here({})
    assert "too little memory" in results(autograder)["output"]


def python_for_nobody(root):
    """Give the layout a Python that the user nobody can run, as setup.sh does. Skips where that is not possible."""
    if not hasattr(os, "getuid") or os.getuid():
        pytest.skip("only root can run answers as another user")
    name = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    found = shutil.which(name, path="/usr/bin:/usr/local/bin")
    if not found:
        pytest.skip(f"no {name} that everyone can read")
    packages = root / "venv" / "lib" / name / "site-packages"
    packages.mkdir(parents=True)
    (packages / "packages.pth").write_text(sysconfig.get_path("purelib"))
    (root / "venv" / "bin").mkdir()
    (root / "venv" / "bin" / "python").symlink_to(found)
    (root / "venv" / "pyvenv.cfg").write_text(f"home = {Path(found).parent}\n")
    probe = subprocess.run([root / "venv" / "bin" / "python", "-c", "import torch"], user="nobody", cwd="/",
                           env={"PATH": "/usr/bin:/bin"}, capture_output=True)
    if probe.returncode:
        pytest.skip("the user nobody cannot read the packages")


SPY = """\
def snr(alpha_bar):
    import os
    seen = [str(os.getuid())]
    for name in ("source/settings.json", "submission/{stem}.ipynb", "results/results.json",
                 "source/minidiff/exercises/ch01.py"):
        seen += [name] if os.path.exists("{root}/" + name) else []
    raise ValueError(", ".join(seen))
"""


def test_answers_run_as_another_user_who_sees_nothing_of_the_grader(autograder, tmp_path):
    python_for_nobody(autograder)
    answers = solved("ch01") | {"ch01.snr": SPY.format(root=autograder, stem=STEM)}
    file = hand_in(chapter("ch01"), answers, tmp_path / f"{STEM}.ipynb")
    found, done = grade(autograder, {file.name: file}, student="nobody")
    assert found["score"] == OF - 1, done
    import pwd
    said = next(t["output"] for t in found["tests"] if t["name"] == "ch01.snr")
    assert f"stops with ValueError: {pwd.getpwnam('nobody').pw_uid} (line" in said


def test_the_archive_holds_the_two_programs_and_no_solution(archive):
    with zipfile.ZipFile(archive) as pack:
        modes = {entry.filename: entry.external_attr >> 16 for entry in pack.infolist()}
        settings = json.loads(pack.read("settings.json"))
        words = pack.read("README.md").decode()
    assert [name for name, mode in modes.items() if mode & 0o111] == sorted(gradescope.PROGRAMS)
    assert [name for name in modes if name.endswith(".ipynb")] == [f"chapters/{STEM}.ipynb"]
    assert settings == {"chapters": ["ch01"], "seed": SEED} and "Give it memory" in words and "$" not in words


@pytest.mark.skipif(not shutil.which("unzip"), reason="no unzip")
def test_the_trial_that_the_readme_describes_works_as_it_stands(archive, tmp_path):
    with zipfile.ZipFile(archive) as pack:
        trial = pack.read("README.md").decode().split("## A trial")[1].split("```\n")[1]
    shutil.copytree(archive.parent, tmp_path / "out")
    (tmp_path / "chapters").symlink_to(ROOT / "chapters")
    environment = {**os.environ, "PATH": os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])}
    done = subprocess.run(["bash", "-ec", trial], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "ch01.snr: not started" in [t["output"] for t in results(tmp_path / "out" / "trial")["tests"]]


def test_the_archive_is_the_same_for_the_same_seed(archive):
    assert gradescope.archive(["ch01"], SEED) == archive.read_bytes()


def test_setup_installs_the_pinned_packages_and_makes_the_user(autograder, tmp_path):
    """Runs setup.sh with programs that only write down how they were called."""
    for name, status in {"apt-get": 0, "adduser": 0, "id": 1, "python3.13": 0, "chmod": 0}.items():
        (tmp_path / name).write_text(f'#!/bin/sh\necho "{name} $*" >> "{tmp_path}/calls"\nexit {status}\n')
        (tmp_path / name).chmod(0o755)
    pip = tmp_path / "root" / "venv" / "bin" / "pip"
    pip.parent.mkdir(parents=True)
    pip.write_text(f'#!/bin/sh\necho "pip $*" >> "{tmp_path}/calls"\n')
    pip.chmod(0o755)
    root = tmp_path / "root"
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "MINIDIFF_AUTOGRADER": str(root)}
    subprocess.run([autograder / "source" / "setup.sh"], env=environment, check=True)
    assert (tmp_path / "calls").read_text().splitlines() == [
        "apt-get update", "apt-get install -y python3.13 python3.13-venv", f"python3.13 -m venv {root}/venv",
        f"pip install --no-cache-dir -c {root}/source/constraints.txt -r {root}/source/requirements.txt",
        "id student", "adduser student --no-create-home --disabled-password --gecos ", f"chmod -R o= {root}/source"]


def test_the_packages_that_are_installed_are_pinned():
    pins = (ROOT / "constraints.txt").read_text()
    names = [line.split(">")[0] for line in gradescope.requirements().splitlines()]
    assert "torch" in names and "nbformat" in names and [n for n in names if f"\n{n}==" not in pins] == []
