"""What a student's notebook answers, and for each exercise which of its cells must run, in which order.

The cells of a notebook stand in one line behind those of the chapter: where a cell was deleted, the chapter's own
stands in. Of the student's cells one is the answer to an exercise; for the answers to all others stands the course's
own function, as it does in the notebook below a check that was missed. Cells of the chapter that nobody changed, and
other answers, run only where their names are needed.
"""

import ast
import re
from dataclasses import dataclass, replace

from minidiff.grading import answers, flow
from minidiff.grading.shell import TimeLimit, within

SOURCE, SOURCES = 200_000, 1_000_000  # characters of one cell, and of all own cells of a notebook
PARSING = 2.0  # seconds for one cell
OWN, ANSWER, LESSON, COURSE = "own", "answer", "lesson", "course"


@dataclass(frozen=True)
class Part:
    """A piece of code: kind own (a student's), answer, lesson, or course (what stands for an answer)."""
    source: str
    kind: str
    exercise: str
    effects: flow.Effects


@dataclass(frozen=True)
class Lesson:
    """A chapter's own cells, understood once: its parts, which sources are its own, and its stubs {id: dump}."""
    parts: tuple
    known: dict
    done: frozenset
    stubs: dict
    course: dict


def lesson(cells, references):
    """The Lesson of a chapter. cells: [(source, exercise, 'setup', 'check' or '')]; references: {id: [module, name]}.
    """
    course = {}
    for id, (module, name) in references.items():
        source = f"from {module} import {name}"
        course[id] = Part(source, COURSE, id, flow.effects(source))
    parts = [course[exercise] if exercise else Part(source, LESSON, "", flow.effects(source))
             for source, exercise, tag in cells if tag != "check"]
    return Lesson(tuple(parts), {part.source: part for part in parts if part.kind == LESSON},
                  frozenset(source for source, _, tag in cells if tag),
                  {id: _definition(source, id) for source, id, _ in cells if id}, course)


def reading(cells, ours, written):
    """What a notebook's cells [Cell] answer, as a dict that the wire takes.

    cells: the sources that may have to run; answers: {id: {state, note, digest, at, runs}}, where state is 'found',
    'missing', 'not started' or 'broken', and runs one or two lists of numbers of cells, the second with all of the
    student's cells above the answer; written: {id: text or None}.
    """
    parts, line, at = list(_understood(cells, ours)), list(ours.parts), {}
    answered = {id: _find(parts, id, ours) for id in ours.course}
    for i, part in enumerate(parts):
        here = [id for id, number in answered.items() if number == i]
        at |= dict.fromkeys(here, len(line))
        line += [replace(part, kind=ANSWER) if here else part, *(ours.course[id] for id in here)]
    found = {id: _answered(line, id, at.get(id), ours) for id in ours.course}
    used = {i for answer in found.values() for run in answer["runs"] for i in run}
    return {"cells": [part.source if i in used else "" for i, part in enumerate(line)], "answers": found,
            "written": {id: answers.written(cells, id) for id in written}}


def _understood(cells, ours):
    """The parts of a student's code cells; those that the chapter's checks and set-up are made of have no effect."""
    left = SOURCES
    for cell in cells:
        if cell.kind != "code" or cell.source in ours.done:
            continue
        if cell.source in ours.known:
            yield ours.known[cell.source]
            continue
        left -= len(cell.source)
        if len(cell.source) > SOURCE or left < 0:
            most = f"a cell of more than {SOURCE}" if left >= 0 else f"the notebook has more than {SOURCES}"
            effects = flow.Effects(problem=f"is no Python: {most} characters")
        else:
            try:
                with within(PARSING):
                    effects = flow.effects(cell.source)
            except TimeLimit:
                effects = flow.Effects(problem="takes too long to be read")
        yield Part(cell.source, OWN, cell.exercise, effects)


def _find(parts, id, ours):
    """The number of the part that answers an exercise, or None.

    Of several that define its name it is one that is not the untouched stub, if possible the answer's own cell, if
    possible one that does more than import the name; and of these the last.
    """
    name = id.split(".")[1]
    start = re.compile(rf"^(def|class)\s+{name}\b", re.M)
    named = [i for i, part in enumerate(parts) if part.kind == OWN and (
        name in part.effects.binds
        or part.effects.problem and (part.exercise == id or start.search(part.source)))]
    return max(named, default=None, key=lambda i: (
        not _untouched(parts[i], id, ours), parts[i].exercise == id, name not in parts[i].effects.imports, i))


def _answered(line, id, at, ours):
    """What a line of parts says about one exercise: see `reading`."""
    nothing = {"note": "", "digest": "", "at": 0, "runs": []}
    if at is None:
        return nothing | {"state": "missing", "note": f"no cell defines {id.split('.')[1]}"}
    part = line[at]
    if part.effects.problem:
        return nothing | {"state": "broken", "note": f"the cell {part.effects.problem}"}
    if _untouched(part, id, ours):
        return nothing | {"state": "not started"}
    effects, own = [p.effects for p in line], {i for i, p in enumerate(line[:at]) if p.kind == OWN}
    later = {i for i, p in enumerate(line) if i > at and p.kind == OWN and id.split(".")[1] in p.effects.patches}

    def absent(i):
        return line[i] is ours.course[id]
    runs = [flow.needed(effects, at, more, len(ours.parts), absent) for more in (later, own | later)]
    runs = [[i for i in run if i > 0] for run in runs]  # 0 is the set-up, which has run
    return nothing | {"state": "found", "digest": answers.digest(flow.python_of(part.source)), "at": at,
                      "runs": runs[:1] if runs[0] == runs[1] else runs}


def _untouched(part, id, ours):
    return not part.effects.problem and _definition(part.source, id) == ours.stubs.get(id, "no stub")


def _definition(source, id):
    """The definition of an exercise's name in a source, without its docstrings, layout and comments; or ''."""
    name = id.split(".")[1]
    try:
        found = [s for s in flow.parsed(source).body if getattr(s, "name", "") == name]
    except answers.PARSE_ERRORS:
        return ""
    for node in ast.walk(ast.Module(found, [])):
        if isinstance(node, answers.DEFINITIONS) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    return " ".join(map(ast.dump, found))
