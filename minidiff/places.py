"""Where the course's own files lie: beside the package in a checkout, inside the package once it is installed."""

import os
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
INSTALLED = (PACKAGE / "course").is_dir()  # `pip install .` puts checkpoints, records, chapters and the registry there
ROOT = PACKAGE / "course" if INSTALLED else PACKAGE.parent
CHECKPOINTS = ROOT / "checkpoints"
BENCHMARKS = ROOT / "benchmarks"
DATASETS = ROOT / "datasets"  # the registry
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "minidiff" / "datasets"
DOWNLOADS = CACHE if INSTALLED else DATASETS  # an installed package is not written to


def own_folder(name):
    """A folder for what a person makes: `name` in the checkout, or in the current folder of an installed course."""
    return (Path.cwd() if INSTALLED else ROOT) / name
