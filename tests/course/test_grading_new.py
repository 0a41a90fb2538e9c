"""`grading new`: the files that it writes are an exercise whose tests fail until its mutants are written."""

import os
import shutil
import subprocess
import sys
import tomllib
from argparse import Namespace
from types import SimpleNamespace

import pytest

from minidiff.exercises.core import find
from minidiff.grading import new
from minidiff.grading.build import pair, read, solution_files
from minidiff.grading.mark import ROOT, GradingError
from tests.mutants import alternatives, mutants

ID = "ch02.bits_per_dim"  # a function of the package that is no exercise yet


def write(root, id, module=None):
    return new.command(Namespace(id=id, module=module), root)


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """What of the repository an exercise is made of, with the exercises of two chapters alone: they load in no time."""
    root = tmp_path_factory.mktemp("course")
    for name in ("minidiff", "tests/mutants", "tests/course/rules", "solutions"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for folder in (root / "minidiff" / "exercises", root / "tests" / "mutants"):
        for file in folder.rglob("ch*.py"):
            file.unlink() if file.name[:4] not in ("ch01", "ch02") else None
    for name in ("course.toml", "pyproject.toml", "tests/__init__.py", "tests/course/__init__.py",
                 "tests/course/tree.py", "tests/course/test_exercises.py"):
        (root / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, root / name)
    return root


def outcomes_of(root, name):
    """The tests of an exercise in a copy of the repository: {test: passed?}."""
    environment = os.environ | {"PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-m", "pytest", "-v", "-p", "no:nbval", "-p", "no:cacheprovider",
                           "tests/course/test_exercises.py", "-k", name], cwd=root, env=environment, text=True,
                          capture_output=True, timeout=300)
    lines = [line.split("::")[1].split() for line in done.stdout.splitlines() if "::" in line and "%]" in line]
    assert lines, done.stdout + done.stderr
    return {test.split("[")[0]: outcome == "PASSED" for test, outcome, *_ in lines}


ANSWERS = {"nats * math.log(2)": "mutant", "nats / math.log10(2)": "mutant", "nats / 2": "mutant", "nats": "mutant",
           "torch.log2(nats.abs())": "mutant", "nats / math.log(256)": "mutant", "-nats / math.log(2)": "mutant",
           "nats * math.log2(math.e)": "alternative", "nats / torch.tensor(2.0).double().log()": "alternative"}


def test_its_tests_fail_until_its_mutants_are_written(copy, capsys):
    assert write(copy, ID) == 0 and "tests/mutants/ch02_bits_per_dim.py" in capsys.readouterr().out
    outcomes = outcomes_of(copy, "bits_per_dim")
    assert not outcomes["test_it_was_tried_on_enough_answers"]
    assert not outcomes["test_a_right_answer_written_another_way_passes"]
    assert outcomes["test_its_reference_passes"] and outcomes["test_its_stub_is_not_started"]
    written = [f'\n\n@{kind}("{ID}")\ndef answer_{n}(nats):\n    return {value}\n'
               for n, (value, kind) in enumerate(ANSWERS.items())]
    head = "import math\n\nimport torch\n\nfrom tests.mutants import alternative, mutant\n"
    (copy / "tests" / "mutants" / "ch02_bits_per_dim.py").write_text(head + "".join(written))
    outcomes = outcomes_of(copy, "bits_per_dim")
    assert all(outcomes.values()) and len(outcomes) > 6, outcomes


def test_its_cells_are_built_into_a_stub(copy):
    write(copy, "ch01.scaled_linear_betas")
    source, = solution_files(copy, ["01"])
    _, chapter = pair(source, lambda id: find(id) or SimpleNamespace(points=2, cases=(1,)))
    text, answer, check = chapter.cells[-3:]
    assert text.source.startswith("**Exercise 1.10 `scaled_linear_betas`** (code, easy, 10 minutes).")
    assert answer.source.startswith("def scaled_linear_betas(T=1000, beta_1=0.00085, beta_T=0.012):\n    \"\"\"A str")
    assert answer.source.endswith('raise NotImplementedError("ch01.scaled_linear_betas")')
    assert check.source == 'scaled_linear_betas = answer("ch01.scaled_linear_betas", scaled_linear_betas)'


def test_an_answer_that_is_nowhere_gets_a_module(copy, capsys):
    write(copy, "ch04.Thing", "models.thing")
    assert "minidiff/models/thing.py" in capsys.readouterr().out
    listed = tomllib.loads((copy / "course.toml").read_text())["04"]["modules"]
    assert listed[-3:] == ["models.thing", "exercises.ch04_thing", "exercises.hidden.ch04_thing"]
    assert "reference=Thing" in (copy / "minidiff" / "exercises" / "ch04_thing.py").read_text()


def test_a_class_is_marked_method_by_method(copy):
    write(copy, "ch04.Downsample")
    source = read(solution_files(copy, ["04"])[0]).cells[-2].source
    assert source.count("# BEGIN SOLUTION\n        ") == 2 and source.count("\n        # END SOLUTION") == 2
    assert source.startswith("class Downsample(nn.Module):\n")


@pytest.mark.parametrize("id, module, says", [
    ("ch04.thing", "nowhere.thing", "there is no folder minidiff/nowhere, expected one that is there, such as"),
    ("ch05.thing", None, "no chapter 05 with a notebook in solutions/; there are 01, 02, 04$"),
])
def test_what_is_not_there_is_refused(id, module, says, tmp_path):
    for name in ("01_a", "02_b", "04_ddpm_on_mnist"):
        (tmp_path / "solutions").mkdir(exist_ok=True)
        shutil.copy(ROOT / "solutions" / "04_ddpm_on_mnist.ipynb", tmp_path / "solutions" / f"{name}.ipynb")
    shutil.copy(ROOT / "course.toml", tmp_path)
    shutil.copytree(ROOT / "minidiff", tmp_path / "minidiff", ignore=shutil.ignore_patterns("__pycache__"))
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(GradingError, match=says):
        write(tmp_path, id, module)
    assert sorted(tmp_path.rglob("*")) == before


def test_nothing_is_overwritten(copy):
    before = {file: file.read_bytes() for file in copy.rglob("*") if file.is_file()}
    for id in ("ch01.q_sample", "ch02.bits_per_dim"):
        with pytest.raises(GradingError, match="exists already"):
            write(copy, id)
    assert before == {file: file.read_bytes() for file in copy.rglob("*") if file.is_file()}


def test_a_file_of_its_own_is_found_by_the_registries():
    assert {"ch02.elbo_terms", "ch04.ResBlock"} <= {id for id in ("ch02.elbo_terms", "ch04.ResBlock")
                                                     if len(mutants(id)) >= 6 and len(alternatives(id)) >= 2}
