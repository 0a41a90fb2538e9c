"""Which cells an answer needs: found by the names that cells define, read and change, as IPython understands them."""

import pytest

from minidiff.grading import answers, plan
from minidiff.grading.flow import effects, needed

COURSE = {"ch01.snr": ["minidiff.process.forward", "snr"], "ch01.q_sample": ["minidiff.process.forward", "q_sample"]}
STUB = 'def {0}(a):\n    """What it is."""\n    # YOUR CODE HERE\n    raise NotImplementedError("ch01.{0}")'
LESSON = plan.lesson([["import torch", "", "setup"], ["b = 3", "", ""], ["c = b + 1", "", ""],
                      [STUB.format("snr"), "ch01.snr", ""], ['snr = answer("ch01.snr", snr)', "", "check"],
                      [STUB.format("q_sample"), "ch01.q_sample", ""], ["d = snr(c)", "", ""]], COURSE)


@pytest.mark.parametrize("source, binds, reads", [
    ("def f(x):\n    return a * x  # why?", "f", "a"), ("x = !ls", "x", ""), ("%%time\ny = g(1)", "y", "g"),
    ("%%bash\nls", "", ""), ("import a.b as c, d.e", "c d", ""), ("class A(B):\n    k = K\n    j = k", "A", "B K"),
    ("y = [f(i) for i in z]", "y", "f z"), ("x = 1\nx += 1", "x", ""), ("x += 1", "x", "x"),
    ("def f():\n    global n\n    n = m", "f n", "m"), ("f?\n?g", "", ""), ("for i in r:\n    s = i", "i s", "r"),
    ('snr = answer("ch01.snr", snr)', "", "answer"), ('snr = answer("ch01.snr", mine)', "snr", "answer mine"),
    ("from math import *", None, ""), ("while True:\n    pass\nlate = 1", "late", "")])
def test_what_a_cell_defines_and_reads(source, binds, reads):
    found = effects(source)
    assert not found.problem and found.reads - {"range"} == set(reads.split())
    assert {"sqrt", "pi"} <= found.binds if binds is None else found.binds == set(binds.split())


@pytest.mark.parametrize("source, says", [
    ("def f(:", "invalid syntax in line 1 of the cell"), ("return 3", "'return' outside function in line 1"),
    ("<<<<<<< HEAD", "in line 1 of the cell"), ("x = (1", "in line 1 of the cell")])
def test_why_a_cell_is_no_python(source, says):
    assert says in effects(source).problem


@pytest.mark.parametrize("sources, at, numbers", [
    (["a = 1", "b = 2", "def f():\n    return a"], 2, [0, 2]),
    (["a = []", "a.append(1)", "b.append(2)", "a[0] = 3", "def f():\n    return a"], 4, [0, 1, 3, 4]),
    (["a = 1", "a = 2", "def f():\n    return a"], 2, [1, 2]),
    (["def f():\n    return g()", "x = 1", "def g():\n    return h", "h = x"], 0, [0, 1, 2, 3]),
    (["import t", "t.T.m = 1", "t.plot(1)", "x = t.load()", "def f():\n    return t"], 4, [0, 1, 2, 4]),
    (["def f():\n    return f", "def f():\n    return f()"], 1, [1])])
def test_which_cells_an_answer_needs(sources, at, numbers):
    assert needed([effects(source) for source in sources], at) == numbers


def read(*sources, exercise=""):
    """What a notebook of some code cells answers; the last one has the metadata of the exercise."""
    cells = [answers.Cell("code", source) for source in sources[:-1]] + [answers.Cell("code", sources[-1], exercise)]
    return plan.reading(cells, LESSON, [])


def sources_that_run(told, id="ch01.snr", run=0):
    return [told["cells"][i] for i in told["answers"][id]["runs"][run]]


def test_the_chapter_stands_in_for_what_a_student_deleted():
    told = read("def snr(a):\n    return c", exercise="ch01.snr")
    assert sources_that_run(told) == ["b = 3", "c = b + 1", "def snr(a):\n    return c"]


def test_what_a_student_defines_counts_more_than_the_chapter():
    told = read("def snr(a):\n    return c", "c = 7", exercise="")
    assert sources_that_run(told) == ["def snr(a):\n    return c", "c = 7"]


def test_for_other_answers_stands_the_course_s_own():
    told = read("def q_sample(a):\n    return 1 / 0", "def snr(a):\n    return q_sample(a)", exercise="ch01.snr")
    assert sources_that_run(told) == ["from minidiff.process.forward import q_sample", told["cells"][-2]]


def test_a_helper_of_that_name_below_its_answer_is_the_student_s():
    cells = [answers.Cell("code", "def q_sample(a):\n    return 1 / 0", "ch01.q_sample"),
             answers.Cell("code", "q_sample = len"), answers.Cell("code", "def snr(a):\n    return q_sample(a)")]
    assert sources_that_run(plan.reading(cells, LESSON, [])) == ["q_sample = len", cells[-1].source]


def test_all_cells_above_run_where_those_that_are_needed_do_not_do():
    told = read("import torch", "x = 1", "def snr(a):\n    return 1", "y = 1")
    assert [len(run) for run in told["answers"]["ch01.snr"]["runs"]] == [1, 2]  # the set-up cell has run


@pytest.mark.parametrize("sources, state", [
    ([STUB.format("snr")], "not started"), ([STUB.format("snr").replace("# YOUR CODE HERE", "# mine?")], "not started"),
    (["x = 1"], "missing"), (["def snr(a:"], "broken"), (["snr = 1", STUB.format("snr")], "found"),
    ([STUB.format("snr"), "from minidiff.process.forward import snr"], "found"),
    (["%%time\ndef snr(a):\n    return a"], "found")])
def test_what_a_notebook_says_about_an_exercise(sources, state):
    assert read(*sources)["answers"]["ch01.snr"]["state"] == state


def test_of_several_answers_the_one_in_its_own_cell_counts():
    told = read("def snr(a):\n    return 1", "from minidiff.process.forward import snr",
                '# raise NotImplementedError("ch01.snr")\ndef snr(a):\n    return 2', exercise="ch01.snr")
    assert sources_that_run(told)[-1].endswith("return 2")


def test_answers_that_differ_in_names_alone_have_one_digest():
    one, other = (answers.digest(f"def f({x}):\n    '''{x}'''\n    return {x}  # {x}") for x in "ab")
    assert one == other != answers.digest("def f(a):\n    return -a") and answers.digest("def f(") == ""
