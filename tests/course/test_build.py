"""The builder: what it derives, that a rebuild changes nothing, and that a broken rule is one clear line."""

import os
import shutil

import nbformat
import pytest

from minidiff.grading import build
from minidiff.grading.__main__ import main
from minidiff.grading.build import chapter_file, outdated, orphans, pair, read, solution_files
from minidiff.grading.notebook import METADATA, BuildError
from tests.course import sample
from tests.course.sample import code, md

NAME = "90_sample.ipynb"


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """The sample course, built once; tests copy it."""
    root = tmp_path_factory.mktemp("built")
    build.build(sample.course(root))
    return root


@pytest.fixture
def root(built, tmp_path):
    shutil.copytree(built, tmp_path, dirs_exist_ok=True)
    return tmp_path


def source_of(file, tag):
    return next(cell.source for cell in read(file).cells if tag in cell.metadata.get("tags", []))


def text_of(cell):
    return "".join(output.get("text", "") for output in cell.get("outputs", []))


def edit(file, change):
    """Apply a change to the cells of a notebook file."""
    notebook = read(file)
    change(notebook.cells)
    nbformat.write(notebook, file)


def test_the_learner_gets_a_stub_and_an_empty_answer(root):
    chapter = root / "chapters" / NAME
    assert source_of(chapter, "exercise") == ('def double(x):\n    """Twice x."""\n    # YOUR CODE HERE\n'
                                              '    raise NotImplementedError("ch90.double")')
    assert source_of(chapter, "manual") == "*Write your answer here.*"
    assert "the_same_again" not in chapter.read_text() and "covariance" not in chapter.read_text()
    assert "the_same_again" in (root / "solutions" / NAME).read_text()


def test_both_are_executed_and_say_how_the_exercise_stands(root):
    said = {folder: [text_of(c) for c in read(root / folder / NAME).cells if "check" in c.metadata.get("tags", [])]
            for folder in ("solutions", "chapters")}
    assert said == {"solutions": ["ch90.double: all 2 checks pass\n"],
                    "chapters": ["ch90.double: not started yet\n"
                                 "  (the rest of this chapter uses minidiff's own double)\n"]}


def test_outputs_hold_nothing_that_varies(root):
    for folder in ("solutions", "chapters"):
        notebook = read(root / folder / NAME)
        assert notebook.metadata == METADATA
        cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
        assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
        assert all(set(cell.metadata) <= {"tags", "minidiff", "nbgrader"} for cell in notebook.cells)
        outputs = [output for cell in cells for output in cell.outputs]
        assert all(not output.get("metadata") and output.output_type != "error" for output in outputs)
        assert any("image/png" in output.get("data", {}) for output in outputs)


def test_nbgrader_finds_its_schema(root):
    chapter = read(root / "chapters" / NAME)
    found = {cell.metadata.nbgrader.grade_id: cell.metadata.nbgrader for cell in chapter.cells
             if "nbgrader" in cell.metadata}
    base = {"schema_version": 3, "task": False}
    assert found == {
        "ch90-double": base | {"solution": True, "grade": False, "locked": False, "grade_id": "ch90-double"},
        "ch90-double-check": base | {"solution": False, "grade": True, "locked": True, "points": 2,
                                     "grade_id": "ch90-double-check"},
        "ch90-variances": base | {"solution": True, "grade": True, "locked": False, "points": 2,
                                  "grade_id": "ch90-variances"}}


def test_a_rebuild_changes_no_byte(root):
    before = {folder: (root / folder / NAME).read_bytes() for folder in ("solutions", "chapters")}
    build.build(root / "solutions" / NAME)
    assert before == {folder: (root / folder / NAME).read_bytes() for folder in before}
    assert sorted(f.name for f in root.rglob("*") if f.is_file()) == [NAME, NAME]


def test_a_fresh_build_passes_its_check(root, capsys):
    assert outdated(solution_files(root)) == [] and orphans(root) == []
    assert check_status(root) == 0
    assert capsys.readouterr().out == "all sources are up to date\n"


def check_status(root):
    return build.command(type("Args", (), {"numbers": [], "check": True}), root)


