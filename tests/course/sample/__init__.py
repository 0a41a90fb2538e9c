"""A course of one small chapter, 90, on which the builder and the rules for notebooks are tested.

Importing this makes the exercises of chapter 90 known, here and in the kernel of the sample notebook.
"""

from pathlib import Path

import minidiff.exercises
import nbformat
from nbformat import v4

minidiff.exercises.__path__.append(str(Path(__file__).parent))

SETUP = """\
import torch
import matplotlib.pyplot as plt
import tests.course.sample
from minidiff.exercises.core import answer
from minidiff.process.schedules import linear_betas"""
DOUBLE = '''\
def double(x):
    """Twice x."""
    # BEGIN SOLUTION
    the_same_again = x
    return x + the_same_again
    # END SOLUTION'''
CHECKING = """\
walked = torch.zeros(3)
for t in range(1, 5):
    walked = walked + t / 4
print(f"walked: {walked.mean():.3f}")
print(f"jump: {sum(range(5)) / 4:.3f}")"""
PLOT = """\
plt.plot(linear_betas())
plt.title("Each step adds more noise than the last")
plt.show()
print(f"last: {linear_betas()[-1]:.3f}")"""


def md(source, *tags, **minidiff_metadata):
    return _tagged(v4.new_markdown_cell(source), tags, minidiff_metadata)


def code(source, *tags, **minidiff_metadata):
    return _tagged(v4.new_code_cell(source), tags, minidiff_metadata)


def cells():
    """The cells of the sample's source, as an author writes them."""
    return [
        md("# Sample\n\nYou will be able to double."),
        code(SETUP, "setup"),
        md("Do you believe that four steps and one jump agree? Walk, and compare."),
        code(CHECKING),
        md("Both are 2.5, as $0.12345$ and `0.98765` are no results.\n\n$$y = 2x \\tag{90.1}$$"),
        code(PLOT),
        md("**Exercise 90.1 `double`** (code, easy, 3 minutes). Write it.", "exercise-text"),
        code(DOUBLE, "exercise", exercise="ch90.double", points=2),
        code('double = answer("ch90.double", double)', "check"),
        md("**Exercise 90.2** (paper, easy, 5 minutes). Why do variances add?", "exercise-text"),
        md("The covariance of independent noises is 0.", "manual", exercise="ch90.variances", points=2),
        md("## What you should see\n\nThe same number twice."),
        md("## Summary\n\nDoubling."),
        md("## References\n\nHo et al. 2020, eq. 4 on page 0.987."),
    ]


def course(root, written=None):
    """Write solutions/90_sample.ipynb under a folder. Returns its path."""
    notebook = v4.new_notebook(cells=cells() if written is None else written)
    file = Path(root) / "solutions" / "90_sample.ipynb"
    file.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, file)
    return file


def _tagged(cell, tags, minidiff_metadata):
    if tags:
        cell.metadata["tags"] = list(tags)
    if minidiff_metadata:
        cell.metadata["minidiff"] = minidiff_metadata
    return cell
