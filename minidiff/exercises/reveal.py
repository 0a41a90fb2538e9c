"""Model answers to the exercises on paper and the experiments, for whoever has written something first.

Each one stands in one place, the notebook of its chapter in solutions/, and is read from there.
"""

import json
import re

from minidiff.places import ROOT

SOLUTIONS = ROOT / "solutions"  # in a checkout of the course; an installed package has none


def reveal(id, mine=""):
    """Print the model answer to an exercise on paper or an experiment, below your own.

    id: 'ch04.6', by the exercise's number, or the name in its cell, 'ch04.paper_1'; mine: what you have written, a
    text. Without it the model answer is not shown. Exercises in code are answered by the functions of `minidiff`, which
    may be read at any time. Never raises.
    """
    print("\n".join(_lines(str(id), mine)))


def _lines(id, mine):
    files = {f"ch{file.name[:2]}": file for file in sorted(SOLUTIONS.glob("[0-9][0-9]_*.ipynb"))}
    if not files:
        return [f"{id}: no model answers are installed; they are in the folder solutions/ of the course's repository"]
    chapter, _, name = id.partition(".")
    if chapter not in files:
        return [f"there is no model answer {id!r}; there are those of {', '.join(files)}"]
    try:
        answers = _answers(json.loads(files[chapter].read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return [f"{id}: {files[chapter]} cannot be read as a notebook"]
    found = next((text for names, text in answers if name in names), None)
    if found is None:
        known = ", ".join(f"{chapter}.{number} ({name})" for (number, name), _ in answers) or "none"
        return [f"there is no model answer {id!r}; on paper and in experiments there are {known}"]
    if not isinstance(mine, str) or not mine.strip():
        return [f"{id}: write your own answer first, then compare: reveal({id!r}, \"my answer ...\")"]
    return [f"{id}, yours:", mine.strip(), "", f"{id}, a model answer:", found]


def _answers(notebook):
    """The model answers of a notebook in order: [((number, name), text)], the number as in 'Exercise 4.6'."""
    number, out = "", []
    for cell in notebook["cells"]:
        tags, text = cell["metadata"].get("tags", []), "".join(cell["source"])
        if "exercise-text" in tags:
            heading = re.match(r"\*\*Exercise \d+\.(\d+)", text)
            number = heading[1] if heading else ""
        if "manual" in tags:
            out.append(((number, cell["metadata"]["minidiff"]["exercise"].partition(".")[2]), text))
    return out
