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


@pytest.fixture(scope="module")
def every():
    """{"chapters/01_adding_noise.ipynb": its notebook} of all chapters and their sources."""
    return {path: read(ROOT / path) for path in BOTH}


def broken(rule, notebooks):
    """Every breach of a rule, with the file that it stands in."""
    return [f"{path}, {problem}" for path, notebook in notebooks.items() for problem in rule(notebook)]


@pytest.mark.parametrize("rule", style.RULES + outputs.RULES, ids=lambda rule: rule.__name__)
def test_a_rule_holds(rule, every):
    none(broken(rule, every))


def test_exercises_say_what_they_cost(every):
    none(broken(lambda notebook: style.exercises_say_what_they_cost(notebook, find), every))


def test_a_notebook_is_small():
    none(path for path in BOTH if (ROOT / path).stat().st_size > MEGABYTE)


def test_code_and_package_do_not_drift(every):
    known = drift.package()
    none(broken(lambda notebook: drift.no_definition_drifts(notebook, known), every))
    none(broken(lambda notebook: drift.nothing_is_an_orphan(notebook, known), every))


def test_a_chapter_opens_with_every_exercise_unwritten(every):
    unwritten = r"(ch\d\d\.\w+): not started yet\n  \(the rest of this chapter uses minidiff's own \w+\)\n"
    for name in NAMES:
        cells = [cell for cell in every[f"chapters/{name}"].cells if "check" in cell.metadata.get("tags", [])]
        assert cells and [printed(cell) for cell in cells if not re.fullmatch(unwritten, printed(cell))] == [], name


def test_every_registered_exercise_stands_in_its_chapter(every):
    written = {name: {cell.metadata.minidiff.exercise for cell in every[f"solutions/{name}"].cells
                      if "exercise" in cell.metadata.get("tags", [])} for name in NAMES}
    assert written == {name: set(exercises(f"ch{name[:2]}")) for name in NAMES}


def test_every_equation_has_a_proof(every):
    tagged = {name[:2]: registries.tags(every[f"solutions/{name}"]) for name in NAMES}
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
