"""nbval is strict: it notices a changed number, a missing line, text on stderr, and a cell that takes too long."""

import re
import subprocess
import sys

import nbformat
import pytest

from minidiff.grading.build import ROOT, build, read
from tests.course import sample
from tests.course.sample import code, md

CHECKING = """\
walked = 0
for t in range(1, 5):
    walked = walked + t / 4
print(f"walked: {walked:.3f}")
print(f"jump: {sum(range(5)) / 4:.3f}")"""
CHANGES = {
    "same": CHECKING,
    "number": CHECKING.replace("t / 4", "t / 5"),
    "line_less": CHECKING.replace("    walked = walked + t / 4", "    pass"),
    "print_less": CHECKING.rpartition("\n")[0],
    "warning": f"import warnings\nwarnings.warn('loud')\n{CHECKING}",
    "slow": f"import time\ntime.sleep(30)\n{CHECKING}",
}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """{change: (passed, what nbval said)} of one run over a chapter and its changed copies."""
    root = tmp_path_factory.mktemp("nbval")
    build(sample.course(root, [md("# Walk"), code(CHECKING), md("It agrees.")]))
    chapter = root / "chapters" / "90_sample.ipynb"
    for name, source in CHANGES.items():
        notebook = read(chapter)
        notebook.cells[1].source = source
        nbformat.write(notebook, root / "chapters" / f"{name}.ipynb")
    command = [sys.executable, "-m", "pytest", "--nbval", "--nbval-cell-timeout", "5", "-p", "no:cacheprovider",
               "-rA", "--color=no", *(str(chapter.with_name(f"{name}.ipynb")) for name in CHANGES)]
    text = subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout
    said = re.split(r"^_+ \S*?(\w+)\.ipynb::Cell 0 _+$", text, flags=re.MULTILINE)
    sections = dict(zip(said[1::2], said[2::2]))
    return {name: (re.search(rf"^PASSED \S*{name}\.ipynb", text, re.MULTILINE) is not None, sections.get(name, ""))
            for name in CHANGES}


def test_a_chapter_as_built_passes(outcomes):
    assert outcomes["same"][0]


@pytest.mark.parametrize("change, problem", [
    ("number", "walked: 2.000"),
    ("line_less", "walked: 0.000"),
    ("print_less", "Cell outputs differ"),
    ("warning", "Unexpected output fields from running code: {'stderr'}"),
    ("slow", "Timeout of 5 seconds exceeded"),
])
def test_a_changed_cell_fails(change, problem, outcomes):
    passed, said = outcomes[change]
    assert not passed and problem in said, said
