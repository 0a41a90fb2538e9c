"""The course can be read in order: without the modules of later chapters, chapter k still imports and passes."""

import pytest

from tests.course.tree import CHAPTERS, copy_of_package, modules_until, run_tests

IMPORT_ALL = '''
import importlib

import pytest


@pytest.mark.parametrize("module", {modules})
def test_imports(module):
    importlib.import_module(f"minidiff.{{module}}")
'''


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_chapter_needs_no_later_one(chapter, tmp_path):
    keep = modules_until(chapter)
    folder = copy_of_package(tmp_path, keep, [chapter])
    (folder / "tests" / "test_imports.py").write_text(IMPORT_ALL.format(modules=keep))
    done = run_tests(folder, "tests/test_imports.py", f"tests/ch{chapter}")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]

    used = dict(line.split() for line in (folder / "used.txt").read_text().splitlines())
    assert all(file.startswith(str(folder)) for file in used.values())  # the copy was tested, not the repository
    assert {f"minidiff.{module}" for module in keep} <= used.keys()
    present = {".".join(file.relative_to(folder).with_suffix("").parts) for file in (folder / "minidiff").rglob("*.py")}
    assert {name for name in present if not name.endswith("__init__")} == {f"minidiff.{module}" for module in keep}
