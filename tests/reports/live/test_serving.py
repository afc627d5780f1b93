from __future__ import annotations

import http.client
import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from pixelwise.errors import ResourceError
from pixelwise.records.pictures import PICTURES, Picture, Pictures, write_pictures
from pixelwise.reports.live.serving import found_file, serving


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    shown = Picture(id="a", height=1, width=1, photo="batch-1.webp", labels="batch-1-labels.webp")
    write_pictures(folder, Pictures(batch=(shown,)))
    (folder / PICTURES / "batch-1.webp").write_bytes(b"photo")
    (folder / PICTURES / "other.webp").write_bytes(b"not listed")
    (folder / "live.html").write_text("<p>live")
    (folder / "recipe.toml").write_text("name = 'x'")
    (tmp_path / "live.html").write_text("outside")
    return folder


@pytest.mark.parametrize(
    ("path", "file"),
    [
        ("/", "live.html"),
        ("/live.html?x=1", "live.html"),
        ("/report.html", "report.html"),
        ("/pictures/batch-1.webp", "pictures/batch-1.webp"),
        ("/pictures/batch%2D1.webp", "pictures/batch-1.webp"),
        ("/pictures/other.webp", None),
        ("/pictures/pictures.json", None),
        ("/pictures/", None),
        ("/recipe.toml", None),
        ("/../live.html", None),
        ("/pictures/../recipe.toml", None),
        ("/%2e%2e/live.html", None),
        ("//etc/passwd", None),
    ],
)
def test_only_pages_and_listed_pictures_are_found(path: str, file: str | None, run: Path):
    found = found_file(run, path)
    assert (None if found is None else found[0]) == (None if file is None else run / file)


def asked(address: str, path: str, method: str = "GET", host: str | None = None) -> tuple[int, bytes, str | None]:
    place = urlsplit(address)
    connection = http.client.HTTPConnection(str(place.hostname), place.port, timeout=20)
    connection.request(method, path, headers={} if host is None else {"Host": host})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, content, answer.getheader("Content-Type")


def test_pages_are_served_as_they_are_at_that_moment(run: Path):
    with serving(run, 0) as address:
        assert address.endswith("/live.html")
        assert asked(address, "/") == (200, b"<p>live", "text/html; charset=utf-8")
        (run / "live.html").write_text("<p>later")
        assert asked(address, "/live.html")[1] == b"<p>later"
        assert asked(address, "/pictures/batch-1.webp") == (200, b"photo", "image/webp")
        assert asked(address, "/", "HEAD")[:2] == (200, b"")
        assert asked(address, "/report.html")[0] == 404  # there is none yet
        assert asked(address, "/recipe.toml")[0] == 404
        assert asked(address, "/", "POST")[0] == 501


def test_a_name_of_the_net_that_leads_here_reads_nothing(run: Path):
    with serving(run, 0) as address:
        assert asked(address, "/", host="evil.example")[0] == 404
        assert asked(address, "/", host="localhost:1234")[0] == 200


def test_a_port_that_is_taken_is_named(run: Path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ResourceError) as caught, serving(run, port):
            pass
    assert caught.value.code == "S609"
    assert f"port {port}" in caught.value.message
    assert "in use" in caught.value.message.lower()
