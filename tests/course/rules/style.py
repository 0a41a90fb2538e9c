"""How a chapter reads: sizes of cells, rhythm of code and prose, the parts that every chapter has, its numbers."""

import re

from tests.course.rules import code_cells, has_tag, numbered, percentile, plain_prose, printed, prose_cells

SETUP = """\
import torch
import matplotlib.pyplot as plt
from minidiff.exercises.core import answer, check, hint, progress
from minidiff.plotting import show, use_house_style
use_house_style()"""
PARTS = ("what you should see", "summary", "references")
NUMBER = re.compile(r"(?<![\w.])\d+\.\d+(?:e[-+]?\d+)?(?![\w.]*\d)")
LABEL = re.compile(r"(?:[Ee]xercises?|[Ee]quations?|[Ss]ection|[Ff]igure|[Vv]ersion) \d+\.\d+|\([1-9]\d?\.[1-9]\d?\)")
SOURCE = re.compile(r"et al\.|\beq\. |\bsection \d|\(\d{4}\)|\b(?:19|20)\d\d, ")


def code_is_in_small_cells(notebook):
    """At most 6 lines in the median cell, 18 in nine of ten, 35 in any; lines of at most 79 characters."""
    lines = [len([line for line in cell.source.splitlines() if line.strip()]) for cell in code_cells(notebook)]
    for share, limit in ((0.5, 6), (0.9, 18), (1.0, 35)):
        if percentile(lines, share) > limit:
            yield f"{share:.0%} of the code cells have up to {percentile(lines, share)} lines, more than {limit}"
    for n, cell in numbered(notebook, "code"):
        yield from (f"cell {n}: a line of {len(line)} characters: {line[:40]}..." for line in cell.source.splitlines()
                    if len(line) > 79)


def code_alternates_with_prose(notebook):
    """One code cell between two cells of prose in the median, at most 2 in nine of ten; the last cell is prose."""
    kinds = "".join("c" if cell.cell_type == "code" else " " for cell in notebook.cells)
    runs = [len(run) for run in kinds.split()]
    for share, limit in ((0.5, 1), (0.9, 2)):
        if percentile(runs, share) > limit:
            yield f"{share:.0%} of the runs of code cells have up to {percentile(runs, share)} cells, more than {limit}"
    if kinds.endswith("c"):
        yield "the last cell is code: prose says what it shows"


def prose_is_short(notebook):
    """At most 150 words in a cell, 45 in the median one."""
    words = {n: len(re.findall(r"[^\W\d_][\w'’-]*", plain_prose(cell.source)))
             for n, cell in numbered(notebook, "markdown")}
    yield from (f"cell {n}: {count} words, more than 150" for n, count in words.items() if count > 150)
    if percentile(words.values(), 0.5) > 45:
        yield f"the median cell of prose has {percentile(words.values(), 0.5)} words, more than 45"


def nothing_is_decorated(notebook):
    """No HTML but comments, no blobs, in prose."""
    for n, cell in numbered(notebook, "markdown"):
        html = re.search(r"</?(?:div|span|font|center|img|table|style|br|details|p|b|h\d)\b", cell.source)
        if html or "base64," in cell.source or cell.get("attachments"):
            yield f"cell {n}: {html[0] if html else 'a data blob'} in prose"


def set_up_is_the_same_everywhere(notebook):
    """The first code cell has the tag 'setup' and the five lines of every chapter, and no other cell has the tag."""
    first, *others = code_cells(notebook)
    if not has_tag(first, "setup") or first.source != SETUP:
        yield "the first code cell is not the set-up cell of every chapter"
    if any(has_tag(cell, "setup") for cell in others):
        yield "there is a second cell with the tag 'setup'"


def all_parts_are_there(notebook):
    """A title, a table, the closing parts in their order, and at least 5 exercises with text and minutes."""
    heads = [line.lstrip("# ").lower() for cell in prose_cells(notebook) for line in cell.source.splitlines()
             if re.match(r"#{1,4} ", line)]
    if not notebook.cells[0].source.startswith("# "):
        yield "the first cell is not the title"
    if not any(re.search(r"^\|.*\|\n\|[-: |]+\|$", cell.source, re.MULTILINE) for cell in prose_cells(notebook)[:4]):
        yield "no table of prerequisites and times near the top"
    found = [next((i for i, head in enumerate(heads) if part in head), None) for part in PARTS]
    yield from (f"no part called {part!r}" for part, i in zip(PARTS, found) if i is None)
    if None not in found and found != sorted(found):
        yield f"the parts {', '.join(PARTS)} stand in another order"
    exercises = [cell for cell in notebook.cells if has_tag(cell, "exercise") or has_tag(cell, "manual")]
    if len(exercises) < 5:
        yield f"{len(exercises)} exercises, fewer than 5"


def exercises_say_what_they_cost(notebook, find):
    """The text before each exercise names its difficulty and minutes: those of its checks, where it has checks."""
    text = ""
    for n, cell in enumerate(notebook.cells, start=1):
        if has_tag(cell, "exercise-text"):
            text = cell.source
        elif has_tag(cell, "exercise") or has_tag(cell, "manual"):
            exercise = find(cell.metadata.minidiff.exercise)
            level = exercise.difficulty if exercise else "easy|medium|hard"
            minutes = exercise.minutes if exercise else r"\d+"
            if not (re.search(rf"\b(?:{level})\b", text) and re.search(rf"\b{minutes} minutes?\b", text)):
                yield (f"cell {n}: the text before {cell.metadata.minidiff.exercise} does not say {level}, {minutes} "
                       "minutes")
            text = ""


def quoted_numbers_are_computed(notebook):
    """A decimal number of 2 or more digits in prose stands in an output or in code, or beside its source.

    It may be rounded from the output. Numbers of exercises and equations, such as (1.4), are no results.
    """
    known = [float(match[0]) for cell in code_cells(notebook)
             for match in re.finditer(r"\d+(?:\.\d+)?(?:e[-+]?\d+)?", f"{printed(cell)} {cell.source}")]
    for n, cell in numbered(notebook, "markdown"):
        if SOURCE.search(cell.source):
            continue
        for match in NUMBER.finditer(LABEL.sub("", plain_prose(cell.source))):
            places = len(match[0].split("e")[0].split(".")[1])
            digits = match[0].split("e")[0].replace(".", "").lstrip("0")
            if len(digits) >= 2 and not any(round(value, places) == float(match[0]) for value in known):
                yield f"cell {n}: {match[0]} is in no output of this notebook, and no source is named beside it"


RULES = (code_is_in_small_cells, code_alternates_with_prose, prose_is_short, nothing_is_decorated,
         set_up_is_the_same_everywhere, all_parts_are_there, quoted_numbers_are_computed)
