"""The answers in solutions/ pass their checks: imports, answers and check cells alone, in a fresh process each.

Everything else in solutions/ is equal to chapters/, where nbval runs every cell.
"""

import ast
import json

import pytest

from minidiff.exercises.core import find
from minidiff.grading.build import ROOT, read
from tests.course import sample, warm
from tests.course.rules import code_cells, has_tag, printed

NAMES = sorted(file.name for file in (ROOT / "solutions").glob("*.ipynb"))
RUN = """
import contextlib, io, json, sys
names, texts = {{"__name__": "__main__"}}, []
for source in {sources!r}:
    with contextlib.redirect_stdout(io.StringIO()) as text:
        exec(source, names)
    texts.append(text.getvalue())
json.dump(texts, sys.stdout)
"""


def answers_and_checks(notebook):
    """[(cell or None, source)]: every import of the notebook, the set-up cell, the answers and their check cells."""
    statements = (node for cell in code_cells(notebook) if not has_tag(cell, "setup")
                  for node in ast.parse(cell.source).body if isinstance(node, (ast.Import, ast.ImportFrom)))
    kept = [(cell, cell.source) for cell in code_cells(notebook)
            if any(has_tag(cell, tag) for tag in ("setup", "exercise", "check"))]
    return [(None, ast.unparse(statement)) for statement in statements] + kept


def run(notebook):
    """{exercise: (text stored in the notebook, text printed now)} for every check cell."""
    parts = answers_and_checks(notebook)
    code, said = warm.run(ROOT, RUN.format(sources=[source for _, source in parts]))
    assert code == 0, said[-2000:]
    checks = ((cell, text) for (cell, _), text in zip(parts, json.loads(said.splitlines()[-1]))
              if cell is not None and has_tag(cell, "check"))
    return {cell.source.split('"')[1]: (printed(cell), text) for cell, text in checks}


@pytest.mark.parametrize("name", NAMES)
def test_every_answer_passes_its_checks(name):
    found = run(read(ROOT / "solutions" / name))
    passing = {id: f"{id}: all {len(find(id).cases) + 1} checks pass\n" for id in found}
    assert found and found == {id: (text, text) for id, text in passing.items()}


def test_a_wrong_answer_would_be_noticed(tmp_path):
    cells = sample.cells()
    cells[7].source = cells[7].source.replace("the_same_again = x", "the_same_again = 2 * x")
    stored, now = run(read(sample.course(tmp_path, cells)))["ch90.double"]
    assert stored == "" and now.startswith("ch90.double: 1 of 2 checks pass\n  MISS doubles\n")
