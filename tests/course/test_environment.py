"""The files that say what is installed, and the commands that install and use it, agree with each other."""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
APART = ("classroom", "oracles")  # extras that no installation of the course brings
EXTRAS = {name: some for name, some in PROJECT["optional-dependencies"].items() if name not in APART}
DIRECT = [Requirement(line) for line in PROJECT["dependencies"] + sum(EXTRAS.values(), [])]
OF_CUDA = ("nvidia-", "cuda-", "triton")  # torch itself fixes the version of each
TESTED = {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix", "python_version": "3.11",
          "python_full_version": "3.11.0", "implementation_name": "cpython",
          "platform_python_implementation": "CPython"}


def pins():
    """The constraints as a dict from canonical name to version."""
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and line[0] != "#"]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines), "a constraint is NAME==VERSION"
    names = [canonicalize_name(line.split("==")[0]) for line in lines]
    assert len(names) == len(set(names)), "a package is pinned twice"
    return dict(zip(names, (line.split("==")[1] for line in lines), strict=True))


def wanted(environment):
    """The names of all packages that the project and its extras bring, as `environment` reads their conditions."""
    found, open_ends = set(), [(r.name, frozenset(r.extras)) for r in DIRECT]
    while open_ends:
        name, extras = open_ends.pop()
        name = canonicalize_name(name)
        if (name, extras) in found or name.startswith(OF_CUDA):
            continue
        found.add((name, extras))
        try:
            lines = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue  # it belongs to another system than this one
        for r in map(Requirement, lines):
            if r.marker is None or any(r.marker.evaluate(environment | {"extra": e}) for e in extras or {""}):
                open_ends.append((r.name, frozenset(r.extras)))
    return {name for name, _ in found}


def test_the_pins_are_what_the_project_brings_and_nothing_else():
    assert set(pins()) == wanted(TESTED)


@pytest.mark.parametrize("requirement", DIRECT, ids=str)
def test_each_pin_lies_in_the_range_of_the_project(requirement):
    assert Version(pins()[canonicalize_name(requirement.name)]) in requirement.specifier


def test_what_is_installed_here_is_what_is_pinned():
    pinned = pins()
    installed = {name: Version(importlib.metadata.version(name)).public for name in wanted({}) & set(pinned)}
    assert {"torch", "pytest"} <= set(installed)
    assert installed == {name: pinned[name] for name in installed}


def test_conda_installs_the_pinned_set_with_every_extra():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    python, pip, packages = environment["dependencies"]
    assert pip == "pip"
    assert packages == {"pip": ["-c constraints.txt", f"-e .[{','.join(sorted(EXTRAS))}]"]}
    assert environment["name"] == PROJECT["name"]
    assert Version(python.removeprefix("python=")) == Version(TESTED["python_version"])


def test_every_file_asks_for_the_same_python():
    oldest = PROJECT["requires-python"].removeprefix(">=")
    makefile, readme = (ROOT / "Makefile").read_text(), (ROOT / "README.md").read_text()
    assert oldest == TESTED["python_version"]
    assert f"sys.version_info < ({oldest.replace('.', ', ')})" in makefile
    assert set(re.findall(r"Python (\d\.\d+)", makefile + readme)) == {oldest}
    assert Version(".".join(map(str, sys.version_info[:3]))) in SpecifierSet(PROJECT["requires-python"])


def test_make_installs_the_pinned_set_with_every_extra():
    command = f'-m pip install --quiet -c constraints.txt -e ".[{",".join(sorted(EXTRAS))}]"'
    assert command in (ROOT / "Makefile").read_text()


def test_make_help_lists_every_target():
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([\w.-]+):(?!=)", makefile, re.M)) - {".DEFAULT_GOAL", ".PHONY"}
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert set(re.findall(r"^ +make (\S+) +\S", shown, re.M)) == targets
    assert targets == set(re.search(r"^\.PHONY: (.*)", makefile, re.M)[1].split()), "each target is a command"


@pytest.mark.parametrize("target, runs", [
    ("test", ["OMP_NUM_THREADS=1 ", '-m pytest -n 2 --dist worksteal --ignore-glob="tests/ch[0-9]*" tests',
              "OMP_WAIT_POLICY=passive ", "--nbval --nbval-cell-timeout=120 -p no:cacheprovider --dist each "
              "--tx popen//env:OMP_NUM_THREADS=1 --tx popen//env:OMP_NUM_THREADS=2 chapters"]),
    ("test-all", ["-m pytest -n 2 --dist worksteal ", "chapters", "-p no:cacheprovider solutions"]),
    ("demo", ["-m minidiff demo --minutes 10"]),
    ("chapters", ["-m minidiff.grading build"]),
    ("classroom", ['-m pip install --quiet -c constraints.txt -e ".[classroom]"']),
    ("gpu", ["benchmarks/gpu.py"]),
])
def test_make_runs(target, runs):
    """Asks make what it would do, and does nothing."""
    environment = {name: value for name, value in os.environ.items() if name not in ("MINUTES", "MAKEFLAGS")}
    commands = subprocess.run(["make", "-n", target], cwd=ROOT, env=environment, capture_output=True, text=True,
                              check=True).stdout
    at = 0
    for part in runs:
        at = commands.index(part, at) + len(part)


def test_make_demo_honours_minutes():
    commands = subprocess.run(["make", "-n", "demo"], cwd=ROOT, env=os.environ | {"MINUTES": "2"}, capture_output=True,
                              text=True, check=True).stdout
    assert "demo --minutes 2\n" in commands


def test_make_refuses_an_old_python(tmp_path):
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name in ("pyproject.toml", "constraints.txt"):
        (tmp_path / name).touch()
    answer = subprocess.run(["make", ".venv", "PYTHON=false"], cwd=tmp_path, capture_output=True, text=True)
    assert answer.returncode and "false must be Python 3.11 or newer" in answer.stdout
    assert not (tmp_path / ".venv").exists()


@pytest.mark.parametrize("with_data", [True, False])
def test_ci_runs_the_test_command_of_the_readme_and_nothing_else(tmp_path, with_data):
    """Runs .ci/run with a `make` that only writes down how it was called."""
    assert re.search(r"^ *make test$", (ROOT / "README.md").read_text(), re.M)
    for folder in ("course/.ci", "bin") + (("shared/datasets",) if with_data else ()):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copy(ROOT / ".ci/run", tmp_path / "course/.ci/run")
    make = tmp_path / "bin/make"
    make.write_text('#!/bin/sh\necho "$PWD|$*|${MINIDIFF_DATA-unset}" >> "$CALLS"\n')
    make.chmod(0o755)
    environment = {"PATH": f"{make.parent}:{os.environ['PATH']}", "CALLS": str(tmp_path / "calls")}
    subprocess.run([tmp_path / "course/.ci/run"], env=environment, cwd=tmp_path, check=True)
    data = os.path.realpath(tmp_path / "shared/datasets") if with_data else "unset"
    assert (tmp_path / "calls").read_text() == f"{os.path.realpath(tmp_path / 'course')}|test|{data}\n"
