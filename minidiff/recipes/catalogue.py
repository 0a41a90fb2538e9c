"""Which recipes there are: found by their files, and imported only when asked for."""

import importlib
from pathlib import Path


def names():
    """The names of all recipes, such as mnist-ddpm: the files of this folder that define a RECIPE. Imports none."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return [file.stem.replace("_", "-") for file in files if "\nRECIPE = " in file.read_text(encoding="utf-8")]


def find(name):
    """The recipe of that name, imported now. Raises ValueError with the known names."""
    if name not in names():
        raise ValueError(f"there is no recipe {name!r}; there are {', '.join(names())}")
    return importlib.import_module(f"minidiff.recipes.{name.replace('-', '_')}").RECIPE
