"""Every exercise tells right from wrong: references and alternatives pass, mutants fail, whatever the seed."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch

import minidiff.exercises
from minidiff.exercises.compare import same
from minidiff.exercises.core import exercises, find
from minidiff.exercises.judge import expected_of, inputs_of, judge
from minidiff.grading.build import read
from minidiff.grading.mark import load_hidden
from tests import mutants
from tests.course.rules import drift
from tests.course.tree import CHAPTERS, WRITTEN, notebooks

SEEDS = (0, 1, 2)
PRESENT = sorted(file.stem for file in Path(minidiff.exercises.__file__).parent.glob("ch[0-9][0-9].py"))
ALL = {id: exercise for chapter in PRESENT for id, exercise in exercises(chapter).items()}
MUTANTS = {f"{id}-{name}": (id, fn) for id in ALL for name, fn in mutants.mutants(id).items()}
ALTERNATIVES = {f"{id}-{name}": (id, fn) for id in ALL for name, fn in mutants.alternatives(id).items()}

HIDDEN = {id: cases for chapter in PRESENT for id, cases in load_hidden(chapter)[0].items()}
GRADED = {id: replace(e, cases=e.cases + HIDDEN.get(id, ())) for id, e in ALL.items()}  # as the grader asks



@pytest.fixture(scope="module", autouse=True)
def asked_once():
    """What is right is worked out once for each case and seed, and not again for every answer."""
    asked, right = {}, {}

    def inputs_of_once(exercise, index, seed):
        key = exercise.id, index, seed
        if key not in asked:
            asked[key] = inputs_of(exercise, index, seed)
        return asked[key]

    def expected_of_once(exercise, index, inputs):
        key = exercise.id, index, id(inputs)  # `asked` keeps them all: no two have one id
        if key not in right:
            right[key] = expected_of(exercise, index, inputs)
        return right[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("minidiff.exercises.judge.inputs_of", inputs_of_once)
        patch.setattr("minidiff.exercises.judge.expected_of", expected_of_once)
        yield


each_exercise = pytest.mark.parametrize("exercise", ALL.values(), ids=ALL.keys())
each_as_graded = pytest.mark.parametrize("exercise", GRADED.values(), ids=GRADED.keys())


def test_every_chapter_has_exercises():
    written, known = ({f"ch{number}" for number in numbers} for numbers in (WRITTEN, CHAPTERS))
    assert written <= set(PRESENT) <= known


def test_every_mutant_and_alternative_belongs_to_an_exercise():
    assert mutants.registered() == set(ALL)


@each_exercise
def test_says_what_it_is_and_what_it_costs(exercise):
    chapter, name = exercise.id.split(".")
    assert exercise.reference.__name__ == name and exercise.reference.__module__.startswith("minidiff.")
    assert f"minidiff.exercises.{chapter}" != exercise.reference.__module__
    assert exercise.title and exercise.points in range(1, 11) and exercise.minutes in range(1, 61)
    assert exercise.difficulty in ("easy", "medium", "hard")
    assert len(exercise.hints) in (2, 3) and all(exercise.hints) and len(set(exercise.hints)) == len(exercise.hints)


def test_the_solutions_in_the_notebooks_are_the_code_of_the_package():
    known = drift.package()
    assert [line for chapter in WRITTEN for line in drift.every_solution_is_the_code_of_the_package(
        read(notebooks(chapter)[1]), known, find)] == []


def test_every_exercise_has_a_hidden_case_about_values():
    assert set(HIDDEN) == set(ALL)
    assert all(any(case.kind == "value" for case in cases) for cases in HIDDEN.values())


@each_as_graded
def test_its_cases_are_claims_that_shapes_alone_do_not_meet(exercise):
    claims = [case.says for case in exercise.cases]
    assert all(claims) and len(set(claims)) == len(claims)
    for cases in (exercise.cases, ALL[exercise.id].cases):
        kinds = [case.kind for case in cases]
        assert set(kinds) <= {"value", "shape"} and kinds.count("shape") <= 0.2 * len(kinds), (
            f"{kinds.count('shape')} of {len(kinds)} cases are about shapes, more than a fifth: add others")
    exact = [case for case in exercise.cases if case.rtol or case.atol is None or case.atol <= 1e-6]
    assert all((case.rtol or 0) <= 1e-4 and (case.atol or 0) <= 1e-6 for case in exact)
    assert len(exercise.cases) - len(exact) <= 1  # one mean over random draws may stand beside them, with rtol = 0


def is_plain(value):
    if isinstance(value, dict):
        return all(map(is_plain, value.values()))
    if isinstance(value, (tuple, list)):
        return all(map(is_plain, value))
    return type(value) in (torch.Tensor, int, float, bool, str, type(None))


@each_as_graded
def test_its_inputs_are_plain_and_decided_by_the_seed(exercise):
    drawn = [[inputs_of(exercise, i, seed) for i in range(len(exercise.cases))] for seed in (*SEEDS, SEEDS[0])]
    assert all(type(inputs) is tuple and is_plain(inputs) for run in drawn for inputs in run)
    assert same(drawn[0], drawn[-1])
    assert not same(drawn[0], drawn[1]) and not same(drawn[1], drawn[2])


@each_exercise
def test_its_stub_is_not_started(exercise):
    def stub(*args, **kwargs):
        raise NotImplementedError(exercise.id)
    assert judge(exercise, stub).state == "not started"


@each_as_graded
def test_its_reference_passes(exercise):
    for seed in SEEDS:
        result = judge(exercise, exercise.reference, seed)
        assert result.passed, f"seed {seed}: {result.cases}"


@cache
def judged(id, fn):
    """What is said of a wrong answer with each seed."""
    return [judge(ALL[id], fn, seed) for seed in SEEDS]


@each_exercise
def test_it_was_tried_on_enough_answers(exercise):
    results = [judged(exercise.id, fn)[0] for fn in mutants.mutants(exercise.id).values()]
    run = [r for r in results if not all(case.miss.startswith("stops with") for case in r.cases[:-1])]
    # an answer that always raises proves nothing about a check
    assert len(run) >= 6, f"{len(run)} wrong answers come to an end in some case, 6 or more are needed"
    right = len(mutants.alternatives(exercise.id))
    assert right >= 2, f"{right} right answers written another way, 2 or more are needed"


@pytest.mark.parametrize("id, fn", MUTANTS.values(), ids=MUTANTS.keys())
def test_a_wrong_answer_fails(id, fn):
    for seed, result in zip(SEEDS, judged(id, fn), strict=True):
        assert result.state == "not passed", (
            f"seed {seed}: {result.state}; a case that students see must catch it, not a hidden one")
        assert result.score < ALL[id].points


@pytest.mark.parametrize("id, fn", ALTERNATIVES.values(), ids=ALTERNATIVES.keys())
def test_a_right_answer_written_another_way_passes(id, fn):
    for seed in SEEDS:
        result = judge(GRADED[id], fn, seed)
        assert result.passed, f"seed {seed}: {result.cases}"
