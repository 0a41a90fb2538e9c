"""No test reaches beyond this machine: not in this process, not in a child, not in the kernel of a notebook."""

import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

PUBLIC = ("192.0.2.1", 80)  # RFC 5737: an address for examples, that nobody has


ATTEMPTS = [
    lambda: socket.create_connection(PUBLIC, timeout=1),
    lambda: socket.socket().connect(PUBLIC),
    lambda: socket.socket().connect_ex(PUBLIC),
    lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", PUBLIC),
    lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", 0, PUBLIC),
    lambda: socket.socket(socket.AF_INET6).connect(("2001:db8::1", 80, 0, 0)),
    lambda: socket.getaddrinfo("example.org", 80),
]


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_a_public_address_is_refused(attempt):
    with pytest.raises(ConnectionRefusedError, match="not on this machine"):
        attempt()


def test_a_download_is_refused():
    with pytest.raises(urllib.error.URLError, match="not on this machine"):
        urllib.request.urlopen("http://example.org/file", timeout=1)


def test_a_child_process_is_refused():
    code = f"import socket; socket.create_connection({PUBLIC}, timeout=1)"
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert child.returncode == 1
    assert "ConnectionRefusedError: no network in this process: '192.0.2.1' is not on this machine" in child.stderr


def test_a_kernel_inherits_the_block():
    assert os.environ["PYTHONPATH"].split(os.pathsep)[0].endswith("no_network")


def test_this_machine_is_reached():
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        accepted, _ = server.accept()
        with accepted:
            client.sendall(b"here")
            assert accepted.recv(4) == b"here"
