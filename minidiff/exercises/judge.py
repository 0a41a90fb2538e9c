"""Run a learner's answer on the cases of an exercise, and say for each what is right and what is not.

The learner's code runs in `attempt`, and nothing there knows what is expected; `expected_of` and `verdict` never run
the learner's code. The two halves can therefore live in two processes.
"""

import contextlib
import io
import random
import re
import warnings
import zlib
from dataclasses import dataclass

import numpy as np
import torch

from minidiff.exercises.compare import COARSE, copied, difference, kind_of, same

MISS, TEXT = 400, 80  # characters of a sentence about a miss, and of an exception's own words in it
RAISED = "stops with"  # how the sentence about an exception begins
DIGITS = "right to about six digits: stay in float64 all the way, or find the difference that loses digits"
PURITY = "leaves its inputs and the global random state alone"


@dataclass(frozen=True)
class Outcome:
    """One line of a report: what was claimed, whether it holds, and if not a sentence and a hint."""
    says: str
    passed: bool
    miss: str = ""
    hint: str = ""


@dataclass(frozen=True)
class Result:
    """What a check found. state: 'passed', 'not passed', 'not started' or 'unknown'; score: points earned."""
    id: str
    state: str
    score: float
    cases: tuple = ()

    @property
    def passed(self):
        return self.state == "passed"


@dataclass(frozen=True)
class Attempt:
    """What the learner's code did on one case: its value, or the error that stopped it; and what else it touched.

    changed: which inputs it changed, '1 and 3' or ''; drew: did a global random state move on?
    """
    value: object = None
    error: str = ""
    unwritten: bool = False
    changed: str = ""
    drew: bool = False


def inputs_of(exercise, index, seed):
    """The arguments of case number `index` under `seed`: the same seed gives the same tensors."""
    generator = torch.Generator().manual_seed(zlib.crc32(f"{seed}/{exercise.id}/{index}".encode()))
    return exercise.cases[index].inputs(generator)


def attempt(id, drive, fn, inputs):
    """Run a case's `drive` on a learner's function with copies of the inputs. Only an interrupt by hand comes out."""
    given = copied(inputs)
    with _quiet(), _own_random_state() as drew:
        try:
            value, error, unwritten = drive(fn, *given), "", False
        except KeyboardInterrupt:
            raise
        except BaseException as problem:  # sys.exit() in an answer is a miss as well
            value, error = None, sentence(problem, fn)
            unwritten = isinstance(problem, NotImplementedError) and problem.args == (id,)
        draws = drew()
    changed = [str(i) for i, (a, b) in enumerate(zip(given, inputs), start=1) if not same(a, b)]
    return Attempt(value, error, unwritten, " and ".join(changed), draws)


def expected_of(exercise, index, inputs):
    """What a right answer gives on this case: `expect`, or the reference driven the same way."""
    case, given = exercise.cases[index], copied(inputs)
    with _quiet(), _own_random_state():
        value = case.expect(*given) if case.expect else case.drive(exercise.reference, *given)
    return copied(_detached(value))


def verdict(exercise, index, tried, expected):
    """The outcome of one case from an Attempt and the expected value."""
    case = exercise.cases[index]
    try:
        miss = tried.error or difference(tried.value, expected, case.rtol, case.atol)
        hint = case.hint if not miss or difference(tried.value, expected, *COARSE) else DIGITS
    except Exception as problem:  # torch and numpy have kinds of values that refuse every question
        miss = f"gives {kind_of(tried.value)} that cannot be compared ({type(problem).__name__})"
        hint = case.hint
    valued = not tried.error and tried.value is not None  # else a hint about values says nothing
    return Outcome(case.says, not miss, miss[:MISS], hint if miss and valued else "")


def impurity(exercise, index, tried, inputs):
    """What an attempt touched that it should have left alone, in words, or ''."""
    if tried.changed:
        return f"changes input {tried.changed} in place"
    return "draws from the global random state" if tried.drew and not _draws(exercise, index, inputs) else ""


