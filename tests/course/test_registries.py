"""The registry of equations and the table of notation notice what is missing."""

import ast

import pytest
from nbformat import v4

from tests.course.rules import registries
from tests.course.sample import md

PROVED = '''
import pytest

@pytest.mark.equation("1.1")
def test_sum():
    assert 1 + 1 == 2

@pytest.mark.slow
@pytest.mark.equation("1.2")
def test_close():
    torch.testing.assert_close(a, b)
'''
TABLE = """\
# Notation

| symbol | code | shape | range | counts from |
|---|---|---|---|---|
| $x_t$ | `x_t` | (B, ...) | real | |
| $\\bar\\alpha_t$ | `alpha_bar[t]` | (T + 1,) | [0, 1] | 0 |
| $|x|$ | norm | () | > 0 | - |

After it.
"""


def proofs(tmp_path, source):
    (tmp_path / "tests" / "ch01").mkdir(parents=True)
    (tmp_path / "tests" / "ch01" / "test_equations.py").write_text(source)
    return registries.proofs(tmp_path)


def test_tags_are_read_from_prose_alone():
    notebook = v4.new_notebook(cells=[md("$$a \\tag{1.1}$$ and $$b\\tag{1.2}$$"), v4.new_code_cell("\\tag{1.3}")])
    assert registries.tags(notebook) == ["1.1", "1.2"]


def test_every_equation_with_a_proof_is_fine(tmp_path):
    assert list(registries.equation_problems({"01": ["1.1", "1.2"]}, proofs(tmp_path, PROVED))) == []


@pytest.mark.parametrize("tagged, source, problem", [
    ({"01": ["1.1", "1.2", "1.3"]}, PROVED, "equation 1.3 has no test"),
    ({"01": ["1.1"]}, PROVED, "a test proves equation 1.2, which no chapter has"),
    ({"01": ["1.1", "1.2", "1.1"]}, PROVED, "two equations have the number 1.1"),
    ({"02": ["1.1"], "01": ["1.2"]}, PROVED, "equation 1.1 stands in chapter 02"),
    ({"01": ["1.1", "1.2"]}, PROVED.replace("assert 1", "1"), "test_sum asserts nothing about equation 1.1"),
    ({"01": ["1.1", "1.2"]}, PROVED.replace("def test_sum", "def sum"), "equation 1.1 has no test"),
])
def test_what_the_registry_notices(tagged, source, problem, tmp_path):
    assert list(registries.equation_problems(tagged, proofs(tmp_path, source))) == [problem]


def test_the_notation_is_parsed_to_the_end_of_its_table():
    assert [row[0] for row in registries.notation(TABLE.replace("$|x|$", r"$\|x\|$"))] == [
        "$x_t$", r"$\bar\alpha_t$", "$∣x∣$"]


def test_a_text_without_the_table_is_an_error():
    with pytest.raises(ValueError, match="no table with the header | symbol | code | shape | range | counts from |"):
        registries.notation(TABLE.replace("counts from", "from"))


@pytest.mark.parametrize("row, problem", [
    (["$x$", "`x_t`", "(B,)", "real", ""], "a row of the notation lacks a cell"),
    (["$x$", "`x_t`", "(B,)"], "a row of the notation lacks a cell"),
    (["$x$", "x_t", "(B,)", "real", "0"], "$x$: no code name in `backticks`"),
    (["$x$", "`x_t`, `nosuch`", "(B,)", "real", "0"], "$x$: the package has no name nosuch"),
    (["$y$", "`x_t`", "(B,)", "real", "0"], "$y$ stands twice in the notation"),
])
def test_what_the_notation_notices(row, problem):
    rows = [["$y$", "`x_t`", "(B,)", "real", "0"], row]
    assert [found[:len(problem)] for found in registries.notation_problems(rows, {"x_t"})] == [problem]


def test_names_of_the_package_are_variables_arguments_and_definitions():
    names = registries.names_in_package()
    assert {"alpha_bar", "q_sample", "betas", "x_t", "generator"} <= names and "nosuch" not in names


def test_a_proof_that_only_raises_counts():
    tree = ast.parse("def test_x():\n    with pytest.raises(ValueError):\n        f()").body[0]
    assert registries.can_fail(tree) and not registries.can_fail(ast.parse("def test_x():\n    f()").body[0])


@pytest.mark.parametrize("row, problem", [
    (["coupling", "pairs", "09", ""], "a row of the glossary lacks a cell"),
    (["coupling", "pairs", "08", "-"], "coupling first comes up in chapter 09, not in 08"),
    (["churn", "noise up", "09", "-"], "churn first comes up in chapter 08, not in 09"),
    (["wave", "nothing", "08", "-"], "wave first comes up in chapter none, not in 08"),
    (["churn", "noise up", "08", "somebody"], "churn: the source somebody has no year"),
])
def test_what_the_glossary_notices(row, problem):
    prose = {"08": "Churn in EDM", "09": "a coupling, and churn again"}
    assert [found[:len(problem)] for found in registries.glossary_problems([row], prose)] == [problem]
    assert list(registries.glossary_problems([["churn", "noise up", "08", "Karras et al. 2022"]], prose)) == []


def test_the_references_of_a_chapter_are_not_its_prose():
    notebook = v4.new_notebook(cells=[md("The *Score* of $v$-prediction."), md("## References\n- Churn 2022")])
    assert registries.prose_of(notebook) == "The Score of v-prediction."
