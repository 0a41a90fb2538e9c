"""For every test: no network, the repository in the path of child processes, and the markers."""

import os
import runpy
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NO_NETWORK = ROOT / "tests" / "no_network"

runpy.run_path(str(NO_NETWORK / "sitecustomize.py"))
paths = [str(NO_NETWORK), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(paths))
os.environ.pop("MINIDIFF_STRICT", None)


def pytest_configure(config):
    config.addinivalue_line("markers", "equation(number): the numerical proof of an equation with that number")
    config.addinivalue_line("markers", "cuda: needs a CUDA device")
