"""Each rule for notebooks is kept by a good chapter, and notices a bad one."""

import ast

import pytest
from nbformat import v4

from minidiff.exercises.core import find
from minidiff.grading.notebook import METADATA
from tests.course.rules import drift, outputs, percentile, style
from tests.course.sample import code, md

PACKAGE_CODE = '''\
def expand_like(values, x):
    """Another docstring."""
    return values.to(x)'''
KNOWN = {"expand_like": [("minidiff/process/forward.py", ast.parse(PACKAGE_CODE.replace("Another", "A")).body[0])],
         "double": [("tests/course/sample/ch90.py", ast.parse("def double(x):\n    return 2 * x").body[0])]}


def out(cell, text="", image=False, n=None):
    """A code cell with what it printed."""
    if text:
        cell.outputs.append(v4.new_output("stream", name="stdout", text=text))
    if image:
        cell.outputs.append(v4.new_output("display_data", {"image/png": "AAAA", "text/plain": "<Figure>"}))
    return cell


def good():
    """A notebook that keeps every rule."""
    exercises = [cell for i in range(5) for cell in (
        md(f"**Exercise 90.{i}** (paper, easy, 5 minutes). Why?", "exercise-text"),
        md("Because.", "manual", exercise=f"ch90.why_{i}", points=1))]
    cells = [
        md("# Title"), md("| needs | time |\n|---|---|\n| 01 | 20 s |"), code(style.SETUP, "setup"),
        md("Do they agree? In `minidiff/process/forward.py` lives `expand_like`; see `minidiff.process.forward`."),
        code(PACKAGE_CODE), md("Look."), out(code("print(2.468)"), "walked: 2.468\n"),
        md("They do: 2.47, whatever $0.12345$ and `0.98765` say. $$y = 2x \\tag{90.1}$$"),
        out(code("plt.plot(x)\nplt.show()"), image=True), md("A line. 0.123 is from Ho et al. 2020."), *exercises,
        md("**Exercise 90.6 `double`** (code, easy, 3 minutes)", "exercise-text"),
        code("def double(x):\n    return 2 * x", "exercise", exercise="ch90.double"),
        md("## What you should see"), md("## Summary"), md("## References")]
    notebook = v4.new_notebook(cells=cells, metadata=METADATA)
    for n, cell in enumerate((c for c in cells if c.cell_type == "code"), start=1):
        cell.execution_count = n
    return notebook


def drifts(notebook):
    return drift.no_definition_drifts(notebook, KNOWN)


def solutions(notebook):
    return drift.every_solution_is_the_code_of_the_package(notebook, KNOWN_SAMPLE, find)


def orphans(notebook):
    return drift.nothing_is_an_orphan(notebook, KNOWN)


def costs(notebook):
    return style.exercises_say_what_they_cost(notebook, find)


KNOWN_SAMPLE = {"double": [("minidiff/exercises/ch90.py", KNOWN["double"][0][1])]}
RULES = (*style.RULES, *outputs.RULES, drifts, solutions, orphans, costs)
each_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)


@each_rule
def test_a_good_chapter_keeps_the_rule(rule):
    assert list(rule(good())) == []


def replace(n, cell):
    return lambda notebook: notebook.cells.__setitem__(n, cell)


def insert(*cells):
    return lambda notebook: notebook.cells.__setitem__(slice(6, 6), cells)


def drop(n):
    return lambda notebook: notebook.cells.__delitem__(n)


def put_out(kind, **fields):
    return lambda notebook: notebook.cells[6].outputs.append(v4.new_output(kind, **fields))


def printing(text):
    return put_out("stream", name="stdout", text=text)


def ignored(source, then="assert x"):
    return insert(code(source, "nbval-ignore-output"), code(then))


