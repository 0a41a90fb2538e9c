"""The museum of bugs: real mistakes of public code, each put into the package, and each caught by the tests it names.

An entry of tests/museum says which text of which file becomes which other text, and which tests must then fail.
"""

import re
import tomllib

import pytest

from tests.course.tree import CHAPTERS, ROOT, copy_of_package, modules
from tests.course.warm import run_in_each

ENTRIES = {file.stem: tomllib.loads(file.read_text()) for file in sorted((ROOT / "tests" / "museum").glob("*.toml"))}


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory):
    """{entry: (exit code, output)} of the tests that each entry names; "as it is" ran all of them without a bug."""
    named = {name: entry["caught_by"] for name, entry in ENTRIES.items()}
    named["as it is"] = sorted({test for tests in named.values() for test in tests})
    folders = {}
    for name, tests in named.items():
        folders[name] = copy_of_package(tmp_path_factory.mktemp("museum"), set(modules()), CHAPTERS)
        (folders[name] / "tests.txt").write_text("\n".join(tests))
        if name in ENTRIES:
            file = folders[name] / ENTRIES[name]["file"]
            file.write_text(file.read_text().replace(ENTRIES[name]["old"], ENTRIES[name]["new"]))
    done = run_in_each(list(folders.values()))
    for folder in folders.values():
        used = [line.split(maxsplit=1)[1] for line in (folder / "used.txt").read_text().splitlines()]
        assert used and all(file.startswith(str(folder)) for file in used)
    return {name: done[folder] for name, folder in folders.items()}


def test_the_museum_is_open():
    assert len(ENTRIES) >= 12


@pytest.mark.parametrize("name", ENTRIES)
def test_the_text_that_a_bug_replaces_stands_in_the_package_once(name):
    assert (ROOT / ENTRIES[name]["file"]).read_text().count(ENTRIES[name]["old"]) == 1


def test_without_a_bug_all_tests_that_the_museum_names_pass(verdicts):
    code, output = verdicts["as it is"]
    assert code == 0, output


@pytest.mark.parametrize("name", ENTRIES)
def test_a_bug_is_caught_by_every_test_that_its_entry_names(name, verdicts):
    code, output = verdicts[name]
    failed = set(re.findall(r"^FAILED (\S+?)(?:\[| |$)", output, re.MULTILINE))
    assert code == 1 and failed == set(ENTRIES[name]["caught_by"]), output
