"""With this folder in PYTHONPATH, Python runs without a network: only this machine itself can be reached.

Python imports `sitecustomize` at start, so that the kernels of notebooks and all other child processes are held too.
"""

import ipaddress
import socket


def is_here(address):
    """True for an address of this machine: a local socket (no tuple), localhost, 127.0.0.1, ::1."""
    if not isinstance(address, tuple) or address[0] in ("", "localhost", None):
        return True
    try:
        return ipaddress.ip_address(address[0]).is_loopback
    except ValueError:
        return address[0] == socket.gethostname()


def refuse(address):
    """Raise ConnectionRefusedError for an address beyond this machine."""
    if not is_here(address):
        raise ConnectionRefusedError(f"no network in this process: {address[0]!r} is not on this machine")


def block():
    """Replace whatever opens a connection, sends to an address or asks for a name, once."""
    if getattr(socket.socket, "held", False):
        return
    plain, look_up = {name: getattr(socket.socket, name) for name in ("connect", "connect_ex", "sendto")}, \
        socket.getaddrinfo

    def held(name):
        def method(self, *args):
            refuse(args[-1])
            return plain[name](self, *args)
        return method

    def getaddrinfo(host, *args, **kwargs):
        refuse((host,))
        return look_up(host, *args, **kwargs)

    for name in plain:
        setattr(socket.socket, name, held(name))
    socket.getaddrinfo = getaddrinfo
    socket.socket.held = True


block()