def test_cells_without_ids_get_theirs_and_empty_cells_go(tmp_path):
    file = sample.course(tmp_path, [*sample.cells(), md("  "), code("")])
    solution, chapter = pair(file)
    ids = [cell.id for cell in solution.cells]
    assert len(set(ids)) == len(ids) == len(sample.cells()) and ids == [cell.id for cell in chapter.cells]
    assert outdated([file]) == [(file, "not in the form that a build gives it"), (chapter_file(file), "missing")]


def change_prose(cells):
    cells[4].source += " And more."


def change_code(cells):
    cells[3].source = cells[3].source.replace("range(1, 5)", "range(1, 6)")


def change_metadata(cells):
    cells[8].metadata.nbgrader.points = 7


def drop_a_cell(cells):
    del cells[-1]


@pytest.mark.parametrize("change", [change_prose, change_code, change_metadata, drop_a_cell])
def test_check_names_a_chapter_that_was_edited(change, root, capsys):
    edit(root / "chapters" / NAME, change)
    assert check_status(root) == 1
    out = capsys.readouterr().out
    assert out.startswith(f"chapters/{NAME}: differs from what solutions/{NAME} gives\n") and "solutions/" in out


def test_check_names_both_after_an_edit_of_the_source(root, capsys):
    edit(root / "solutions" / NAME, change_prose)
    assert check_status(root) == 1
    out = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in out[:-1]] == [f"solutions/{NAME}", f"chapters/{NAME}"]


def test_check_names_a_chapter_without_source(root, capsys):
    shutil.copy(root / "chapters" / NAME, root / "chapters" / "91_lost.ipynb")
    assert check_status(root) == 1
    assert "chapters/91_lost.ipynb: has no source in solutions/" in capsys.readouterr().out


@pytest.mark.parametrize("n", range(len(sample.CHECKING.splitlines())))
def test_deleting_a_line_of_a_checking_cell_is_noticed(n, root):
    def delete(cells):
        lines = cells[3].source.splitlines()
        cells[3].source = "\n".join(lines[:n] + lines[n + 1:])
    edit(root / "chapters" / NAME, delete)
    assert [file.parent.name for file, _ in outdated(solution_files(root))] == ["chapters"]


def exercise(body, *tags):
    return [code(f"def double(x):\n{body}", *(tags or ("exercise",)), exercise="ch90.double"),
            code('double = answer("ch90.double", double)', "check")]


SOLVED = "    # BEGIN SOLUTION\n    return x + x\n    # END SOLUTION"
UNREGISTERED = [code(f"def nosuch(x):\n{SOLVED}", "exercise", exercise="ch90.nosuch"),
                code('nosuch = answer("ch90.nosuch", nosuch)', "check")]


