"""For every test: no network, the repository in the path of child processes, the markers, and fixed examples."""

import functools
import os
import runpy
import sys
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parents[1]
NO_NETWORK = ROOT / "tests" / "no_network"

runpy.run_path(str(NO_NETWORK / "sitecustomize.py"))
paths = [str(NO_NETWORK), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(paths))
os.environ.pop("MINIDIFF_STRICT", None)

# the same examples in every run, and no verdict that depends on how busy the machine is
settings.register_profile("course", deadline=None, derandomize=True, database=None)
settings.load_profile("course")


def pytest_configure(config):
    config.addinivalue_line("markers", "equation(number): the numerical proof of an equation with that number")
    config.addinivalue_line("markers", "cuda: needs a CUDA device")


@pytest.fixture
def recipes_folder(tmp_path, monkeypatch):
    """An empty folder, in which the course looks for its recipes instead."""
    import minidiff.recipes
    import minidiff.recipes.catalogue
    (folder := tmp_path / "recipes").mkdir()
    monkeypatch.setattr(minidiff.recipes, "__path__", [str(folder), *minidiff.recipes.__path__])
    monkeypatch.setattr(minidiff.recipes.catalogue, "__file__", str(folder / "catalogue.py"))
    yield folder
    for file in folder.glob("*.py"):
        sys.modules.pop(f"minidiff.recipes.{file.stem}", None)


@pytest.fixture(scope="module")
def few_strokes():
    """Every recipe of pictures learns 256 embedded strokes, whatever data it is told to."""
    from minidiff.data.load import load
    strokes = functools.cache(lambda split: load("strokes", split, n=256))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("minidiff.recipes.pictures.load", lambda name, split, n=None: strokes(split))
        yield
