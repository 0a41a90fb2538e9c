"""`start` copies a chapter and destroys nothing; `data` lists, downloads and verifies."""

import gzip
import hashlib
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from minidiff.cli import start as start_module
from minidiff.cli.main import main
from minidiff.cli.start import start
from minidiff.data import registry

ROOT = Path(__file__).resolve().parents[2]
CONTENT = b"four lines of data\n" * 4


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A course of two chapters."""
    (tmp_path / "chapters").mkdir()
    (tmp_path / "chapters" / "01_first.ipynb").write_bytes(b'{"cells": []}')
    (tmp_path / "chapters" / "04_fourth.ipynb").write_bytes(b'{"cells": [4]}')
    monkeypatch.setattr(start_module, "ROOT", tmp_path)
    return tmp_path


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """A registry of one data set, served by this machine; returns the folder that is served."""
    served = tmp_path / "served"
    served.mkdir()
    (served / "a.gz").write_bytes(gzip.compress(CONTENT))

    class Quiet(SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=served)

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "registry.toml").write_text(
        '[letters]\ntitle = "Letters"\nlicence = "CC0"\nsource = "us"\nof = "content"\n'
        f'mirrors = ["http://127.0.0.1:{server.server_port}/"]\n[letters.files]\n'
        f'"a.gz" = {{ bytes = {len(gzip.compress(CONTENT))}, sha256 = "{hashlib.sha256(CONTENT).hexdigest()}" }}\n')
    monkeypatch.setattr(registry, "HERE", tmp_path / "datasets")
    monkeypatch.delenv("MINIDIFF_DATA", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    yield served
    server.shutdown()
    server.server_close()


def said(capsys, *arguments):
    """What a wrong call prints, after checking that it is one line and exit status 2."""
    capsys.readouterr()
    assert main(list(arguments)) == 2
    shown = capsys.readouterr()
    assert shown.out == "" and len(shown.err.splitlines()) == 1
    return shown.err


@pytest.mark.parametrize("number", ["04", "4"])
def test_start_copies_the_chapter(course, number, capsys):
    assert main(["start", number]) == 0
    assert (course / "work" / "04_fourth.ipynb").read_bytes() == b'{"cells": [4]}'
    assert "work/04_fourth.ipynb is yours" in capsys.readouterr().out


def test_start_never_overwrites(course, capsys):
    start("01", course, course / "work")
    (course / "work" / "01_first.ipynb").write_bytes(b"my answers")
    assert "is there already" in said(capsys, "start", "01")
    assert (course / "work" / "01_first.ipynb").read_bytes() == b"my answers"
    start("04", course, course / "work")
    assert {file.name for file in (course / "work").iterdir()} == {"01_first.ipynb", "04_fourth.ipynb"}


def test_start_does_not_follow_a_link_over_a_file(course, capsys):
    (course / "work").mkdir()
    (course / "work" / "01_first.ipynb").symlink_to(course / "elsewhere")
    said(capsys, "start", "01")
    assert not (course / "elsewhere").exists()


@pytest.mark.parametrize("number", ["07", "../01", "first", ""])
def test_start_of_an_unknown_chapter_names_those_that_are_there(course, number, capsys):
    assert "there are 01, 04" in said(capsys, "start", number)
    assert not (course / "work").exists()


def test_start_where_nothing_can_be_written(course, capsys):
    (course / "work").write_text("a file in the way")
    assert "work" in said(capsys, "start", "01")


def test_a_copy_that_fails_half_way_leaves_nothing(course, monkeypatch, capsys):
    class Full:
        def __init__(self, path, mode):
            self.file = open(path, mode)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.file.close()

        def write(self, content):
            self.file.write(content[:3])
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(start_module, "open", Full, raising=False)
    assert "No space left" in said(capsys, "start", "01")
    assert list((course / "work").iterdir()) == []


def test_git_ignores_the_learners_work():
    assert "work/" in (ROOT / ".gitignore").read_text().splitlines()


def test_data_list_says_what_is_here(mirror, tmp_path, capsys):
    main(["data", "list"])
    *ours, letters = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in ours] == ["strokes", "shapes", "emoji", "openmoji"]
    assert letters.endswith("0.0 MB, CC0; 0 of 1 files here")
    main(["data", "get", "letters"])
    capsys.readouterr()
    main(["data", "list"])
    assert capsys.readouterr().out.splitlines()[-1].endswith("CC0; here")


def test_data_get_downloads_then_verify_is_content(mirror, tmp_path, capsys):
    assert main(["data", "get", "letters"]) == 0
    path = tmp_path / "datasets" / "letters" / "a.gz"
    assert capsys.readouterr().out == f"{path}\n" and gzip.decompress(path.read_bytes()) == CONTENT
    assert main(["data", "verify"]) == 0
    assert capsys.readouterr().out == "letters/a.gz: ok\n"


def test_data_verify_names_what_is_absent_and_fails_on_what_is_damaged(mirror, tmp_path, capsys):
    assert main(["data", "verify"]) == 0
    assert capsys.readouterr().out == "letters/a.gz: not on this machine\n"
    path = tmp_path / "datasets" / "letters" / "a.gz"
    path.parent.mkdir()
    path.write_bytes(gzip.compress(CONTENT + b"!"))
    assert f"{path} is damaged" in said(capsys, "data", "verify")
    assert f"{path} is damaged" in said(capsys, "data", "get", "letters")


def test_data_get_of_what_no_mirror_has(mirror, capsys):
    (mirror / "a.gz").unlink()
    assert "a.gz could not be downloaded" in said(capsys, "data", "get", "letters")


@pytest.mark.parametrize("name, word", [("nosuch", "which has letters"), ("strokes", "needs no download"),
                                        ("emoji", "needs no download")])
def test_data_get_of_an_unknown_name(mirror, name, word, capsys):
    assert word in said(capsys, "data", "get", name)
