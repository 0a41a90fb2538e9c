"""Exercises that check themselves: `answer`, `check`, `hint` and `progress`.

A chapter's exercises stand in `minidiff.exercises.chNN` as EXERCISES, a tuple of Exercise (and, if some have a file of
their own, in `chNN_name`), and are imported when the first of them is asked for. Whatever a learner passes, nothing
here raises and nothing goes to stderr; with the environment variable MINIDIFF_STRICT=1 an answer that is not right
raises `Missed`.
"""

import importlib
import os
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass

import minidiff.exercises
from minidiff.exercises.compare import kind_of
from minidiff.exercises.judge import Result, judge

_states, _hints_given = {}, {}  # of this session: id -> text, id -> how many


class Missed(AssertionError):
    """An answer that does not pass, under MINIDIFF_STRICT=1."""


def call(fn, *inputs):
    """Drive a learner's function in the plain way: fn(*inputs)."""
    return fn(*inputs)


@dataclass(frozen=True)
class Case:
    """One claim about a right answer, and how to test it.

    inputs(generator) gives a tuple of tensors, numbers, strings and containers of them; drive(fn, *inputs) runs the
    learner's code and gives the like; expect(*inputs) gives what is right (default: the reference, driven alike).
    atol is relative to the largest number expected, rtol to each; by default so small that an answer which computes one
    precision lower misses. kind is 'value', or 'shape' for shapes and types. central: who misses it has another
    formula, and keeps at most half of the exercise's points.
    """
    says: str
    inputs: Callable
    drive: Callable = call
    expect: Callable | None = None
    kind: str = "value"
    rtol: float | None = None
    atol: float | None = None
    hint: str = ""
    central: bool = False


@dataclass(frozen=True)
class Exercise:
    """An exercise: its id 'chNN.name', the package's own solution, its cases, and hints that are given one by one."""
    id: str
    title: str
    reference: object
    points: int
    minutes: int
    difficulty: str
    cases: tuple
    hints: tuple


def chapters():
    """The chapters that have exercises: ['ch01', ...]."""
    return [name for name in _modules() if name[2:].isdigit()]


def exercises(chapter):
    """The exercises of one chapter, those in files of their own last: 'ch01' -> {id: Exercise}."""
    return {e.id: e for part in parts(chapter) for e in part.EXERCISES}


def parts(chapter):
    """The modules that hold the exercises of 'ch01', itself first."""
    names = [name for name in _modules() if name == chapter or name.startswith(f"{chapter}_")]
    return [importlib.import_module(f"minidiff.exercises.{name}") for name in names]


def find(id):
    """The Exercise of an id, or None."""
    chapter = str(id).split(".")[0]
    return exercises(chapter).get(id) if chapter in chapters() else None


def answer(id, fn):
    """Check an answer, print what is right and wrong, and return `fn` if all is right, else minidiff's own."""
    exercise = find(id)
    if exercise is None:
        _say([_unknown(id)], strict=True)
        return fn
    name = str(id).split(".")[-1]
    if fn is exercise.reference:
        _say([f"{id}: this is minidiff's own {name}, not your answer",
              "  (run the cell with your answer again, and then this one)"], strict=True)
        return fn
    result, lines = _checked(exercise, fn, seed=0)
    if result.passed:
        _say(lines)
        return fn
    _say([*lines, f"  (the rest of this chapter uses minidiff's own {name})"], strict=True)
    return exercise.reference


def check(id, fn, seed=0):
    """Check an answer and print what is right and wrong. Returns a Result: .passed, .score, .cases."""
    exercise = find(id)
    if exercise is None:
        _say([_unknown(id)], strict=True)
        return Result(str(id), "unknown", 0.0)
    result, lines = _checked(exercise, fn, seed)
    _say(lines, strict=not result.passed)
    return result


def hint(id):
    """Print the next hint of an exercise; after the last one, the last one again."""
    exercise = find(id)
    if exercise is None:
        return _say([_unknown(id)])
    n = _hints_given[id] = min(_hints_given.get(id, 0) + 1, len(exercise.hints))
    _say([f"{id}, hint {n} of {len(exercise.hints)}: {exercise.hints[n - 1]}"])


def progress():
    """Print a table of all exercises with check cells, and how each one stands in this session: once passed, passed."""
    rows = [e for chapter in chapters() for e in exercises(chapter).values()]
    width = max((len(e.id) for e in rows), default=0)
    lines = [f"ch  {'exercise':<{width}}  points  minutes  this session"]
    lines += [f"{e.id[2:4]}  {e.id:<{width}}  {e.points:>6}  {e.minutes:>7}  {_states.get(e.id, 'not started')}"
              for e in rows]
    passed = [e for e in rows if _states.get(e.id) == "passed"]
    points, all_points = (sum(e.points for e in some) for some in (passed, rows))
    _say([*lines, f"{len(passed)} of {len(rows)} passed, {points} of {all_points} points"])


def report(result):
    """The lines that a learner reads about a Result."""
    if result.state == "not started":
        return [f"{result.id}: not started yet"]
    n, k = len(result.cases), sum(case.passed for case in result.cases)
    if result.passed:
        return [f"{result.id}: all {n} checks pass"]
    lines, told, hinted = [f"{result.id}: {k} of {n} checks pass"], set(), False
    for case in result.cases:
        lines.append(f"  {'ok  ' if case.passed else 'MISS'} {case.says}")
        if case.miss:
            lines.append(f"         {'as above' if case.miss in told else case.miss}")
            told.add(case.miss)
        if case.hint and not hinted:  # one, under the first claim that has one: there it says what it is about
            lines.append(f"         hint: {case.hint}")
            hinted = True
    return lines


def _modules():
    names = (module.name for module in pkgutil.iter_modules(minidiff.exercises.__path__))
    return sorted(name for name in names if name[:2] == "ch" and name[2:4].isdigit())


def _checked(exercise, fn, seed):
    """Judge and remember. Returns the Result and the lines to print."""
    if not callable(fn):
        kind = "class" if isinstance(exercise.reference, type) else "function"
        result = Result(exercise.id, "not passed", 0.0)
        lines = [f"{exercise.id}: expected a {kind}, got {kind_of(fn)}"]
    else:
        result = judge(exercise, fn, seed)
        lines = report(result)
    done = f"{sum(case.passed for case in result.cases)} of {len(result.cases)} checks"
    if _states.get(exercise.id) != "passed":  # a later try that fails takes nothing back
        _states[exercise.id] = done if result.state == "not passed" and result.cases else result.state
    return result, lines


def _unknown(id):
    known = chapters()
    chapter = str(id).split(".")[0]
    names = ", ".join(exercises(chapter)) if chapter in known else f"those of {', '.join(known) or 'no chapter'}"
    return f"there is no exercise {id!r}; there are {names}"


def _say(lines, strict=False):
    if strict and os.environ.get("MINIDIFF_STRICT") == "1":
        raise Missed("\n".join(lines))
    print("\n".join(lines))
