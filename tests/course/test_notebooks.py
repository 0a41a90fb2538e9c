"""All chapters: complete, derived, readable, stable; every equation proved, every symbol explained."""

import json
import re
import subprocess
import sys

import pytest

from minidiff.exercises.core import exercises, find
from minidiff.grading.build import ROOT, orphans, outdated, read, solution_files
from tests.course.rules import drift, outputs, printed, registries, style
from tests.course.tree import WRITTEN, course

NAMES = sorted(f"{course()[chapter]['notebook']}.ipynb" for chapter in WRITTEN)
BOTH = [f"{folder}/{name}" for name in NAMES for folder in ("solutions", "chapters")]
every_notebook = pytest.mark.parametrize("path", BOTH)
MEGABYTE = 1_000_000


def none(problems):
    problems = list(problems)
    assert not problems, "\n" + "\n".join(problems)


def files(folder):
    return sorted(file.name for file in (ROOT / folder).glob("*.ipynb"))


def test_the_map_the_sources_and_the_chapters_are_the_same_set():
    assert NAMES == files("solutions") == files("chapters")


def test_nbval_collects_every_tracked_chapter():
    command = [sys.executable, "-m", "pytest", "--nbval", "--collect-only", "-q", "-p", "no:cacheprovider", "chapters"]
    collected = subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout
    tracked = subprocess.run(["git", "ls-files", "chapters"], cwd=ROOT, capture_output=True, text=True).stdout
    cells = re.findall(r"^(chapters/[^:]*)::.*Cell \d+$", collected, re.MULTILINE)
    assert sorted(set(cells)) == [line for line in sorted(tracked.split()) if line.endswith(".ipynb")]
    assert len(cells) == sum(cell["cell_type"] == "code" for name in NAMES
                             for cell in json.loads((ROOT / "chapters" / name).read_text())["cells"])


def test_every_chapter_is_what_its_source_gives():
    stale = outdated(solution_files(ROOT)) + orphans(ROOT)
    none(f"{file.parent.name}/{file.name}: {problem}" for file, problem in stale)


def test_each_chapter_and_all_of_them_run_in_the_time_they_have():
    seconds = {chapter: course()[chapter]["seconds"] for chapter in WRITTEN}  # as benchmarks/chapters.py measured them
    assert all(0 < value <= 120 for value in seconds.values()) and sum(seconds.values()) <= 25 * 60, seconds


@pytest.mark.parametrize("rule", style.RULES + outputs.RULES, ids=lambda rule: rule.__name__)
@every_notebook
def test_a_rule_holds(path, rule):
    none(rule(read(ROOT / path)))


@every_notebook
def test_exercises_say_what_they_cost(path):
    none(style.exercises_say_what_they_cost(read(ROOT / path), find))


@every_notebook
def test_a_notebook_is_small(path):
    assert (ROOT / path).stat().st_size <= MEGABYTE


@every_notebook
def test_code_and_package_do_not_drift(path):
    notebook, known = read(ROOT / path), drift.package()
    none([*drift.no_definition_drifts(notebook, known), *drift.nothing_is_an_orphan(notebook, known)])


@pytest.mark.parametrize("name", NAMES)
def test_a_chapter_opens_with_every_exercise_unwritten(name):
    cells = [cell for cell in read(ROOT / "chapters" / name).cells if "check" in cell.metadata.get("tags", [])]
    assert cells and all(re.fullmatch(r"(ch\d\d\.\w+): not started yet\n  \(the rest of this chapter uses minidiff's "
                                      r"own \w+\)\n", printed(cell)) for cell in cells)


@pytest.mark.parametrize("name", NAMES)
def test_every_registered_exercise_stands_in_its_chapter(name):
    written = {cell.metadata.minidiff.exercise for cell in read(ROOT / "solutions" / name).cells
               if "exercise" in cell.metadata.get("tags", [])}
    assert written == set(exercises(f"ch{name[:2]}"))


def test_every_equation_has_a_proof():
    tagged = {name[:2]: registries.tags(read(ROOT / "solutions" / name)) for name in NAMES}
    assert all(tagged.values())
    proofs = [proof for proof in registries.proofs() if proof[0].split(".")[0].zfill(2) in WRITTEN]
    none(registries.equation_problems(tagged, proofs))


def test_the_notation_is_that_of_the_package():
    rows = registries.notation((ROOT / "chapters" / "README.md").read_text())
    assert len(rows) >= 10
    none(registries.notation_problems(rows, registries.names_in_package()))


def test_every_word_of_the_field_stands_beside_ours_where_the_glossary_says():
    rows = registries.notation((ROOT / "chapters" / "README.md").read_text(), registries.GLOSSARY)
    assert len(rows) >= 20
    none(registries.glossary_problems(rows, {name[:2]: registries.prose_of(read(ROOT / "solutions" / name))
                                             for name in NAMES}))
