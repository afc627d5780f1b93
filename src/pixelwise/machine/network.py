"""The addresses of this host, as other hosts see them."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
from collections.abc import Iterator

PROBES = 4
"""Questions without an answer after which the other end of a connection counts as gone."""
OPEN_FILES = "/proc/self/fd"
"""Folder, on Linux, of what this process has open."""
ANY_PORT = 9
"""A port to look at a route with; nothing is sent to it."""


def split_address(text: str) -> tuple[str, int] | None:
    """(host, port) of `HOST:PORT`, or of `[IPv6]:PORT`; None if it is neither."""
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    host = host[1:-1] if bracketed else host
    if not colon or not host or (":" in host) != bracketed or not port.isdecimal() or not 0 < int(port) < 65536:
        return None
    return host, int(port)


def own_address(towards: str) -> str | None:
    """The address of this host from which it reaches another one; None if that is unknown or only leads to itself.

    Names of hosts are often of no use for this: many systems give their own name a loopback address.

    Args:
        towards: Name or address of the other host.
    """
    with contextlib.suppress(OSError, UnicodeError):  # no such host, no such name
        for family, kind, protocol, _, address in socket.getaddrinfo(towards, ANY_PORT, type=socket.SOCK_DGRAM):
            # Connecting such a socket sends nothing; it only asks the system for its route.
            with contextlib.suppress(OSError), socket.socket(family, kind, protocol) as asking:
                asking.connect(address)
                found = str(asking.getsockname()[0])
                if not ipaddress.ip_address(found.partition("%")[0]).is_loopback:
                    return found
    return None


def notice_silence(seconds: float) -> None:
    """Let the TCP connections of this process, made by any library, fail once the other host is silent for so long.

    A host that loses its power or its cable says nothing, and a process that only listens would wait for it for hours.
    The system therefore asks the other one from time to time whether it is there, which needs nothing of its processes.
    On other systems than Linux nothing changes.

    Args:
        seconds: At least 1.
    """
    apart = max(1, round(seconds / (PROBES + 1)))
    for connection in _connections():
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, apart)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, apart)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, PROBES)
        # For what was sent and is not acknowledged.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(1000 * max(1.0, seconds)))


def _connections() -> Iterator[socket.socket]:
    """The TCP connections of this process, which stay open; none on other systems than Linux."""
    try:
        names = os.listdir(OPEN_FILES)
    except OSError:
        return
    for name in names:
        # An error means that it is no socket, is not connected, or was closed just now.
        with contextlib.suppress(OSError):
            one = socket.socket(fileno=int(name))
            try:
                if one.type == socket.SOCK_STREAM and one.family in (socket.AF_INET, socket.AF_INET6):
                    one.getpeername()
                    yield one
            finally:
                one.detach()


def interface_of(address: str) -> str | None:
    """Name of the network interface that has an address; None if there is none."""
    import psutil

    for name, addresses in psutil.net_if_addrs().items():
        if any(one.address == address for one in addresses):
            return name
    return None


def is_nameless_here(host: str) -> bool:
    """Whether a name or address means this host, and the host's own name does not lead there.

    So it is for an address of a second network, and where the host's own name means the loopback interface.
    """
    import psutil

    addresses = _addresses(host)
    own = {one.address for several in psutil.net_if_addrs().values() for one in several}
    return bool(addresses & own) and not addresses & _addresses(socket.gethostname())


def _addresses(host: str) -> set[str]:
    with contextlib.suppress(OSError, UnicodeError):
        return {str(one[4][0]) for one in socket.getaddrinfo(host, None)}
    return set()
