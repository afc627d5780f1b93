"""Downloads: resumed after an interruption, and visible only once they are complete and checked.

Only the standard library's HTTP client is used; it honours `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`. Bytes are
written to `NAME.part`, which a later call continues if the server still has the same file: the missing range is
requested with `If-Range`, and a response that is not exactly the missing rest restarts the download. The file is
renamed to `NAME` after its size and SHA-256 have been checked.
"""

from __future__ import annotations

import contextlib
import errno
import http.client
import json
import os
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from pixelwise.errors import DataError, ResourceError
from pixelwise.machine.files import is_disk_full, replace_file
from pixelwise.storage.atomic import full_disk_explained
from pixelwise.storage.hashing import sha256_file
from pixelwise.storage.names import printable

Progress = Callable[[int, int], None]
Wait = Callable[[float], None]

ATTEMPTS = 6
"""Maximum number of successive attempts without a new byte."""
_LONGEST_WAIT = 60.0
_CHUNK = 1 << 18
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
# Errors of file systems that do not support locks.
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL}
# HTTP status codes for which a retry can help; other codes of 400 and above are permanent.
_TEMPORARY = {408, 425, 429, 500, 502, 503, 504}


class Fetched(NamedTuple):
    """A downloaded file.

    Attributes:
        path: Path of the file.
        size: Size in bytes.
        sha256: Hexadecimal SHA-256 of the content.
    """

    path: Path
    size: int
    sha256: str


class _Remote(NamedTuple):
    """The server's facts about the file, by which a later attempt recognises whether it is still the same."""

    validator: str
    size: int | None


class _Refused(Exception):
    """The server's response is unusable for the stated reason; a retry may help."""


class _Changed(_Refused):
    """The part downloaded so far belongs to another version of the file."""


def download(
    url: str,
    target: Path,
    *,
    sha256: str | None = None,
    size: int | None = None,
    progress: Progress | None = None,
    timeout: float = 60.0,
    wait: Wait = time.sleep,
) -> Fetched:
    """Download `url` to the file `target`; a file that already exists is only checked.

    Args:
        url: Address that begins with http:// or https://.
        target: File to write; its folder is created if missing.
        sha256: Expected hexadecimal SHA-256; None if unknown.
        size: Expected size in bytes; None if unknown.
        progress: Called with the bytes received so far and the total (0 if unknown).
        timeout: Seconds without a byte after which an attempt counts as failed.
        wait: Called between attempts with the seconds to wait: 1, 2, 4 ... 60, or as the server requests.

    Raises:
        DataError: D250, the server did not answer or refused, after several attempts where a retry can help; the
            part received so far is kept. D251, the content is not the expected one; the file is set aside as
            `NAME.refused`.
        ResourceError: S601, the disk is full. S604, another process downloads the same file.
    """
    if urlsplit(url).scheme not in ("http", "https"):
        raise DataError(
            "D250", f"{_shown(url)}: not a web address, expected http:// or https://", "correct the address"
        )
    if target.exists():
        found = _found(target)
        problem = _problem(found, sha256, size)
        if problem:
            raise DataError(
                "D251",
                f"{printable(target)}: {problem}",
                "nothing was changed; move the file away and run the same command to download it again",
            )
        return found
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    with full_disk_explained(target, size), _held(part):
        _fetch(url, part, size=size, progress=progress, timeout=timeout, wait=wait)
        found = _found(part)
        problem = _problem(found, sha256, size)
        _facts_of(part).unlink(missing_ok=True)
        refused = target.with_name(target.name + ".refused")
        replace_file(part, refused if problem else target)
    if problem:
        raise DataError(
            "D251",
            f"{printable(target)} from {_shown(url)}: {problem}; set aside as {printable(refused.name)}",
            "try again; if the result is the same, the file was replaced by its publisher or changed on the way: "
            "compare it with the publisher's details before using it",
        )
    return found._replace(path=target)


def _found(path: Path) -> Fetched:
    return Fetched(path, path.stat().st_size, sha256_file(path))


