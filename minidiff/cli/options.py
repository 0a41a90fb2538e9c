"""Options that several commands share."""

import argparse
import importlib
import math
import pkgutil
import sys
from pathlib import Path

from tqdm import tqdm

import minidiff.recipes
from minidiff.data.load import available


def positive(kind):
    """An argparse type: a finite number of `kind` (int or float) above 0."""
    def read(text):
        try:
            value = kind(text)
        except ValueError:
            value = 0
        if not (value > 0 and math.isfinite(value)):
            wanted = "a positive whole number" if kind is int else "a positive number"
            raise argparse.ArgumentTypeError(f"must be {wanted}, got {text}")
        return value
    return read


def recipes():
    """All recipes, {"mnist-ddpm": its module, ...}: what has presets and builds a run."""
    names = sorted(module.name for module in pkgutil.iter_modules(minidiff.recipes.__path__))
    modules = {name.replace("_", "-"): importlib.import_module(f"minidiff.recipes.{name}") for name in names}
    return {name: module for name, module in modules.items() if hasattr(module, "PRESETS")}


def recipe(name):
    """The module of a recipe. Raises ValueError with the known names."""
    if name not in recipes():
        raise ValueError(f"there is no recipe {name!r}; there are {', '.join(recipes())}")
    return recipes()[name]


def model_file(path):
    """The weights that a path means: a file, or the model.safetensors of a training folder."""
    path = Path(path)
    return path / "model.safetensors" if path.is_dir() else path


def data_or_strokes(name):
    """`name`, or "strokes" with one visible line when it is neither on this machine nor to be had."""
    from minidiff.data.download import fetch
    from minidiff.data.errors import DataError
    if available(name):
        return name
    try:
        fetch(name)
        return name
    except DataError as error:
        print(f"using the embedded strokes digits, for {name} is not on this machine: {error}")
        return "strokes"


def bar(what):
    """A progress bar around batches, on a terminal only."""
    return lambda batches: tqdm(batches, desc=what, disable=not sys.stderr.isatty())
