"""`python -m minidiff demo` from nothing to a picture, where neither MNIST nor a network is at hand."""

import json
import re
from contextlib import redirect_stdout
from functools import partial
from io import StringIO
from pathlib import Path

import pytest
from PIL import Image

from minidiff.cli.demo import new_folder
from minidiff.cli.main import main
from minidiff.evaluation.digits import load_judge
from minidiff.recipes import pictures
from tests.course.test_readme import README


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The folder of a demo of a few seconds, and the lines that it printed."""
    folder, said = tmp_path_factory.mktemp("demo"), StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(said):
        patch.setenv("MINIDIFF_DATA", str(folder / "empty"))
        assert main(["demo", "--minutes", "0.05", "--out", str(folder / "out")]) == 0
    return folder / "out", said.getvalue().splitlines()


def test_one_line_says_that_strokes_stand_in_for_mnist(demo):
    _, lines = demo
    assert lines[0].startswith("using the embedded strokes digits, for mnist is not on this machine: ")
    assert sum("using the embedded" in line for line in lines) == 1


def test_it_writes_the_files_that_are_promised(demo):
    folder, lines = demo
    promised = re.findall(r"^\| `(\w+\.\w+)` \|", README.split("## The chapters")[0], re.M)
    assert len(promised) == 4 and all((folder / file).is_file() for file in promised)
    assert sum(str(folder / file) in line for line in lines for file in promised) == 4
    for file in promised:
        if file.endswith(".png"):
            low, high = Image.open(folder / file).convert("L").getextrema()
            assert high - low > 100, f"{file} is blank"


def test_it_says_what_the_record_says_and_what_to_open_next(demo):
    folder, lines = demo
    record = json.loads((folder / "record.json").read_text())
    assert record["data"] == "strokes" and record["metrics"]["n"] == 200
    assert record["metrics"]["distance"] > record["metrics"]["distance_of_real"] > 0
    report = lines[lines.index(""):]
    assert len(report) <= 10 and f"{record['images']} images" in report[1]
    assert str(record["metrics"]["distance"]) in report[2] and "chapters/01_adding_noise.ipynb" in report[-1]


def test_a_trained_model_is_never_overwritten(demo, tmp_path, monkeypatch, capsys):
    folder, _ = demo
    before = (folder / "model.safetensors").read_bytes()
    capsys.readouterr()
    assert main(["demo", "--data", "strokes", "--minutes", "0.01", "--out", str(folder)]) == 2
    assert "a demo would overwrite" in capsys.readouterr().err
    assert (folder / "model.safetensors").read_bytes() == before
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out" / "demo").mkdir(parents=True)
    assert new_folder(None) == Path("out/demo")
    for name, taken in (("demo", "state"), ("demo-2", "model")):
        (tmp_path / "out" / name).mkdir(exist_ok=True)
        (tmp_path / "out" / name / f"{taken}.safetensors").touch()
    assert new_folder(None) == Path("out/demo-3")


def test_a_missing_judge_and_a_folder_that_cannot_be_written_are_seen_before_training(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("minidiff.recipes.run.train", lambda *_, **__: pytest.fail("it trained"))
    (tmp_path / "file").touch()
    words = ["demo", "--data", "strokes", "--out"]
    assert main([*words, str(tmp_path / "file" / "demo")]) == 2
    assert "cannot write" in capsys.readouterr().err
    pictures.judge_of.cache_clear()
    monkeypatch.setattr(pictures, "load_judge", partial(load_judge, tmp_path / "none.safetensors"))
    assert main([*words, str(tmp_path / "demo")]) == 2
    assert "no checkpoint at" in capsys.readouterr().err and not (tmp_path / "demo").exists()
