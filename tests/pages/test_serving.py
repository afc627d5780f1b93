import re
import threading
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from pixelwise.errors import ResourceError
from pixelwise.pages import serving


def test_a_port_that_is_taken_is_refused():
    with serving.listening(0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ResourceError, match=f"port {port} of 127.0.0.1 cannot be used") as refused:
            serving.listening(port)
    assert refused.value.code == "S609"


def test_the_pages_are_served_until_the_server_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    started: list[serving.uvicorn.Server] = []

    class Server(serving.uvicorn.Server):
        def __init__(self, config: serving.uvicorn.Config) -> None:
            super().__init__(config)
            started.append(self)

    monkeypatch.setattr(serving.uvicorn, "Server", Server)
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
        assert b"no results below" in answer.read()
        assert "server" not in answer.headers
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(addresses[0].partition("?")[0])
    started[0].should_exit = True
    thread.join(60)
    assert not thread.is_alive()
