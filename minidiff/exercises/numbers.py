"""Experiments that end in numbers: are yours right, each within its tolerance?

What is right is computed, not written down: a chapter's exercises name their numbers in NUMBERS, a tuple of Numbers.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from minidiff.exercises.core import chapters, parts


@dataclass(frozen=True)
class Numbers:
    """The numbers of one experiment: expected() gives {name: float}; yours may be off by the relative part `rtol`.

    rtol: what reading a number off a figure, a search by hand or printed digits may cost.
    """
    id: str
    expected: Callable
    rtol: float


def check_numbers(id, mine):
    """Print which of the numbers of an experiment are right; True if all are.

    id: 'chNN.name'; mine: {name: number}, with the names that the exercise gives. A number that is missing or None
    counts as not found yet. Never raises, and never prints what is expected.
    """
    known = {numbers.id: numbers for chapter in chapters() for numbers in _numbers(chapter)}
    if str(id) not in known:
        print(f"there are no numbers to check for {id!r}; there are those of {', '.join(known) or 'no experiment'}")
        return False
    expected, rtol = known[str(id)].expected(), known[str(id)].rtol
    if not isinstance(mine, dict):
        print(f"{id}: expected a dict with the keys {', '.join(map(repr, expected))}, got {mine!r:.40}")
        return False
    states = {name: _state(mine.get(name), right, rtol) for name, right in expected.items()}
    names = ", ".join(map(repr, expected))
    extra = [f"  ?    {name!r:.40} is none of {names}" for name in mine if name not in expected]
    n = sum(state == "ok" for state in states.values())
    print("\n".join([f"{id}: {n} of {len(states)} numbers are right, within {100 * rtol:g} %",
                     *(f"  {state:<4} {name}" for name, state in states.items()), *extra]))
    return n == len(states)


def _numbers(chapter):
    return [numbers for part in parts(chapter) for numbers in getattr(part, "NUMBERS", ())]


def _state(value, right, rtol):
    try:
        value = None if value is None else float(value)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        return "MISS"
    if value is None:
        return "-"
    return "ok" if math.isfinite(value) and abs(value - right) <= rtol * abs(right) else "MISS"
