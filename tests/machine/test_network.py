"""Addresses of this host, as others see them."""

from __future__ import annotations

import socket
from pathlib import Path

import psutil
import pytest

from pixelwise.machine.network import (
    OPEN_FILES,
    interface_of,
    is_nameless_here,
    notice_silence,
    own_address,
    split_address,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("node1:29400", ("node1", 29400)),
        ("10.77.0.1:1", ("10.77.0.1", 1)),
        ("[fd00::1]:29400", ("fd00::1", 29400)),
        ("node1", None),
        ("node1:", None),
        (":29400", None),
        ("node1:http", None),
        ("node1:70000", None),
        ("node1:0", None),
        ("fd00::1:29400", None),
    ],
)
def test_host_and_port(text: str, expected: tuple[str, int] | None):
    assert split_address(text) == expected


def outward() -> str:
    """An IPv4 address of this host that is no loopback address."""
    for name, addresses in psutil.net_if_addrs().items():
        for one in addresses:
            if one.family == socket.AF_INET and not one.address.startswith("127.") and psutil.net_if_stats()[name].isup:
                return one.address
    pytest.skip("this host has no network")


def test_the_way_to_oneself_from_outside_has_an_interface():
    address = outward()
    # A host reaches its own outward address from that address, as the host at which all meet does.
    assert own_address(address) == address
    name = interface_of(address)
    assert name is not None
    assert address in {one.address for one in psutil.net_if_addrs()[name]}


@pytest.mark.parametrize("towards", ["localhost", "127.0.0.1", "x" * 70, ""])
def test_what_leads_nowhere_else(towards: str):
    assert own_address(towards) is None


def test_an_address_of_nobody_here():
    assert interface_of("203.0.113.77") is None


def test_an_address_of_this_host_that_its_name_does_not_lead_to(monkeypatch: pytest.MonkeyPatch):
    address = outward()
    monkeypatch.setattr(socket, "gethostname", lambda: "localhost")
    assert is_nameless_here(address)
    assert not is_nameless_here("127.0.0.1")
    assert not is_nameless_here("localhost")
    assert not is_nameless_here("203.0.113.77")
    assert not is_nameless_here("x" * 70)
    monkeypatch.setattr(socket, "gethostname", lambda: address)
    assert not is_nameless_here(address)


@pytest.mark.skipif(not Path(OPEN_FILES).is_dir(), reason="this system does not list what a process has open")
def test_connections_that_notice_that_the_other_host_is_gone():
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as one:
        other, _ = server.accept()
        with other:
            notice_silence(10)
            for end in (one, other):
                assert end.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
                # Asked after 2 seconds, and then every 2 seconds, 4 times: 10 seconds.
                options = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT, socket.TCP_USER_TIMEOUT)
                assert [end.getsockopt(socket.IPPROTO_TCP, option) for option in options] == [2, 2, 4, 10_000]
            assert server.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 0
            one.sendall(b"still open")
            assert other.recv(20) == b"still open"
