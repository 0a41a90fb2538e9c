"""Submissions that a grader must survive, each with the mark that it must get.

A file NAME.py.txt answers one exercise of a notebook that is right in all others. Its first line says which, and the
mark: `# ch04.ResBlock: not passed, 0 points, where isolated, within 0.3 GiB`; without an id it is ch01.q_sample, and
without points they are less than full (`at most half`: half at most). `# ---` begins another cell; the last one is the
answer. Whole files: `notebooks` (odd ones) and `honest` (right ones).
"""

import json
from dataclasses import dataclass
from pathlib import Path

import nbformat

from minidiff.grading.run import solution

FOLDER = Path(__file__).parent
ID = "ch01.q_sample"


@dataclass(frozen=True)
class Known:
    """An answer and the mark that it must get.

    points: None where they are less than full; isolated: only there; memory: GiB of the limit that is tried, or None;
    half: no more than half of the points.
    """
    name: str
    id: str
    state: str
    points: float | None
    isolated: bool
    cells: tuple
    memory: float | None = None
    half: bool = False

    def meets(self, mark):
        """Is a mark the one that this answer must get?"""
        if self.points is None:
            return mark.state == self.state and (mark.points <= mark.of / 2 if self.half else mark.points < mark.of)
        return (mark.state, mark.points) == (self.state, self.points)


def corpus():
    """All answers of the folder, [Known]."""
    return [_known(file) for file in sorted(FOLDER.glob("*.py.txt"))]


def solved(chapter):
    """The notebook of a chapter with all answers right."""
    return nbformat.read(solution(chapter).path, as_version=4)


def with_answers(chapter, answers):
    """A solved notebook in which exercises are answered by {id: cells}; the last of the cells is the answer's own."""
    notebook = solved(chapter)
    for id, (*before, last) in answers.items():
        at = where(notebook, id)
        notebook.cells[at].source = last
        notebook.cells[at:at] = [nbformat.v4.new_code_cell(source) for source in before]
    return notebook


def where(notebook, id):
    """The number of the answer's cell of an exercise."""
    return next(i for i, cell in enumerate(notebook.cells)
                if cell.metadata.get("minidiff", {}).get("exercise") == id and cell.cell_type == "code")


def save(notebook, folder, chapter):
    """Write a notebook as a student's submission of a chapter. Returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / solution(chapter).path.name
    path.write_text(json.dumps(notebook), encoding="utf-8")
    return path


def _known(file):
    head, _, code = file.read_text(encoding="utf-8").partition("\n")
    id, _, mark = head.removeprefix("# ").rpartition(": ")
    state, *rest = mark.split(", ")
    points = next((float(word.split()[0]) for word in rest if word.endswith(("points", "point"))), None)
    memory = next((float(word.split()[1]) for word in rest if word.startswith("within")), None)
    return Known(file.name.removesuffix(".py.txt"), id or ID, state, points, "where isolated" in rest,
                 tuple(code.split("# ---\n")), memory, "at most half" in rest)
