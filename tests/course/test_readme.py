"""What the README promises exists, and what it claims was measured."""

import json
import re
import shlex
import subprocess
import tomllib
from functools import reduce

import pytest

from minidiff.cli.main import main
from tests.course.tree import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"python -m minidiff ([^`\n]+)", README) + re.findall(r"-m minidiff (train [^`\n]+)", README)
SECTION, RESULTS = README.split("## How good is it?")[1].split("\n\n|", 1)
ROWS = re.findall(r"^\| (.+) \| ([\d.]+)( %)? \| `(\S+\.json)` `(\S+)` \|$", RESULTS, re.M)


def value(record, path):
    """Follow a path such as metrics.frechet.0.distance through dicts and lists."""
    return reduce(lambda place, key: place[int(key) if isinstance(place, list) else key], path.split("."), record)


def test_each_row_of_the_results_names_its_record():
    table = [line for line in RESULTS.splitlines() if line.endswith("|")]
    assert len(ROWS) == len(table) - 2 >= 5  # a heading and a rule come before the rows
    assert not re.search(r"\d\.\d|\d %", SECTION), "figures stand in the table, where they are compared"


@pytest.mark.parametrize("what, shown, percent, file, path", ROWS, ids=[path for *_, path in ROWS])
def test_each_result_is_what_the_record_says(what, shown, percent, file, path):
    found = value(json.loads((ROOT / file).read_text(encoding="utf-8")), path) * (100 if percent else 1)
    assert f"{found:.{len(shown.partition('.')[2])}f}" == shown, what


def test_the_chapters_are_those_of_the_course():
    course = tomllib.loads((ROOT / "course.toml").read_text(encoding="utf-8"))
    wanted = [(number, entry["title"], entry["notebook"]) for number, entry in course.items() if "notebook" in entry]
    assert re.findall(r"^\| (\d\d) \| \[(.+)\]\(chapters/(\w+)\.ipynb\) \| .+ \|$", README, re.M) == wanted


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)#]+)\)", README))
def test_each_link_leads_somewhere(link):
    assert (ROOT / link).is_file()


def test_each_place_exists():
    places = re.findall(r"^\| `(\S+)` \|", README.split("## The repository")[1], re.M)
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    known = listed.stdout.splitlines()
    inside = [file.split("/") for file in known if file.startswith("minidiff/")]
    rooms = {f"minidiff/{parts[1]}/" for parts in inside if len(parts) > 2}
    assert {place for place in places if place.startswith("minidiff/")} == rooms
    assert [place for place in places if not any(file.startswith(place) for file in known)] == []


def test_each_make_command_exists():
    targets = set(re.search(r"^\.PHONY: (.*)", (ROOT / "Makefile").read_text(), re.M)[1].split())
    named = set(re.findall(r"(?:^|`| )make ([.\w-]+)(?=`|$)", README, re.M))
    assert {"demo", "test", "test-all", "lab", "help"} <= named <= targets


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_is_understood(command, monkeypatch):
    """The parser takes its words; what the command does is replaced."""
    words = shlex.split(command)
    ran = []
    for module in ("train", "sample", "edit", "draw", "evaluate", "compare", "start", "data", "doctor", "demo", "port"):
        monkeypatch.setattr(f"minidiff.cli.{module}.run", ran.append)
    assert main(words) == 0
    assert [args.command for args in ran] == words[:1]


def test_the_licences_of_all_pictures_that_are_shipped_are_named():
    names = "MNIST, Noto Emoji, Apache-2.0, Twemoji, CC BY 4.0, Fluent Emoji, MIT, OpenMoji, CC BY-SA 4.0".split(", ")
    assert [name for name in names if name not in README.split("MIT licence.")[1]] == []
