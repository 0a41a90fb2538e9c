"""The museum of bugs: real mistakes of public code, each put into the package, and each caught by the tests it names.

An entry of tests/museum says in which definition (`where`) of which file which text becomes which other text, and which
tests must then fail; that they pass without the bug, the tests of the chapters say. An entry that fits the package no
longer fails, and says what it looked for.
"""

import ast
import difflib
import re
import tomllib

import pytest

from tests.course.tree import CHAPTERS, ROOT, copy_of_package, modules
from tests.course.warm import run_tests

ENTRIES = {file.stem: tomllib.loads(file.read_text()) for file in sorted((ROOT / "tests" / "museum").glob("*.toml"))}
NOT_A_BUG = ("NameError", "ImportError", "ModuleNotFoundError", "AttributeError", "TypeError")  # but a patch gone stale


def definitions(tree, within=""):
    """{"function" or "Class.method": its node} of a syntax tree."""
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield within + node.name, node
            if isinstance(node, ast.ClassDef):
                yield from definitions(node, f"{within}{node.name}.")


def with_bug(entry, text):
    """The text of the entry's file with the bug in it. Raises ValueError, one sentence, where it does not fit."""
    known = dict(definitions(ast.parse(text)))
    if entry["where"] not in known:
        raise ValueError(f"{entry['file']} defines no {entry['where']}: there are {', '.join(known)}")
    lines, node = text.splitlines(keepends=True), known[entry["where"]]
    before, part, after = ("".join(lines[a:b]) for a, b in (
        (0, node.lineno - 1), (node.lineno - 1, node.end_lineno), (node.end_lineno, None)))
    if (n := part.count(entry["old"])) != 1:
        near = difflib.get_close_matches(entry["old"].strip(), map(str.strip, part.splitlines()), 1, 0)
        raise ValueError(f"{entry['where']} in {entry['file']} has {entry['old']!r} {n} times, not once; the line most "
                         f"like it: {near[0]!r}")
    changed = before + part.replace(entry["old"], entry["new"]) + after
    if ast.dump(ast.parse(changed)) == ast.dump(ast.parse(text)):
        raise ValueError(f"{entry['new']!r} is no change of {entry['where']} in {entry['file']}")
    return changed


def test_the_museum_is_open():
    assert len(ENTRIES) >= 12


@pytest.mark.parametrize("name", ENTRIES)
def test_a_bug_is_caught_by_every_test_that_its_entry_names(name, tmp_path):
    entry = ENTRIES[name]
    chapters = {re.match(r"tests/ch(\d\d)/test_\w+\.py::test_\w+$", test)[1] for test in entry["caught_by"]}
    assert chapters and chapters <= set(CHAPTERS)  # whose tests pass without the bug
    changed = with_bug(entry, (ROOT / entry["file"]).read_text())
    folder = copy_of_package(tmp_path, set(modules()), chapters)
    (folder / entry["file"]).write_text(changed)
    code, output = run_tests(folder, *entry["caught_by"], "--assert=plain", "--tb=line")
    failed = re.findall(r"^FAILED (\S+?)(?:\[.*\])?(?: - (\w+).*)?$", output, re.MULTILINE)
    assert code == 1 and {test for test, _ in failed} == set(entry["caught_by"]), f"{entry['bug']}\n{output}"
    assert {error for _, error in failed} & set(NOT_A_BUG) == set(), f"tests/museum/{name}.toml is stale:\n{output}"
    used = [line.split(maxsplit=1)[1] for line in (folder / "used.txt").read_text().splitlines()]
    assert used and all(file.startswith(str(folder)) for file in used)


FITS = {"file": "a.py", "where": "A.f", "old": "x + 1", "new": "x - 1"}
TEXT = "def f(x):\n    return x + 1\n\n\nclass A:\n    def f(self, x):\n        return x + 1  # not x\n"


def test_a_bug_is_put_into_the_definition_that_is_named():
    assert with_bug(FITS, TEXT) == TEXT.replace("x + 1  #", "x - 1  #")
    assert with_bug(FITS | {"where": "f"}, TEXT) == TEXT.replace("x + 1\n", "x - 1\n")


@pytest.mark.parametrize("change, problem", [
    ({"where": "g"}, "a.py defines no g: there are f, A, A.f"),
    ({"old": "x +  1"}, "A.f in a.py has 'x +  1' 0 times, not once; the line most like it: 'return x + 1  # not x'"),
    ({"old": "x"}, "A.f in a.py has 'x' 3 times, not once; the line most like it"),
    ({"old": "# not x", "new": "# x"}, "'# x' is no change of A.f in a.py"),
])
def test_an_entry_that_no_longer_fits_says_why(change, problem):
    with pytest.raises(ValueError, match=f"^{re.escape(problem)}"):
        with_bug(FITS | change, TEXT)
