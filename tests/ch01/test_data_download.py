"""Downloads against a local server that behaves well, badly, or not at all."""

import gzip
import hashlib
import random
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest

from minidiff.data import download as module
from minidiff.data.download import download
from minidiff.data.errors import DataError
from minidiff.data.registry import File, problem

CONTENT = random.Random(0).randbytes(200_000)
WHOLE = gzip.compress(CONTENT, mtime=0)
FILE = File("digits.gz", len(WHOLE), "sha256", hashlib.sha256(CONTENT).hexdigest(), "content")
BODIES = {"short": WHOLE[:-500], "altered": WHOLE[:1000] + b"!" + WHOLE[1001:], "endless": WHOLE * 3}
REASONS = {"missing": "404", "breaks": "broke off after", "hang": "timed out", "stalls": "timed out",
           "endless": "twice", "short": "damaged", "altered": "damaged"}


class Handler(BaseHTTPRequestHandler):
    """/good, /short (a file cut off at the server), /altered, /missing, /hang, /breaks (half, then closed),
    /stalls (half, then silence), /endless (far too long), /no-range (ignores what was asked for)."""

    def do_GET(self):
        how, start = self.path.split("/")[1], self.headers.get("Range")
        self.server.seen.append((how, start))
        if how == "missing":
            return self.send_error(404)
        if how == "hang":
            self.server.stop.wait(10)
            return None
        body = BODIES.get(how, WHOLE)
        first = int(re.fullmatch(r"bytes=(\d+)-", start)[1]) if start and how != "no-range" else 0
        if first and first >= len(body):
            return self.send_error(416)
        self.send_response(206 if first else 200)
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(body) - 1}/{len(body)}")
        self.send_header("Content-Length", str(len(body) - first))
        self.end_headers()
        self.wfile.write(body[first:len(body) // 2] if how in ("breaks", "stalls") else body[first:])
        if how == "stalls":
            self.server.stop.wait(10)
        return None

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        http.seen, http.stop = [], threading.Event()
        threading.Thread(target=http.serve_forever, args=(0.01,)).start()
        base = f"http://127.0.0.1:{http.server_port}"
        yield SimpleNamespace(seen=http.seen, mirrors=lambda *hows: [f"{base}/{how}/" for how in hows])
        http.stop.set()
        http.shutdown()


def test_good_file_arrives_under_its_name_alone(server, tmp_path):
    path = download(FILE, server.mirrors("good"), tmp_path / "new")
    assert path.read_bytes() == WHOLE
    assert [p.name for p in path.parent.iterdir()] == ["digits.gz"]


@pytest.mark.parametrize("how", REASONS)
def test_bad_mirror_alone_is_an_error_and_leaves_no_file_of_that_name(server, tmp_path, how):
    with pytest.raises(DataError, match=REASONS[how]) as error:
        download(FILE, server.mirrors(how), tmp_path, timeout=0.3)
    assert "digits.gz" in str(error.value) and "\n" not in str(error.value)
    assert not (tmp_path / "digits.gz").exists()


@pytest.mark.parametrize("how", [*REASONS, "no-range"])
def test_next_mirror_makes_good_what_the_first_did(server, tmp_path, how):
    path = download(FILE, server.mirrors(how, "good"), tmp_path, timeout=0.3)
    assert path.read_bytes() == WHOLE
    assert [p.name for p in tmp_path.iterdir()] == ["digits.gz"]


@pytest.mark.parametrize("have", [1, 70_000, len(WHOLE) - 1])
def test_partial_download_goes_on_where_it_stopped(server, tmp_path, have):
    (tmp_path / "digits.gz.part").write_bytes(WHOLE[:have])
    assert download(FILE, server.mirrors("good"), tmp_path).read_bytes() == WHOLE
    assert server.seen == [("good", f"bytes={have}-")]


def test_connection_that_breaks_off_is_resumed_by_the_next_call(server, tmp_path):
    with pytest.raises(DataError, match="broke off"):
        download(FILE, server.mirrors("breaks"), tmp_path)
    assert download(FILE, server.mirrors("good"), tmp_path).read_bytes() == WHOLE
    assert server.seen[1] == ("good", f"bytes={len(WHOLE) // 2}-")


@pytest.mark.parametrize("before", [b"?" * 500, WHOLE + b"?" * 500, WHOLE])
@pytest.mark.parametrize("how", ["good", "no-range"])
def test_partial_file_of_other_bytes_is_not_believed(server, tmp_path, before, how):
    (tmp_path / "digits.gz.part").write_bytes(before)
    path = download(FILE, server.mirrors(how), tmp_path)
    assert path.read_bytes() == WHOLE
    assert problem(path, FILE) is None


def test_two_processes_at_once_download_once(server, tmp_path):
    code = f"""if True:
        import sys
        from minidiff.data.download import download
        from minidiff.data.registry import File
        download({FILE!r}, {server.mirrors("good")!r}, sys.argv[1])"""
    both = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) for _ in range(2)]
    assert [process.wait(60) for process in both] == [0, 0]
    assert [p.name for p in tmp_path.iterdir()] == ["digits.gz"]
    assert (tmp_path / "digits.gz").read_bytes() == WHOLE
    assert len(server.seen) == 1


def test_full_disk_is_said_before_the_download(server, tmp_path, monkeypatch):
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    with pytest.raises(DataError, match=r"no room for .*digits.gz: it needs 0\.2 MB, the disk has 0\.0 MB"):
        download(FILE, server.mirrors("good"), tmp_path)
    assert server.seen == []


def test_disk_that_fills_up_on_the_way_is_said(server, tmp_path, monkeypatch):
    def full(url, part, file, timeout):
        raise OSError(28, "No space left on device")
    monkeypatch.setattr(module, "_receive", full)
    with pytest.raises(DataError, match="cannot be written: No space left on device"):
        download(FILE, server.mirrors("good"), tmp_path)


def test_folder_that_is_a_file_is_said(server, tmp_path):
    (tmp_path / "folder").write_text("a file")
    with pytest.raises(DataError, match="folder.*cannot be written"):
        download(FILE, server.mirrors("good"), tmp_path / "folder")
