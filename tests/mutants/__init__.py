"""Wrong answers that every exercise must refuse, and right ones written another way that it must accept.

    @mutant("ch01.q_sample")
    def variance_instead_of_standard_deviation(x0, t, eps, alpha_bar): ...

stands in `tests/mutants/ch01.py`, or in a `ch01_name.py`; its name says the mistake. `mutants("ch01.q_sample")` gives
all of one exercise.
"""

import importlib
from pathlib import Path

_mutants, _alternatives = {}, {}


def mutant(id):
    """Register a plausible wrong answer to the exercise `id`."""
    return _register(_mutants, id)


def alternative(id):
    """Register a right answer to the exercise `id` that is written in another way than the reference."""
    return _register(_alternatives, id)


def mutants(id):
    """All wrong answers to an exercise: {name: function or class}."""
    return _of(_mutants, id)


def alternatives(id):
    """All right answers to an exercise: {name: function or class}."""
    return _of(_alternatives, id)


def registered():
    """All ids that have a wrong or a right answer, over all files of this folder."""
    _load("ch[0-9]*")
    return set(_mutants) | set(_alternatives)


def _register(registry, id):
    def keep(obj):
        known = registry.setdefault(id, {})
        if obj.__name__ in known:
            raise ValueError(f"{id}: two answers have the name {obj.__name__}")
        known[obj.__name__] = obj
        return obj
    return keep


def _of(registry, id):
    chapter = id.split(".")[0]
    for pattern in (chapter, f"{chapter}_*"):
        _load(pattern)
    return registry.get(id, {})


def _load(pattern):
    for file in sorted(Path(__file__).parent.glob(f"{pattern}.py")):
        importlib.import_module(f"{__name__}.{file.stem}")
