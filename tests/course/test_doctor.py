"""The doctor finds what is wrong with a machine, says how to mend it, and is content when nothing is."""

import importlib.metadata
import json
import shutil
import subprocess
import sys
import tomllib
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

from minidiff import doctor
from minidiff.cli.main import main
from minidiff.data import registry
from minidiff.data.registry import dataset
from minidiff.training.checkpoint import save_checkpoint

ROOT = Path(__file__).resolve().parents[2]
NAMED = {name for entry in tomllib.loads((ROOT / "course.toml").read_text()).values()
         for name in entry.get("checkpoints", ())}
FOUND = [file.stem for file in sorted((ROOT / "checkpoints").glob("*.safetensors"))]


@pytest.fixture
def course(tmp_path, monkeypatch):
    """The folder of a course in which all is well."""
    monkeypatch.delenv("MINIDIFF_DATA", raising=False)
    monkeypatch.setattr(registry, "HERE", tmp_path / "datasets")
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "datasets").mkdir()
    for name in ("pyproject.toml", "course.toml", "datasets/registry.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    for name in NAMED:
        save_checkpoint(tmp_path / "checkpoints" / f"{name}.safetensors", {"weight": torch.zeros(3)}, {})
    return tmp_path


def sentence(course, name):
    """What the check `name` says is wrong, after checking that all others are content."""
    found = {check: (ok, text) for check, ok, text in doctor.check(course)}
    assert [check for check, (ok, _) in found.items() if not ok] == [name], found
    assert "\n" not in found[name][1]
    return found[name][1]


def test_all_is_well(course, capsys):
    found = doctor.check(course)
    assert [name for name, ok, _ in found if not ok] == []
    assert {"Python", "torch", "device", "kernel", "data", "folders", "disk"} < {name for name, *_ in found}
    assert doctor.report(course) == 0
    assert capsys.readouterr().out.endswith("everything is ready\n")


def test_something_wrong_is_exit_status_1(course, capsys, monkeypatch):
    monkeypatch.setattr(doctor, "report", partial(doctor.report, course))
    monkeypatch.setenv("MINIDIFF_DATA", str(course / "nowhere"))
    assert main(["doctor"]) == 1
    shown = capsys.readouterr()
    assert [line.split()[1] for line in shown.out.splitlines() if line.startswith("WRONG")] == ["data"]
    assert shown.out.endswith("1 of 9 checks found something to mend\n") and shown.err == ""


def test_the_doctor_changes_nothing(course):
    before = sorted(course.rglob("*"))
    doctor.check(course)
    assert sorted(course.rglob("*")) == before


def test_an_old_python(course, monkeypatch):
    monkeypatch.setattr(doctor.platform, "python_version", lambda: "3.10.4")
    assert "Python 3.10.4 is not >=3.11" in sentence(course, "Python")


def test_a_package_that_is_too_old_and_one_that_is_absent(course, monkeypatch):
    real = doctor.version

    def version(name):
        if name == "jupyterlab":
            raise importlib.metadata.PackageNotFoundError(name)
        return "1.0" if name == "scipy" else real(name)

    monkeypatch.setattr(doctor, "version", version)
    said = sentence(course, "packages")
    assert "scipy>=1.13 (1.0)" in said and "jupyterlab>=4.2 (absent)" in said and "make .venv" in said


def test_torch_that_cannot_be_imported(tmp_path):
    """In a process of its own whose torch is broken: every check still gives its sentence."""
    (tmp_path / "torch.py").write_text("raise ImportError('libtorch.so: cannot open shared object file')")
    code = (f"import json, sys; sys.path[:0] = [{str(tmp_path)!r}, {str(ROOT)!r}]; "
            "from minidiff.doctor import check; print(json.dumps(check()))")
    found = {name: (ok, said) for name, ok, said in json.loads(subprocess.check_output([sys.executable, "-c", code]))}
    for name in ("torch", "device"):
        assert not found[name][0] and "libtorch.so" in found[name][1] and "make .venv" in found[name][1]
    assert found["Python"][0] and found["folders"][0]


def test_a_bare_python_is_told_what_it_lacks():
    """Without site-packages: no torch, no numpy, no Jupyter."""
    done = subprocess.run([sys.executable, "-S", "-m", "minidiff", "doctor"], cwd=ROOT, text=True, capture_output=True)
    lines = [line.split(maxsplit=2) for line in done.stdout.splitlines()[:-1]]
    found = {name: (verdict, text) for verdict, name, text in lines}
    assert done.returncode == 1 and done.stderr == "" and len(found) == 9
    assert {name for name, (verdict, _) in found.items() if verdict == "WRONG"} == {"packages", "torch", "device",
                                                                                    "kernel", "checkpoints"}
    assert "torch>=2.11 (absent)" in found["packages"][1] and "make .venv" in found["torch"][1]


def test_a_device_that_computes_wrongly(course, monkeypatch):
    monkeypatch.setattr(torch, "equal", lambda a, b: False)
    assert "update its driver" in sentence(course, "device")


@pytest.mark.parametrize("program, well", [
    ("python3", True), (str(Path(sys.executable).with_name("python3")), True), ("/elsewhere/bin/python3", False),
])
def test_the_notebook_kernel_must_be_this_interpreter(course, monkeypatch, program, well):
    spec = SimpleNamespace(argv=[program, "-m", "ipykernel_launcher"], resource_dir="/home/me/kernels/python3")
    monkeypatch.setattr(KernelSpecManager, "get_kernel_spec", lambda self, name: spec)
    if well:
        assert all(ok for _, ok, _ in doctor.check(course))
    else:
        said = sentence(course, "kernel")
        assert program in said and "/home/me/kernels/python3" in said and "ipykernel install" in said


def test_no_notebook_kernel(course, monkeypatch):
    def none(self, name):
        raise NoSuchKernel(name)

    monkeypatch.setattr(KernelSpecManager, "get_kernel_spec", none)
    assert "no kernel python3" in sentence(course, "kernel")


def test_a_damaged_data_file(course):
    file = dataset("mnist").files[0]
    (course / "datasets" / "mnist").mkdir()
    (course / "datasets" / "mnist" / file.name).write_bytes(b"damaged")
    said = sentence(course, "data")
    assert file.name in said and "delete it" in said


def test_data_that_are_absent_are_no_fault_and_whole_ones_are_named(course, monkeypatch):
    said = dict((name, text) for name, _, text in doctor.check(course))["data"]
    assert said.startswith("here and whole: strokes; mnist is downloaded when needed")
    monkeypatch.setattr(registry, "locate", lambda name, file: file if name == "mnist" else None)
    monkeypatch.setattr(registry, "problem", lambda path, file: None)
    assert dict((name, text) for name, _, text in doctor.check(course))["data"] == "here and whole: strokes, mnist"


@pytest.mark.parametrize("folder", ["out", "work", "datasets"])
def test_a_folder_that_cannot_be_written(course, folder):
    if folder == "datasets":
        (course / folder / "registry.toml").rename(course / "registry.toml")
        (course / folder).rmdir()
    (course / folder).write_text("a file in the way")
    found = {name: (ok, said) for name, ok, said in doctor.check(course)}
    assert not found["folders"][0] and f"{course / folder} cannot be written" in found["folders"][1]


def test_a_full_disk(course, monkeypatch):
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: SimpleNamespace(free=3e7))
    assert "only 0.03 GB free" in sentence(course, "disk")


def test_a_checkpoint_that_is_missing_and_one_that_is_truncated(course):
    file = course / "checkpoints" / "mnist-ddpm.safetensors"
    whole = file.read_bytes()
    file.write_bytes(whole[:-5])
    assert "git checkout checkpoints" in sentence(course, "checkpoints")
    file.unlink()
    assert "no checkpoint at" in sentence(course, "checkpoints")
    file.write_bytes(whole)
    (course / "checkpoints" / "another.safetensors").write_text("version https://git-lfs.github.com/spec/v1")
    assert "another.safetensors" in sentence(course, "checkpoints")


def test_the_committed_checkpoints_are_readable():
    found = {name: (ok, said) for name, ok, said in doctor.check(ROOT)}
    assert found["checkpoints"] == (True, f"readable: {', '.join(FOUND)}") and set(FOUND) >= NAMED
