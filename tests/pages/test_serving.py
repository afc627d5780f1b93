import re
import signal
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from pixelwise.errors import ResourceError
from pixelwise.pages import serving
from pixelwise.records.log import StepRecord, append_log


def test_a_port_that_is_taken_is_refused():
    with serving.listening(0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ResourceError, match=f"port {port} of 127.0.0.1 cannot be used") as refused:
            serving.listening(port)
    assert refused.value.code == "S609"


def test_the_pages_are_served_until_the_server_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    started: list[serving.Server] = []

    class Server(serving.Server):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            started.append(self)

    monkeypatch.setattr(serving, "Server", Server)
    (tmp_path / "recipe.toml").touch()  # a run without anything else
    append_log(tmp_path, [StepRecord(step=1, epoch=1, loss=1.0, lr=0.1)])
    addresses: list[str] = []
    ready = threading.Event()
    thread = threading.Thread(
        target=serving.serve, args=([tmp_path], 0, lambda address: (addresses.append(address), ready.set()))
    )
    thread.start()
    assert ready.wait(60)
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/runs\?token=[\w-]{43}", addresses[0])
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    with opener.open(addresses[0]) as answer:
        content = answer.read().decode()
        assert "no results below" in content
        assert "server" not in answer.headers
    # Events have no end, which must not keep the server from ending.
    live = re.findall(r'href="(/live/\w+)"', content)[0]
    events = opener.open(f"{addresses[0].partition('/runs')[0]}{live}/events")
    assert events.readline() == b"retry: 3000\n"
    assert events.readline() == b"\n"
    assert events.readline().startswith(b"id: ")
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(addresses[0].partition("?")[0])
    started[0].should_exit = True
    thread.join(60)
    assert not thread.is_alive()
    assert b"" in iter(events.readline, None)


def test_ctrl_c_before_the_server_heeds_signals_ends_it(tmp_path: Path):
    before = signal.getsignal(signal.SIGINT)
    addresses: list[str] = []

    def ready(address: str) -> None:
        addresses.append(address)
        signal.raise_signal(signal.SIGINT)

    serving.serve([tmp_path], 0, ready)
    assert len(addresses) == 1
    assert signal.getsignal(signal.SIGINT) is before
