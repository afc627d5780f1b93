"""Downloads from a server on this machine that misbehaves on purpose."""

import contextlib
import hashlib
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pixelwise.errors import DataError, ResourceError
from pixelwise.storage.downloads import ATTEMPTS, download

CONTENT = bytes(range(256)) * 4000
OTHER = CONTENT[::-1]
DIGEST = hashlib.sha256(CONTENT).hexdigest()
Answer = Callable[[BaseHTTPRequestHandler, int], None]


class Server:
    """Serves one file; `script` holds what to do with each request, the last entry for all further ones."""

    def __init__(self) -> None:
        self.script: list[Answer] = [whole()]
        self.asked: list[dict[str, str]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                number = len(outer.asked)
                outer.asked.append(dict(self.headers))
                outer.script[min(number, len(outer.script) - 1)](self, number)

            def log_message(self, *args: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/data.zip"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    made = Server()
    thread = threading.Thread(target=made.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield made
    made.http.shutdown()
    made.http.server_close()
    thread.join()


def _start_of(request: BaseHTTPRequestHandler) -> int:
    asked = request.headers.get("Range")
    return int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0


def reply(request: BaseHTTPRequestHandler, status: int, body: bytes, headers: dict[str, str], sent: int) -> None:
    request.send_response(status)
    for name, value in headers.items():
        request.send_header(name, value)
    request.end_headers()
    with contextlib.suppress(ConnectionError):  # the client may be dead
        request.wfile.write(body[:sent])
        request.wfile.flush()
    request.close_connection = True


def whole(
    content: bytes = CONTENT, *, share: float = 1.0, tag: str = '"one"', ranges: bool = True, length: bool = True
) -> Answer:
    """A proper answer, of which only `share` is sent."""

    def answer(request: BaseHTTPRequestHandler, number: int) -> None:
        start = _start_of(request) if ranges and request.headers.get("If-Range") in (None, tag) else 0
        body = content[start:]
        headers = {"ETag": tag} if tag else {}
        if length:
            headers["Content-Length"] = str(len(body))
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        reply(request, 206 if start else 200, body, headers, int(len(body) * share))

    return answer


def broken(status: int, body: bytes = b"", **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda request, number: reply(request, status, body, {"Content-Length": str(len(body)), **named}, len(body))


def partial(claimed: str, start: int, tag: str = '"one"') -> Answer:
    body = CONTENT[start:]
    return broken(206, body, Content_Range=claimed, ETag=tag)


def get(server: Server, folder: Path, **options: object):
    waits: list[float] = []
    options = {"wait": waits.append, "timeout": 5.0, **options}
    return download(server.url, folder / "data.zip", **options), waits  # type: ignore[arg-type]


def test_a_file_arrives_whole_with_its_hash(server: Server, tmp_path: Path):
    seen: list[tuple[int, int]] = []
    found, waits = get(server, tmp_path / "new", progress=lambda *now: seen.append(now), sha256=DIGEST.upper())
    assert found.path.read_bytes() == CONTENT
    assert (found.sha256, found.size) == (DIGEST, len(CONTENT))
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert waits == []
    assert [path.name for path in found.path.parent.iterdir()] == ["data.zip"]


def test_a_connection_that_drops_at_40_percent_is_continued(server: Server, tmp_path: Path):
    server.script = [whole(share=0.4), whole()]
    found, _ = get(server, tmp_path)
    assert found.sha256 == DIGEST
    assert server.asked[1]["Range"] == f"bytes={int(len(CONTENT) * 0.4)}-"
    assert server.asked[1]["If-Range"] == '"one"'


def test_a_connection_that_always_drops_at_40_percent_of_the_rest_arrives_in_the_end(server: Server, tmp_path: Path):
    server.script = [whole(share=0.4)] * 20 + [whole()]
    assert get(server, tmp_path)[0].sha256 == DIGEST


def test_a_later_call_continues_where_an_earlier_one_gave_up(server: Server, tmp_path: Path):
    server.script = [whole(share=0.4), broken(503)]
    with pytest.raises(DataError) as caught:
        get(server, tmp_path)
    assert caught.value.code == "D250"
    assert "503" in caught.value.message
    assert f"{int(len(CONTENT) * 0.4)} bytes" in caught.value.help
    server.asked.clear()
    server.script = [whole()]
    assert get(server, tmp_path)[0].sha256 == DIGEST
    assert server.asked[0]["Range"] == f"bytes={int(len(CONTENT) * 0.4)}-"


def test_a_part_that_is_complete_is_not_asked_for_again(server: Server, tmp_path: Path):
    (tmp_path / "data.zip.part").write_bytes(CONTENT)
    (tmp_path / "data.zip.part.json").write_text(
        f'{{"url": "{server.url}", "validator": "\\"one\\"", "size": {len(CONTENT)}}}'
    )
    assert get(server, tmp_path)[0].sha256 == DIGEST
    assert server.asked == []


def test_a_part_without_known_origin_is_downloaded_again(server: Server, tmp_path: Path):
    (tmp_path / "data.zip.part").write_bytes(b"something else")
    assert get(server, tmp_path)[0].sha256 == DIGEST
    assert "Range" not in server.asked[0]


def test_a_server_without_ranges_sends_everything_again(server: Server, tmp_path: Path):
    server.script = [whole(share=0.4), whole(ranges=False)]
    assert get(server, tmp_path)[0].path.read_bytes() == CONTENT


def test_downloads_without_validator_are_never_resumed(server: Server, tmp_path: Path):
    server.script = [whole(share=0.4, tag=""), whole(tag="")]
    assert get(server, tmp_path)[0].sha256 == DIGEST
    assert "Range" not in server.asked[1]


def test_a_file_that_changes_in_between_is_not_joined_from_two_halves(server: Server, tmp_path: Path):
    server.script = [whole(share=0.4), whole(OTHER, tag='"two"')]
    assert get(server, tmp_path)[0].path.read_bytes() == OTHER


def test_a_range_of_a_changed_file_is_noticed_although_the_server_ignores_if_range(server: Server, tmp_path: Path):
    start = int(len(CONTENT) * 0.4)
    lie = partial(f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}", start, tag='"two"')
    server.script = [whole(share=0.4), lie, whole(OTHER, tag='"two"')]
    assert get(server, tmp_path)[0].path.read_bytes() == OTHER


@pytest.mark.parametrize(
    "claimed", ["bytes 0-1023999/1024000", "bytes 409599-1023999/1024000", "bytes 409600-1/1024000", "nonsense", ""]
)
def test_a_wrong_content_range_starts_again(server: Server, tmp_path: Path, claimed: str):
    assert len(CONTENT) == 1024000
    server.script = [whole(share=0.4), partial(claimed, 409600), whole()]
    assert get(server, tmp_path)[0].sha256 == DIGEST
    assert "Range" not in server.asked[2]


def test_alternating_drops_and_wrong_ranges_end_in_an_error(server: Server, tmp_path: Path):
    server.script = [whole(share=0.4), partial("nonsense", 409600)] * 30
    with pytest.raises(DataError) as caught:
        get(server, tmp_path)
    assert caught.value.code == "D250"
    assert len(server.asked) <= 3 * ATTEMPTS


def test_a_range_that_cannot_be_had_starts_again(server: Server, tmp_path: Path):
    server.script = [whole(share=0.4), broken(416), whole()]
    assert get(server, tmp_path)[0].sha256 == DIGEST


def test_server_errors_are_tried_again_after_longer_and_longer_waits(server: Server, tmp_path: Path):
    server.script = [broken(500), broken(502), broken(429, Retry_After="7"), whole()]
    found, waits = get(server, tmp_path)
    assert found.sha256 == DIGEST
    assert waits == [1.0, 2.0, 7.0]


def test_a_server_that_stays_broken_is_given_up(server: Server, tmp_path: Path):
    server.script = [broken(500)]
    with pytest.raises(DataError) as caught:
        get(server, tmp_path)
    assert caught.value.code == "D250"
    assert len(server.asked) == ATTEMPTS


def test_a_missing_file_is_reported_without_retries(server: Server, tmp_path: Path):
    server.script = [broken(404)]
    with pytest.raises(DataError) as caught:
        get(server, tmp_path)
    assert "404" in caught.value.message
    assert len(server.asked) == 1


def test_a_web_page_is_refused(server: Server, tmp_path: Path):
    server.script = [broken(200, b"<html>please log in</html>", Content_Type="text/html; charset=utf-8")]
    with pytest.raises(DataError) as caught:
        get(server, tmp_path)
    assert caught.value.code == "D251"
    assert server.url in caught.value.message
    assert not (tmp_path / "data.zip").exists()


def test_a_truncated_answer_is_never_taken_for_the_file(server: Server, tmp_path: Path):
    server.script = [whole(share=0.4, ranges=False)]
    with pytest.raises(DataError) as caught:
        get(server, tmp_path)
    assert "409600 of 1024000 bytes" in caught.value.message
    assert not (tmp_path / "data.zip").exists()


def test_a_wrong_hash_sets_the_file_aside_and_shows_both(server: Server, tmp_path: Path):
    wrong = "0" * 64
    with pytest.raises(DataError) as caught:
        get(server, tmp_path, sha256=wrong)
    assert caught.value.code == "D251"
    assert DIGEST in caught.value.message
    assert wrong in caught.value.message
    assert [path.name for path in tmp_path.iterdir()] == ["data.zip.refused"]


def test_a_wrong_size_is_reported_before_anything_is_downloaded(server: Server, tmp_path: Path):
    with pytest.raises(DataError) as caught:
        get(server, tmp_path, size=5)
    assert caught.value.code == "D250"
    assert "1024000 bytes, expected 5" in caught.value.message
    assert len(server.asked) == 1


def test_an_answer_without_length_is_checked_by_its_hash(server: Server, tmp_path: Path):
    server.script = [whole(length=False)]
    assert get(server, tmp_path, sha256=DIGEST)[0].sha256 == DIGEST


def test_a_file_that_is_there_is_checked_and_never_moved(server: Server, tmp_path: Path):
    (tmp_path / "data.zip").write_bytes(CONTENT)
    assert get(server, tmp_path, sha256=DIGEST)[0].sha256 == DIGEST
    with pytest.raises(DataError) as caught:
        get(server, tmp_path, sha256="0" * 64)
    assert caught.value.code == "D251"
    assert (tmp_path / "data.zip").read_bytes() == CONTENT
    assert server.asked == []


def test_without_a_connection_the_host_and_the_proxy_are_named_but_no_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("http_proxy", "http://user:secret@127.0.0.1:9")
    with pytest.raises(DataError) as caught:
        download("http://data.invalid/a.zip?token=hidden", tmp_path / "a.zip", wait=lambda seconds: None, timeout=1)
    message = str(caught.value)
    assert "data.invalid" in message
    assert "proxy 127.0.0.1" in message
    assert "secret" not in message
    assert "hidden" not in message


def test_only_web_addresses_are_accepted(tmp_path: Path):
    with pytest.raises(DataError, match="file:///etc/passwd") as caught:
        download("file:///etc/passwd", tmp_path / "a")
    assert caught.value.code == "D250"


def test_two_processes_do_not_write_the_same_file(server: Server, tmp_path: Path):
    asked, go_on = threading.Event(), threading.Event()

    def answer_when_told(request: BaseHTTPRequestHandler, number: int) -> None:
        asked.set()
        go_on.wait(20)
        whole()(request, number)

    server.script = [answer_when_told]
    script = (
        "import sys; from pathlib import Path; from pixelwise.storage.downloads import download\n"
        "print(download(sys.argv[1], Path(sys.argv[2])).sha256)"
    )
    command = [sys.executable, "-c", script, server.url, str(tmp_path / "data.zip")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert asked.wait(20)
        with pytest.raises(ResourceError) as caught:
            get(server, tmp_path)
        go_on.set()
        assert other.communicate()[0] == f"{DIGEST}\n"
    assert caught.value.code == "S604"
    assert str(tmp_path / "data.zip.part") in caught.value.message
    assert [path.name for path in tmp_path.iterdir()] == ["data.zip"]
    assert len(server.asked) == 1


def test_a_killed_download_holds_nothing_and_is_continued(server: Server, tmp_path: Path):
    server.script = [whole(share=0.5), whole()]
    script = (
        "import os, signal, sys; from pathlib import Path; from pixelwise.storage.downloads import download\n"
        "download(sys.argv[1], Path(sys.argv[2]), wait=lambda seconds: os.kill(os.getpid(), signal.SIGKILL))"
    )
    subprocess.run([sys.executable, "-c", script, server.url, str(tmp_path / "data.zip")], check=False)
    found, _ = get(server, tmp_path)
    assert found.sha256 == DIGEST
    assert server.asked[1]["Range"] == f"bytes={len(CONTENT) // 2}-"
    assert [path.name for path in tmp_path.iterdir()] == ["data.zip"]
