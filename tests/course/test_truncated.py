"""The course can be read in order: without the modules of later chapters, chapter k still imports and passes.

This is how `make test` runs the tests of the chapters, and the only time that it does.
"""

import pytest

from tests.course.tree import CHAPTERS, ROOT, copy_of_package, modules_until
from tests.course.warm import run_tests

IMPORT_ALL = '''
import importlib

import pytest


@pytest.mark.parametrize("module", {modules})
def test_imports(module):
    importlib.import_module(f"minidiff.{{module}}")
'''


def test_every_folder_with_tests_of_a_chapter_is_run_here():
    assert sorted(folder.name for folder in (ROOT / "tests").glob("ch[0-9]*")) == [f"ch{c}" for c in CHAPTERS]


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_chapter_passes_its_tests_without_any_later_one(chapter, tmp_path):
    keep = modules_until(chapter)
    folder = copy_of_package(tmp_path, keep, [chapter])
    (folder / "tests" / "test_imports.py").write_text(IMPORT_ALL.format(modules=keep))
    code, output = run_tests(folder, "tests/test_imports.py", f"tests/ch{chapter}", "--durations=5",
                             load=["diffusers.schedulers.scheduling_ddim"])
    assert code == 0, output[-30000:]

    used = dict(line.split(maxsplit=1) for line in (folder / "used.txt").read_text().splitlines())
    assert all(file.startswith(str(folder)) for file in used.values())  # the copy was tested, not the repository
    assert {f"minidiff.{module}" for module in keep} <= used.keys()
    present = {".".join(file.relative_to(folder).with_suffix("").parts) for file in (folder / "minidiff").rglob("*.py")}
    assert {name for name in present if not name.endswith("__init__")} == {f"minidiff.{module}" for module in keep}
