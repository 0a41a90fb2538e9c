"""The commands as processes: quick to help, on a poor terminal, on a full disk, and installed without the checkout."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pytest

from minidiff.cli.main import commands, main
from minidiff.places import CHECKPOINTS
from tests.course.test_cli import FLOW, says
from tests.course.tree import ROOT

HELP_OF_EACH = '''
import json, sys, time
from minidiff.cli.main import commands, main
for words in ([], *([name] for name in commands())):
    start = time.process_time()
    try:
        main([*words, "--help"])
    except SystemExit as stop:
        assert stop.code == 0
    heavy = sorted({"torch", "numpy", "matplotlib", "scipy", "tqdm", "PIL", "safetensors"} & sys.modules.keys())
    print(json.dumps([words, time.process_time() - start, heavy]), file=sys.stderr)
print(json.dumps([["all"], time.process_time(), []]), file=sys.stderr)
'''


def test_help_is_quick_and_loads_nothing_heavy():
    done = subprocess.run([sys.executable, "-c", HELP_OF_EACH], cwd=ROOT, text=True, capture_output=True, check=True)
    found = [json.loads(line) for line in done.stderr.splitlines()]
    assert len(found) == len(commands()) + 2 and all(heavy == [] for _, _, heavy in found)
    assert all(seconds < 0.3 for _, seconds, _ in found[:-1])
    assert all(f"    {name} " in done.stdout for name in commands())
    assert set(commands()) == {"compare", "data", "demo", "doctor", "draw", "edit", "evaluate", "port", "sample",
                               "start", "train"}


def test_a_terminal_without_our_letters_gets_its_lines_all_the_same():
    """A name that ASCII has not stands in the last line, after all that was computed."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "zwölf.npy"
        done = subprocess.run([sys.executable, "-m", "minidiff", "sample", str(FLOW), "--n", "1", "--steps", "1",
                               "--out", str(out)], capture_output=True,
                              env=os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "1"})
        assert done.returncode == 0 and done.stdout.startswith(b"1 pictures in ") and b"zw?lf.npy" in done.stdout
        assert out.is_file() and done.stderr == b""  # nor a bar of progress, where stderr is no terminal


@pytest.mark.parametrize("command, out", [("sample", "x.png"), ("sample", "x.npy"), ("evaluate", "x.json"),
                                          ("compare", "side")])
def test_a_full_disk_is_one_line_and_leaves_nothing_half_written(command, out, tmp_path, monkeypatch, capsys):
    real = tempfile.NamedTemporaryFile

    def full(*arguments, **named):
        file = real(*arguments, **named)
        write = file.file.write
        file.write = lambda content: write(content) if len(content) < 9 else no_space(write, content)
        return file

    def no_space(write, content):
        write(content[:3])
        raise OSError(28, "No space left on device")

    (tmp_path / "x.png").write_bytes(b"an old file")
    monkeypatch.setattr(tempfile, "NamedTemporaryFile", full)
    more = ("--samplers", "ddim", "--evals", "1") if command == "compare" else ("--steps", "1")
    assert "No space left on device" in says(capsys, command, FLOW, "--n", 2, *more, "--out", tmp_path / out)
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == [tmp_path / "x.png"]
    assert (tmp_path / "x.png").read_bytes() == b"an old file"


# --- installed, without the checkout --------------------------------------------------------------------------------

USED = '''
import json
from minidiff import places
from minidiff.recipes.run import CHECKPOINTS
assert places.INSTALLED and places.DOWNLOADS == places.CACHE
print(json.dumps([str(places.PACKAGE), [file.name for file in (CHECKPOINTS.parent / "benchmarks").iterdir()]]))
'''


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Runs Python somewhere else, where only the content of the wheel is to be had."""
    source, site, home = (tmp_path_factory.mktemp(name) for name in ("source", "site", "elsewhere"))
    for name in ("minidiff", "checkpoints", "benchmarks", "chapters", "datasets"):
        unwanted = shutil.ignore_patterns("__pycache__", "mnist", "*.part")
        shutil.copytree(ROOT / name, source / name, ignore=unwanted)
    for name in ("setup.py", "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE", "course.toml"):
        shutil.copy(ROOT / name, source)
    subprocess.run([sys.executable, "-c", f"from setuptools import build_meta; build_meta.build_wheel({str(site)!r})"],
                   cwd=source, check=True, capture_output=True)
    shutil.rmtree(source)
    (wheel,) = site.glob("minidiff-*.whl")
    zipfile.ZipFile(wheel).extractall(site)
    environment = os.environ | {"PYTHONPATH": str(site), "XDG_CACHE_HOME": str(home / "cache"), "OMP_NUM_THREADS": "1"}
    environment.pop("MINIDIFF_DATA", None)

    def run(*arguments):
        return subprocess.run([sys.executable, *arguments], cwd=home, env=environment, text=True, capture_output=True)
    return site, home, run


def test_a_wheel_carries_what_the_package_reads(installed):
    site, home, run = installed
    package, records = json.loads(run("-c", USED).stdout)
    assert package == str(site / "minidiff")
    assert set(records) == {file.name for file in (ROOT / "benchmarks").iterdir() if file.suffix in (".json", ".xz")}
    inside = site / "minidiff" / "course"
    for folder in ("checkpoints", "chapters", "datasets"):
        there = {file.name for file in (inside / folder).iterdir()}
        assert there == {file.name for file in (ROOT / folder).iterdir() if file.is_file() and file.suffix != ".md"}


def test_an_installed_course_draws_starts_a_chapter_and_downloads_into_the_users_cache(installed):
    site, home, run = installed
    weights = site / "minidiff" / "course" / "checkpoints" / "mnist-flow.safetensors"
    done = run("-m", "minidiff", "evaluate", str(weights), "--n", "2", "--steps", "1", "--out", "e.json")
    assert done.returncode == 0 and json.loads((home / "e.json").read_text())["distance"] > 0, done.stderr
    assert run("-m", "minidiff", "start", "01").returncode == 0
    name = "01_adding_noise.ipynb"
    assert (home / "work" / name).read_bytes() == (ROOT / "chapters" / name).read_bytes()
    done = run("-m", "minidiff", "data", "get", "mnist")  # there is no network in a test
    assert done.returncode == 2 and f"by hand into {home / 'cache' / 'minidiff' / 'datasets' / 'mnist'}" in done.stderr


def test_an_installed_course_passes_the_doctor_who_asks_for_what_pip_wrote_down(installed):
    _, home, run = installed
    done = run("-m", "minidiff", "doctor")
    assert done.stdout.endswith("everything is ready\n") and f"{home / 'out'}" in done.stdout, done.stdout
    assert "12 packages are what the course needs" in done.stdout


def test_a_checkout_reads_its_own_files():
    assert CHECKPOINTS == ROOT / "checkpoints" and main(["data", "list"]) == 0
