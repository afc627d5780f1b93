from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from starlette.requests import Request

from pixelwise.serving.bodies import image_of, read_body
from pixelwise.serving.problems import Problem

FORM = "multipart/form-data; boundary=b"


def request_of(*parts: bytes | None, **headers: str) -> Request:
    """A request whose body arrives in parts; None: it stops for ever."""
    left = list(parts)

    async def receive() -> dict:
        if not left:
            return {"type": "http.disconnect"}
        part = left.pop(0)
        if part is None:
            await asyncio.sleep(60)
        return {"type": "http.request", "body": part, "more_body": part != b""}

    pairs = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
    return Request({"type": "http", "method": "POST", "headers": pairs}, receive)


def refused(work: Callable[[], Awaitable[bytes]]) -> tuple[int, str]:
    with pytest.raises(Problem) as caught:
        asyncio.run(work())  # type: ignore[arg-type]
    return caught.value.status, caught.value.code


def test_a_body_is_read_up_to_its_limit():
    assert asyncio.run(read_body(request_of(b"ab", b"c", b""), 3, 9)) == b"abc"
    assert refused(lambda: read_body(request_of(b"ab", b"cd", b""), 3, 9)) == (413, "R293")
    # By what it states, before anything is read.
    assert refused(lambda: read_body(request_of(None, content_length="4"), 3, 9)) == (413, "R293")


def test_a_body_that_does_not_come_is_given_up():
    assert refused(lambda: read_body(request_of(b"a", None), 3, 0.01)) == (408, "S615")
    assert refused(lambda: read_body(request_of(b"a"), 3, 9)) == (400, "R291")


@pytest.mark.parametrize("name", ["a.png", "../../etc/passwd", "C:\\\\a", "\u00e9\u202e", ""])
def test_the_name_of_a_file_is_only_text(name):
    disposition = f'Content-Disposition: form-data; name="x"; filename="{name}"'
    body = f"--b\r\n{disposition}\r\n\r\nimage\r\n--b--\r\n".encode()
    assert asyncio.run(image_of(request_of(content_type=FORM), body)) == b"image"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("image/png", b""),
        (FORM, b""),
        (FORM, b"--b--\r\n"),
        (FORM, b'--b\r\nContent-Disposition: form-data; name="image"\r\n\r\ntext\r\n--b--\r\n'),
        (FORM, b"--b\r\n\r\n\r\n--b--\r\n"),
        (FORM, b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n"),
        ("multipart/form-data; boundary=", b"--b"),
        ("multipart/form-data; boundary=\u00e9", b"--b"),
        ('multipart/form-data; boundary="', b"--b"),
    ],
)
def test_a_form_without_a_file_is_refused(content_type, body):
    assert refused(lambda: image_of(request_of(content_type=content_type), body)) == (400, "R291")
