"""Bodies of requests, read within limits of size and time; nothing in them is decoded here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from pixelwise.serving.problems import Problem

MULTIPART = "multipart/form-data"
_ENCODED = "the body is encoded as {!r}"


async def read_body(request: Request, most: int, timeout: float) -> bytes:
    """The body of a request.

    Args:
        request: The request.
        most: Most bytes.
        timeout: Most seconds.

    Raises:
        Problem: R291, it is encoded, empty, or was not sent to its end; R293, it is too large; S615, it takes too long.
    """
    encoding = request.headers.get("content-encoding", "identity").lower()
    if encoding != "identity":
        raise Problem(415, "R291", _ENCODED.format(encoding), "send it without Content-Encoding")
    stated = request.headers.get("content-length", "")
    if stated.isdecimal() and int(stated) > most:
        raise _too_large(most)
    parts, size = [], 0
    try:
        async with asyncio.timeout(timeout):
            async for part in request.stream():
                size += len(part)
                if size > most:
                    raise _too_large(most)
                parts.append(part)
    except TimeoutError:
        raise Problem(
            408, "S615", f"the request was not complete after {timeout:g} seconds", "send it faster", _CLOSE
        ) from None
    except ClientDisconnect:
        raise Problem(400, "R291", "the request was not sent to its end", "send it again") from None
    return b"".join(parts)


async def image_of(request: Request, body: bytes) -> bytes:
    """The bytes of the image in a body: the body itself, or the only file of a form.

    Raises:
        Problem: R291, there is none, or the form is malformed.
    """
    # Imported here: pages read bodies, too, and know no forms.
    from python_multipart.multipart import parse_options_header

    content_type = request.headers.get("content-type", "")
    try:
        media, options = parse_options_header(content_type)
    except Exception:  # a header of a stranger
        media, options = b"", {}
    if media.lower() != MULTIPART.encode():
        if not body:
            raise Problem(400, "R291", "the body is empty", "send the bytes of an image file, or a form with one")
        return body
    if not options.get(b"boundary"):
        raise Problem(400, "R291", "the form has no boundary", "let your client make the header Content-Type")

    async def stream() -> AsyncGenerator[bytes, None]:
        yield body

    try:
        form = await MultiPartParser(request.headers, stream(), max_files=1, max_fields=16).parse()
    except MultiPartException as error:
        raise Problem(400, "R291", f"the form is malformed: {error.message}", _FORM) from error
    except Exception as error:  # of the parser, which strangers feed
        raise Problem(400, "R291", f"the form is malformed: {type(error).__name__}", _FORM) from error
    files = [value for value in form.values() if isinstance(value, UploadFile)]
    try:
        content = await files[0].read() if files else b""
    finally:
        await form.close()
    if not content:
        raise Problem(400, "R291", "the form holds no file", _FORM)
    return content


def _too_large(most: int) -> Problem:
    return Problem(
        413,
        "R293",
        f"the body has more than the {most} bytes that this server takes",
        "send a smaller image; whoever runs the server can raise `max_bytes`",
        _CLOSE,
    )


_FORM = "send one file, as `curl -F image=@photo.jpg` does"
_CLOSE = {"Connection": "close"}