def _problem(found: Fetched, sha256: str | None, size: int | None) -> str:
    if sha256 is not None and found.sha256 != sha256.lower():
        return f"its SHA-256 is {found.sha256}, expected {sha256.lower()}"
    if size is not None and found.size != size:
        return f"it has {found.size} bytes, expected {size}"
    return ""


def _fetch(url: str, part: Path, *, size: int | None, progress: Progress | None, timeout: float, wait: Wait) -> None:
    """Retry until `part` is complete."""
    failures, furthest = 0, part.stat().st_size
    while True:
        asked_wait = None
        try:
            _attempt(url, part, size, progress, timeout)
            return
        except urllib.error.HTTPError as error:
            with error:
                if error.code == 416:  # the range does not exist, so `part` does not belong to that file
                    part.write_bytes(b"")
                    _facts_of(part).unlink(missing_ok=True)
                elif error.code not in _TEMPORARY:
                    raise _refusal(url, f"the server answered {error.code} {error.reason}") from error
                reason = f"the server answered {error.code} {error.reason}"
                asked_wait = error.headers.get("Retry-After", "")
        except _Changed as error:
            part.write_bytes(b"")
            _facts_of(part).unlink(missing_ok=True)
            reason = str(error)
        except (_Refused, OSError, http.client.HTTPException) as error:
            # A full disk is an OSError as well, but no reason to ask the server again.
            if isinstance(error, OSError) and _is_local(error):
                raise
            reason = _reason(error)
        # Only bytes beyond every earlier attempt count as progress; otherwise a server that always stops at the same
        # place would be retried for ever.
        here = part.stat().st_size
        failures = 1 if here > furthest else failures + 1
        furthest = max(furthest, here)
        if failures >= ATTEMPTS:
            raise _unreachable(url, reason, part)
        seconds = float(asked_wait) if asked_wait and asked_wait.isdigit() else 2.0 ** (failures - 1)
        wait(min(seconds, _LONGEST_WAIT))


def _attempt(url: str, part: Path, size: int | None, progress: Progress | None, timeout: float) -> None:
    """Make one request, which appends the missing rest to `part` or replaces it.

    Raises:
        _Changed: The server now has another file.
        _Refused: The response is not the file, or ends early.
        DataError: D250, the size is not the expected one; D251, the response is a web page.
    """
    known = _read_facts(part, url)
    start = part.stat().st_size if known is not None else 0
    if known is not None and start and start == known.size:
        return  # the last attempt had received everything when it was stopped
    headers = {"User-Agent": "pixelwise", "Accept-Encoding": "identity"}
    if known is not None and start:
        headers |= {"Range": f"bytes={start}-", "If-Range": known.validator}
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=timeout) as answer:
        _refuse_page(url, answer)
        remote = _remote(answer)
        if answer.status == 206:
            total = _check_range(answer, remote, known, start)
        else:
            start, total = 0, remote.size
            _write_facts(part, url, remote)
        if size is not None and total is not None and total != size:
            raise _refusal(url, f"the file on the server has {total} bytes, expected {size}")
        if total is not None:
            _require_space(part, total - start)
        with open(part, "r+b") as file:
            file.truncate(start)
            file.seek(start)
            received = start
            while chunk := answer.read(_CHUNK):
                file.write(chunk)
                received += len(chunk)
                if progress is not None:
                    progress(received, total or 0)
            file.flush()
            os.fsync(file.fileno())
    if total is not None and received != total:
        raise _Refused(f"the connection ended after {received} of {total} bytes")


def _check_range(answer: http.client.HTTPResponse, remote: _Remote, known: _Remote | None, start: int) -> int:
    """Size of the whole file, from the response to a request for its rest."""
    match = _RANGE.fullmatch(answer.headers.get("Content-Range", "").strip())
    if known is None or not start:
        raise _Changed("the server sent a part of the file although the whole file was requested")
    if match is None:
        raise _Changed("the server sent a part of the file without stating which")
    first, last, total = (int(number) for number in match.groups())
    if first != start or last != total - 1:
        raise _Changed(f"the server sent bytes {first} to {last} of {total}, expected all bytes from {start}")
    if known.size not in (None, total) or remote.validator not in ("", known.validator):
        raise _Changed("the file changed on the server since the download began")
    return total