def judge(exercise, fn, seed=0):
    """Run all cases of an exercise on `fn` and return a Result. Raises only if the exercise itself is broken.

    A last outcome is added to those of the cases: inputs stay as they are, and nothing is drawn from global random
    states (unless the reference draws too, as the weights of a new layer are). It costs as much as one case.
    """
    tried, outcomes, impure = [], [], []
    for index, case in enumerate(exercise.cases):
        inputs = inputs_of(exercise, index, seed)
        expected = expected_of(exercise, index, inputs)
        tried.append(attempt(exercise.id, case.drive, fn, inputs))
        outcomes.append(verdict(exercise, index, tried[-1], expected))
        impure.append(impurity(exercise, index, tried[-1], inputs))
    return summary(exercise, tried, outcomes, impure)


def summary(exercise, tried, outcomes, impure):
    """The Result of an exercise from the attempts, outcomes and impurities of its cases."""
    if all(t.unwritten for t in tried):
        return Result(exercise.id, "not started", 0.0)
    touched = "no call came to its end" if all(t.error for t in tried) else next(filter(None, impure), "")
    another = any(case.central and not o.passed for case, o in zip(exercise.cases, outcomes))
    outcomes = (*outcomes, Outcome(PURITY, not touched, touched))
    passed = sum(o.passed for o in outcomes)
    score = exercise.points * min(max(0, passed - 1) / len(exercise.cases), 0.5 if another else 1)
    return Result(exercise.id, "passed" if passed == len(outcomes) else "not passed", score, outcomes)


def _draws(exercise, index, inputs):
    with _quiet(), _own_random_state() as drew:
        exercise.cases[index].drive(exercise.reference, *copied(inputs))
        return drew()


def _detached(value):
    if isinstance(value, dict):
        return {k: _detached(v) for k, v in value.items()}
    if isinstance(value, (tuple, list)):
        return tuple(map(_detached, value))
    return value.detach() if isinstance(value, torch.Tensor) else value


@contextlib.contextmanager
def _quiet():
    """Keep warnings and whatever is written to stderr (progress bars) out of the notebook."""
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def _own_random_state():
    """Fix all global random states; restore them and the modes of torch at the end. Yields: was one drawn from?"""
    before, dtype, grad = _random_states(), torch.get_default_dtype(), torch.is_grad_enabled()
    torch.random.default_generator.manual_seed(0)
    np.random.seed(0)
    random.seed(0)
    start = _random_states()
    try:
        yield lambda: _differ(start, _random_states())
    finally:
        torch.random.default_generator.set_state(before[0])
        np.random.set_state(before[1])
        random.setstate(before[2])
        torch.set_default_dtype(dtype)
        torch.set_grad_enabled(grad)


def _random_states():
    return torch.random.default_generator.get_state(), np.random.get_state(), random.getstate()


def _differ(a, b):
    return not (torch.equal(a[0], b[0]) and a[1][2:] == b[1][2:] and (a[1][1] == b[1][1]).all() and a[2] == b[2])


def _undecorated(fn):
    """A function without what stands above it: the learner's cell is where its own code is."""
    for _ in range(9):
        fn = getattr(fn, "__wrapped__", fn)
    return fn


def sentence(problem, fn=None):
    """An exception in one line: where in the learner's cell, its type, and the start of its message."""
    functions = map(_undecorated, vars(fn).values() if isinstance(fn, type) else (fn,))
    files = {f.__code__.co_filename for f in functions if hasattr(f, "__code__")}
    line, step = None, problem.__traceback__
    while step:
        line = step.tb_lineno if step.tb_frame.f_code.co_filename in files else line
        step = step.tb_next
    try:
        text = " ".join(str(problem).split())
    except Exception:  # an exception of the learner's own whose __str__ fails
        text = ""
    text = re.sub(r" at 0x[0-9a-fA-F]+", "", text)
    text = f": {text[:TEXT]}{'...' if len(text) > TEXT else ''}" if text else ""
    return f"{RAISED} {type(problem).__name__}{text}" + (f" (line {line} of the cell)" if line else "")