@pytest.mark.parametrize("cells, problem", [
    (exercise("    # BEGIN SOLUTION\n    return x"), "cell 1: '# BEGIN SOLUTION' without '# END SOLUTION'"),
    (exercise("    return x\n    # END SOLUTION"), "cell 1: '# END SOLUTION' without '# BEGIN SOLUTION'"),
    (exercise("    # BEGIN SOLUTION\n" + SOLVED), "cell 1: unexpected '# BEGIN SOLUTION': a second one before"),
    (exercise("    return x"), "cell 1: ch90.double has no '# BEGIN SOLUTION'"),
    ([code(SOLVED)], "cell 1: unexpected '# BEGIN SOLUTION': the cell has no tag 'exercise'"),
    (exercise("    pass\n# BEGIN SOLUTION\nx = 1\n# END SOLUTION"), "cell 1: '# BEGIN SOLUTION' must stand inside"),
    (exercise("    # BEGIN SOLUTION\n    return (\n    # END SOLUTION"), "cell 1: '(' was never closed in line 3"),
    (UNREGISTERED, "cell 1: the exercise ch90.nosuch has no registered checks"),
    (exercise(SOLVED)[:1], "the exercise ch90.double has no check cell"),
    (exercise(SOLVED)[1:], "cell 1: a check cell of an exercise before it"),
    (exercise(SOLVED)[:1] + UNREGISTERED[:1], "cell 2: the exercise ch90.double before it has no check cell"),
    (exercise(SOLVED)[:1] + [code('double = answer("ch90.x", double)', "check")], "cell 2: a check cell of an"),
    (exercise(SOLVED)[:1] + [code('d = answer("ch90.double", double)', "check")], "cell 2: a check cell of an"),
    (exercise(SOLVED) + exercise(SOLVED), "cell 3: a second exercise ch90.double"),
    ([code(f"def double(x):\n{SOLVED}", "exercise")], "cell 1: the tag 'exercise' or 'manual' and the metadata"),
    ([code(f"def double(x):\n{SOLVED}", exercise="ch90.double")], "cell 1: the tag 'exercise' or 'manual' and the"),
    (exercise(SOLVED, "exercise", "manual"), "cell 1: the tags exercise and manual exclude each other"),
    ([code(f"def q(x):\n{SOLVED}", "exercise", exercise="ch01.q")], "cell 1: the exercise 'ch01.q' must be called"),
    ([code(f"def twice(x):\n{SOLVED}", "exercise", exercise="ch90.double")], "cell 1: the exercise ch90.double must "
     "define double"),
    ([code(f"def double(x):\n{SOLVED}", "exercise", exercise="ch90.double", points=5)],
     "cell 1: ch90.double has 5 points here and 2 in its checks"),
    ([md("Because.", "manual", exercise="ch90.why")], "cell 1: a written answer stands in a markdown cell and has"),
    (exercise("    # BEGIN SOLUTION\n    return x + x + 0 * x.sum()\n    # END SOLUTION")
     + [code("def again(x):\n    return x + x + 0 * x.sum()")], "cell 3: a line of a solution is left in the chapter"),
    ([md("The SOLUTION is here.")], "cell 1: a line of a solution is left in the chapter: 'SOLUTION'"),
])
def test_a_broken_rule_is_one_line(cells, problem, tmp_path):
    with pytest.raises(BuildError) as error:
        pair(sample.course(tmp_path, cells))
    assert str(error.value).startswith(f"solutions/{NAME}, {problem}") and "\n" not in str(error.value)


def test_a_wrong_solution_stops_the_build_and_writes_nothing(tmp_path):
    file = sample.course(tmp_path, [code(sample.SETUP), *exercise(SOLVED.replace("x + x", "3 * x"))])
    before = file.read_bytes()
    with pytest.raises(BuildError, match=f"^solutions/{NAME}, cell 3: Missed: ch90.double: 1 of 2 checks pass"):
        build.build(file)
    assert file.read_bytes() == before and not chapter_file(file).exists()


def test_an_error_without_a_message_is_named_with_its_exercise(tmp_path):
    broken = code(SOLVED.join(("def double(x):\n", "\nraise NotImplementedError")), "exercise", exercise="ch90.double")
    file = sample.course(tmp_path, [code(sample.SETUP), broken, exercise(SOLVED)[1]])
    with pytest.raises(BuildError, match=rf"^solutions/{NAME}, cell 2: ch90\.double: NotImplementedError$"):
        build.build(file)


def test_kernels_have_no_network_and_start_in_the_folder_of_the_notebook(tmp_path):
    file = sample.course(tmp_path, [code("import os\nassert os.getcwd().endswith('solutions')"), code(
        "import socket\nsocket.create_connection(('192.0.2.1', 80), timeout=1)")])
    with pytest.raises(BuildError, match="cell 2: ConnectionRefusedError: no network in this process"):
        build.build(file)


@pytest.mark.parametrize("text", ["", "{}", "no json", '{"cells": 3, "nbformat": 4, "nbformat_minor": 5}'])
def test_a_file_that_is_no_notebook_is_one_line(text, tmp_path):
    file = sample.course(tmp_path)
    file.write_text(text)
    with pytest.raises(BuildError, match=rf"^solutions/{NAME}: not a readable notebook \(\w+\)$"):
        pair(file)


def test_the_command_line_says_what_it_does_not_know(capsys):
    assert main(["build", "99"]) == 2
    assert capsys.readouterr().err.startswith("minidiff.grading: no chapter 99 in solutions/; there are: ")


def test_a_write_that_fails_leaves_the_old_file(root, monkeypatch):
    file = root / "chapters" / NAME
    before = file.read_bytes()
    monkeypatch.setattr(os, "replace", lambda *args: (_ for _ in ()).throw(OSError("disk")))
    with pytest.raises(OSError, match="disk"):
        build.write(read(file), file)
    assert file.read_bytes() == before and len(list(file.parent.iterdir())) == 1