FIGURE = {"image/png": "AAAA"}
BAD = [
    (style.code_is_in_small_cells, insert(code("x\n" * 36)), "100% of the code cells have up to 36 lines"),
    (style.code_is_in_small_cells, insert(*[code("x\n" * 7)] * 9), "50% of the code cells have up to 7 lines"),
    (style.code_is_in_small_cells, insert(code("x\n" * 19)), "90% of the code cells have up to 19 lines"),
    (style.code_is_in_small_cells, insert(code("x" * 80)), "cell 7: a line of 80 characters"),
    (style.code_alternates_with_prose, insert(*[code("x")] * 3), "90% of the runs of code cells have up to"),
    (style.code_alternates_with_prose, lambda nb: nb.cells.append(code("x")), "the last cell is code"),
    (style.prose_is_short, insert(md("word " * 151)), "cell 7: 151 words"),
    (style.prose_is_short, insert(*[md("word " * 46)] * 40), "the median cell of prose has 46 words"),
    (style.nothing_is_decorated, insert(md("<div>red</div>")), "cell 7: <div in prose"),
    (style.nothing_is_decorated, insert(md("![](data:image/png;base64,AA)")), "cell 7: a data blob"),
    (style.set_up_is_the_same_everywhere, drop(2), "the first code cell is not the set-up"),
    (style.set_up_is_the_same_everywhere, replace(2, code(style.SETUP + "\nT = 1", "setup")), "the first code cell is"),
    (style.set_up_is_the_same_everywhere, insert(code("x", "setup")), "there is a second cell"),
    (style.all_parts_are_there, drop(0), "the first cell is not the title"),
    (style.all_parts_are_there, drop(1), "no table"),
    (style.all_parts_are_there, drop(-1), "no part called 'references'"),
    (style.all_parts_are_there, insert(md("## References")), "the parts what you should see, summary"),
    (style.all_parts_are_there, lambda nb: nb.cells.__delitem__(slice(10, 14)), "4 exercises, fewer than 5"),
    (style.quoted_numbers_are_computed, insert(md("It is 2.46.")), "cell 7: 2.46 is in no output"),
    (style.quoted_numbers_are_computed, insert(md("It is 1.5e-3.")), "cell 7: 1.5e-3 is in no output"),
    (outputs.run_in_order_on_python3, lambda nb: nb.cells[4].update(execution_count=None), "the execution counts"),
    (outputs.run_in_order_on_python3, lambda nb: nb.metadata.update(widgets={}), "the metadata of"),
    (outputs.only_text_and_pictures, put_out("stream", name="stderr", text="x"), "cell 7: stderr in its output"),
    (outputs.only_text_and_pictures, put_out("error", ename="ValueError", evalue=""), "cell 7: ValueError in its"),
    (outputs.only_text_and_pictures, put_out("display_data", data={"text/html": "x"}), "cell 7: text/html in its"),
    (outputs.nothing_that_changes, printing("in /home/me/x.json\n"), "cell 7: an absolute path in its output"),
    (outputs.nothing_that_changes, printing("<f at 0x7f0012>\n"), "cell 7: an address in memory in its output"),
    (outputs.nothing_that_changes, printing("UserWarning: x\n"), "cell 7: a warning in its output"),
    (outputs.nothing_that_changes, printing(" 10%|#   | 3.1 it/s\n"), "cell 7: a progress bar"),
    (outputs.at_most_four_digits, printing("0.012345\n"), "cell 7: 0.012345 has more than 4"),
    (outputs.at_most_four_digits, printing("x=12.345e-05\n"), "cell 7: 12.345e-05 has more than 4"),
    (outputs.ignored_cells_have_a_reason_and_a_check, ignored("x = 1"), "code cell 3 is not compared"),
    (outputs.ignored_cells_have_a_reason_and_a_check, ignored("# why\nx", then="x"), "code cell 3 is not"),
    (outputs.ignored_cells_have_a_reason_and_a_check, ignored("# NBVAL_IGNORE_OUTPUT\nx"), "code cell 3 is not"),
    (outputs.ignored_cells_have_a_reason_and_a_check, insert(*[code("# why", "nbval-ignore-output")] * 3), "3 "),
    (outputs.ignored_cells_have_a_reason_and_a_check, insert(code("x", "raises-exception")), "cell 7: it is skipped"),
    (outputs.ignored_cells_have_a_reason_and_a_check, insert(code("# NBVAL_SKIP\nx")), "cell 7: it is skipped"),
    (outputs.every_picture_has_a_number, insert(code("a"), out(code("b"), image=True), code("c")), "code cell 4"),
    (outputs.every_picture_has_a_number, put_out("execute_result", data=FIGURE), "code cell 3: a picture and"),
    (drifts, replace(4, code(PACKAGE_CODE + ".sum()")), "code cell 2: expand_like differs from expand_like"),
    (drifts, replace(4, code(PACKAGE_CODE.replace("(values, x)", "(values, x=1)"))),
     "code cell 2: expand_like differs"),
    (solutions, replace(-4, code("def double(x):\n    return x + x", "exercise", exercise="ch90.double")),
     "ch90.double: the solution is not the code of"),
    (orphans, insert(md("It lives in `minidiff/process/nosuch.py`.")), "prose cites minidiff/process/nosuch.py"),
    (orphans, insert(md("See `minidiff.process.forward.nosuch`.")), "prose cites minidiff.process.forward.nosuch"),
    (orphans, insert(code("def mine(x):\n    pass"), md("`mine` is now in `minidiff/process/forward.py`.")),
     "prose says that mine is in minidiff/process/forward.py"),
    (costs, replace(-5, md("**Exercise** (code, easy, 30 minutes)", "exercise-text")), "cell 22: the text"),
    (costs, replace(-5, md("**Exercise** (code, hard, 3 minutes)", "exercise-text")), "cell 22: the text"),
    (costs, drop(-5), "cell 21: the text before ch90.double does not say easy, 3 minutes"),
]


@pytest.mark.parametrize("rule, spoil, problem", BAD)
def test_a_bad_chapter_is_noticed(rule, spoil, problem):
    notebook = good()
    spoil(notebook)
    assert any(found.startswith(problem) for found in rule(notebook)), list(rule(notebook))


@each_rule
def test_every_rule_was_broken_here(rule):
    assert rule in [broken for broken, _, _ in BAD]


@pytest.mark.parametrize("fine", [
    printing("0.9995 and 60000 images, 1e-05, 1234 of 5\n"),
    printing("loss and/or x/y\n"),
    insert(code("def expand_like(v):\n    pass", "draft")),
    insert(out(code("show(expand_like)"), "beta_1=0.00085123\n"), md("x")),
    insert(md("Half of 0.5 is 2.468 and the rest 2.5, by (90.12).")),
])
def test_what_is_allowed(fine):
    notebook = good()
    fine(notebook)
    for rule in (outputs.at_most_four_digits, outputs.nothing_that_changes, drifts, style.quoted_numbers_are_computed):
        assert list(rule(notebook)) == []


@pytest.mark.parametrize("share, value", [(0.5, 5), (0.9, 9), (1.0, 10), (0.91, 10)])
def test_percentiles(share, value):
    assert percentile(range(1, 11), share) == value and percentile([], share) == 0