def _remote(answer: http.client.HTTPResponse) -> _Remote:
    tag = answer.headers.get("ETag", "").strip()
    # A weak ETag means "equivalent", which is not enough for joining two parts byte by byte.
    validator = tag if tag and not tag.startswith("W/") else answer.headers.get("Last-Modified", "").strip()
    length = answer.headers.get("Content-Length", "")
    return _Remote(validator, int(length) if length.isdigit() else None)


def _refuse_page(url: str, answer: http.client.HTTPResponse) -> None:
    kind = answer.headers.get_content_type()
    if kind in ("text/html", "application/xhtml+xml"):
        where = "" if answer.url == url else f" (redirected to {_shown(answer.url)})"
        raise DataError(
            "D251",
            f"{_shown(url)}: the response is a web page, not the file{where}",
            "it may come from a login page, a proxy or a host that has moved: open the address in a browser and, if "
            "need be, put the file in place by hand",
        )


def _facts_of(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _write_facts(part: Path, url: str, remote: _Remote) -> None:
    """Record which file the part belongs to. Without a validator a download cannot be resumed safely."""
    facts = _facts_of(part)
    if remote.validator:
        content = {"url": url, "validator": remote.validator, "size": remote.size}
        facts.write_bytes(json.dumps(content).encode())
    else:
        facts.unlink(missing_ok=True)


def _read_facts(part: Path, url: str) -> _Remote | None:
    try:
        facts = json.loads(_facts_of(part).read_text("utf-8"))
        if facts["url"] == url:
            return _Remote(str(facts["validator"]), facts["size"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # nothing to resume
    return None


@contextlib.contextmanager
def _held(part: Path) -> Iterator[None]:
    """Hold the lock of a download, so that no other process writes the same file."""
    from filelock import FileLock, Timeout

    part.touch()
    # The lock is a separate file, because some versions of filelock truncate the file that they lock.
    lock_file = part.with_name(part.name + ".lock")
    lock = FileLock(lock_file)
    try:
        lock.acquire(timeout=0)
    except OSError as error:
        if not isinstance(error, Timeout) and error.errno not in _NO_LOCKS:
            raise
        raise ResourceError(
            "S604",
            f"{printable(part)}: another process is downloading it, or the file system cannot lock files",
            "wait for the other process, or download to a local disk",
        ) from error
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # Windows does not remove open files
            lock_file.unlink(missing_ok=True)
        lock.release()


def _require_space(part: Path, needed: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if free < needed:
        raise ResourceError(
            "S602",
            f"{printable(part.parent)}: the download needs {needed / 1e6:.1f} MB, {free / 1e6:.1f} MB free",
            "free some space or choose another folder",
        )


def _is_local(error: OSError) -> bool:
    """Whether the error came from the disk rather than the network."""
    network = (urllib.error.URLError, ConnectionError, TimeoutError)
    return is_disk_full(error) or (error.filename is not None and not isinstance(error, network))


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.URLError):
        return str(error.reason)
    return str(error) or type(error).__name__


def _refusal(url: str, reason: str) -> DataError:
    return DataError("D250", f"{_shown(url)}: {reason}", "the file may have moved: look for it on its publisher's page")


def _unreachable(url: str, reason: str, part: Path) -> DataError:
    scheme, host = urlsplit(url).scheme, urlsplit(url).hostname
    proxy = urllib.request.getproxies().get(scheme)
    # The proxy's address may contain a password, so only its host is shown.
    through = f"through the proxy {urlsplit(proxy).hostname}" if proxy else "directly, without a proxy"
    kept = part.stat().st_size
    return DataError(
        "D250",
        f"{_shown(url)}: download from {host} failed: {reason} ({ATTEMPTS} attempts in a row, {through})",
        f"check the connection, or set {scheme.upper()}_PROXY; "
        + (f"{kept} bytes are kept, and the same command resumes" if kept else "offline, put the file there by hand"),
    )


def _shown(url: str) -> str:
    """The address without user name, password or query, which may contain secrets."""
    parts = urlsplit(url)
    host = f"{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}"
    return printable(f"{parts.scheme}://{host}{parts.path}")
