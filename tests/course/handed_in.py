"""Notebooks as students hand them in: made from the chapters, with the answers of the solutions or others in them."""

import copy

import nbformat

from minidiff.grading.build import read
from minidiff.grading.mark import ROOT, notebooks

# Answers to chapter 01 that earn a part of the points, or none.
WRONG = {
    "ch01.q_sample": "def q_sample(x0, t, eps, alpha_bar):\n"
                     "    a = alpha_bar[t].to(x0.dtype)\n"
                     "    return a.sqrt() * x0 + (1 - a).sqrt() * eps",
    "ch01.snr": "def snr(alpha_bar):\n    return alpha_bar",
    "ch01.linear_betas": "def linear_betas(:\n    pass",
}


def solved(chapter):
    """{exercise: the source of its solution} of a chapter."""
    cells = read(ROOT / "solutions" / f"{notebooks()[chapter]}.ipynb").cells
    return {c.metadata.minidiff.exercise: c.source for c in cells if "exercise" in c.metadata.get("tags", [])}


def hand_in(notebook, answers, file):
    """Write a notebook to `file` (its folder is made), with {exercise: source} in the place of its answers."""
    notebook = copy.deepcopy(notebook)
    for cell in notebook.cells:
        if "exercise" in cell.metadata.get("tags", []):
            cell.source = answers.get(cell.metadata.minidiff.exercise, cell.source)
    file.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, file)
    return file


def chapter(name):
    """The notebook in chapters/ of 'ch01'."""
    return read(ROOT / "chapters" / f"{notebooks()[name]}.ipynb")


def three(notebook, place, chapter="ch01"):
    """Hand in a right, a partly right and an untouched notebook; place: name -> file."""
    right = solved(chapter)
    for name, answers in {"right": right, "partly": right | WRONG, "untouched": {}}.items():
        hand_in(notebook, answers, place(name))
