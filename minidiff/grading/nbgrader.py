"""The course as nbgrader wants it: what `export nbgrader` writes, and what the hidden tests in it call.

Nothing here imports nbgrader: a source notebook is one of solutions/ with three things changed, so that what
nbgrader's stock commands release is, cell by cell, the notebook in chapters/.

- After each solution stands the line that its stub keeps, `raise NotImplementedError("chNN.name")`, out of reach.
- A check cell holds hidden tests around its one line. Their last value is the number of points: partial credit.
- A written answer is emptied by nbgrader itself.
"""

import ast
from functools import cache
from pathlib import Path
from string import Template

import nbformat

from minidiff.exercises.core import exercises
from minidiff.exercises.judge import attempt, judge
from minidiff.grading.build import read, solution_files
from minidiff.grading.mark import ROOT, GradingError, Marker, manual, notebooks
from minidiff.grading.notebook import BEGIN, CHECK, END, WRITE_HERE, exercise_of, tags

CONFIG = f'''\
"""nbgrader's settings for this course: `nbgrader` reads them in the folder in which it is started."""

import os

c = get_config()
os.environ.pop("MINIDIFF_STRICT", None)  # a miss must not raise: it earns a part of the points
c.CourseDirectory.course_id = "minidiff"

# What takes the place of a solution, and of a written answer: the same as in the course's own notebooks.
c.ClearSolutions.code_stub = {{"python": "# YOUR CODE HERE"}}
c.ClearSolutions.text_stub = "{WRITE_HERE}"

# Chapters train small networks: one cell may take its time, here and on a slow machine.
c.Execute.timeout = 300

# A check cell that a student deleted comes back.
c.OverwriteCells.add_missing_cells = True
'''
TESTS = '''\
### BEGIN HIDDEN TESTS
from minidiff.grading.nbgrader import earned
{name} = globals().get("{name}")
nbgrader_points = earned("{id}", {name}, seed={seed})
### END HIDDEN TESTS
{line}
### BEGIN HIDDEN TESTS
nbgrader_points
### END HIDDEN TESTS'''


def course(chapters, seed, place):
    """The files of a course folder, {path: text}. chapters: ['ch01', ...]; place: the folder. Raises GradingError."""
    files = {"nbgrader_config.py": CONFIG}
    for chapter in chapters:
        stem = notebooks()[chapter]
        notebook = source(read(solution_files(ROOT, [chapter[2:]])[0]), seed)
        files[f"source/{stem}/{stem}.ipynb"] = nbformat.writes(notebook) + "\n"
    about = Template((Path(__file__).parent / "texts" / "nbgrader.md").read_text(encoding="utf-8"))
    code = sum(e.points for e in exercises(chapters[0]).values())
    written = sum(points for _, points in manual(chapters[0]))
    return files | {"README.md": about.substitute(seed=seed, first=notebooks()[chapters[0]], place=place, code=code,
                                                  written=written, total=code + written)}


def source(notebook, seed):
    """nbgrader's source notebook for one of solutions/, changed in place, without outputs. Raises GradingError."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.update(outputs=[], execution_count=None)
        if "exercise" in tags(cell):
            cell.source = with_stub(cell.source, exercise_of(cell))
        if "check" in tags(cell):
            name, id, _ = CHECK.fullmatch(cell.source).groups()
            cell.source = TESTS.format(name=name, id=id, seed=seed, line=cell.source)
    return notebook


def with_stub(answer, id):
    """A solved answer in which the line that raises in the stub stands after each solution, out of reach.

    Raises GradingError where a solution ends neither its function nor its loop: code after it would be out of reach.
    """
    blocks = [b for b in ast.walk(ast.parse(answer)) if isinstance(b, (ast.FunctionDef, ast.For, ast.While))]
    lines, out, begin = answer.splitlines(), [], 0
    for number, line in enumerate(lines, start=1):
        indent = line[:len(line) - len(line.lstrip())]
        if line.strip() == BEGIN:
            begin = number
        if line.strip() != END:
            out.append(line)
            continue
        block = next((b for b in blocks if begin < b.end_lineno < number and b.body[0].col_offset == len(indent)), None)
        if block is None:
            raise GradingError(f"{id}: its solution does not end its function, so nbgrader's cut would change what "
                               "comes after it")
        ended = isinstance(block.body[-1], (ast.Return, ast.Raise))
        way_out = "return" if isinstance(block, ast.FunctionDef) else "continue"
        out += [*([] if ended else [f"{indent}{way_out}"]), line, f'{indent}raise NotImplementedError("{id}")']
    return "\n".join(out)


@cache
def marker(chapter, seed):
    """The Marker of a chapter, made once in a kernel."""
    return Marker(chapter, seed)


def earned(id, fn, seed):
    """The points of an answer in this kernel, 0 to the exercise's points; prints what the check cell does not tell.

    They are those of `python -m minidiff.grading run --seed SEED`, hidden cases included, as far as one process
    for everything can give them.
    """
    chapter = id.split(".")[0]
    at, public = marker(chapter, seed), exercises(chapter)[id]
    if not callable(fn) or fn is public.reference:
        print(f"{id}: 0 of {public.points} points")
        return 0.0
    cases = at.exercises[id].cases
    mark = at.judged(id, [attempt(id, case.drive, fn, inputs) for case, inputs in zip(cases, at.inputs[id])])
    print(f"{id}: {mark.points:g} of {mark.of} points")
    told = {case.says for case in judge(public, fn).cases if not case.passed}
    for case in mark.cases:
        if not case.passed and case.says not in told:
            print(f"  MISS {case.says}" + (f"\n         {case.miss}" if case.miss else ""))
    return mark.points
