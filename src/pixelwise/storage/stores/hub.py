"""Data sets of the Hugging Face hub, whose files are listed over its web interface and read by ranges.

A revision is resolved to its commit once, and every file is read at that commit, so that a branch that moves on changes
nothing. The token is sent to the hub alone: neither to the servers to which it redirects, nor into a message.
"""

from __future__ import annotations

import errno
import http.client
import json
import os
import re
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

from pixelwise.errors import DataError
from pixelwise.storage.names import printable
from pixelwise.storage.stores.remote import RemoteStore, Version, http_client

ENDPOINT = "https://huggingface.co"
_ADDRESS = re.compile(r"hf://datasets/([\w.-]+/[\w.-]+?)(?:@([^/]+))?(?:/(.*))?")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_NEXT = re.compile(r'<([^>]+)>\s*;\s*rel="?next"?')
_TIMEOUT, _ATTEMPTS, _LONGEST_WAIT = 60.0, 5, 60.0
_TEMPORARY = frozenset((408, 425, 429, 500, 502, 503, 504))
_LONGEST_ANSWER = 256 * 1024**2


class _Repository(NamedTuple):
    """A data set of the hub: `OWNER/NAME`, a revision, and a folder within it, empty for all of it."""

    name: str
    revision: str
    folder: str


class HubStore(RemoteStore):
    """The files of a data set of the Hugging Face hub, or of a folder within it; they can only be read.

    `HF_ENDPOINT` names another hub. `HF_TOKEN`, or the file that `huggingface-cli login` writes, gives access.

    Args:
        address: `hf://datasets/OWNER/NAME`, with `@REVISION` behind the name and a folder behind that if wanted.

    Raises:
        DataError: D222, it is no address of a data set.
        RecipeError: R240, obstore is not installed.
    """

    def __init__(self, address: str) -> None:
        super().__init__(address)
        found = _ADDRESS.fullmatch(address)
        if found is None:
            raise DataError(
                "D222",
                f"{printable(address)}: is no address of a data set of the Hugging Face hub",
                "write hf://datasets/OWNER/NAME; a revision follows the name, as in hf://datasets/OWNER/NAME@main",
            )
        # A branch of a pull request is `refs/pr/1`, whose slashes an address escapes.
        revision = (found[2] or "main").replace("%2F", "/").replace("%2f", "/")
        self._repository = _Repository(found[1], revision, (found[3] or "").strip("/"))
        self._commit = self._repository.revision if _COMMIT.fullmatch(self._repository.revision) else ""
        self._versions: dict[str, Version] | None = None
        self._asking = threading.Lock()

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        from pixelwise.storage.stores.remote import _opened

        name, _, folder = self._repository
        # Other processes read the same commit.
        pinned = f"hf://datasets/{name}@{self.commit()}"
        return _opened, (f"{pinned}/{folder}" if folder else pinned,)

    def __repr__(self) -> str:
        return "HubStore()"

    def commit(self) -> str:
        """The commit to which the revision led when it was first asked for, 40 hexadecimal digits.

        Raises:
            OSError: There is no such data set or revision, or the hub does not answer or refuses.
        """
        with self._asking:
            if not self._commit:
                name, revision, _ = self._repository
                content, _ = _asked(f"{_endpoint()}/api/datasets/{name}/revision/{quote(revision, safe='')}")
                commit = content.get("sha") if isinstance(content, dict) else None
                if not isinstance(commit, str) or not _COMMIT.fullmatch(commit):
                    raise OSError(errno.EIO, "the hub does not say which commit the revision is")
                self._commit = commit
            return self._commit

    def versions(self, folder: str) -> dict[str, Version]:
        """See `RemoteStore.versions`; the marks are hashes of the contents."""
        commit = self.commit()
        with self._asking:
            if self._versions is None:
                self._versions = self._listed(commit)
        prefix = f"{folder}/" if folder else ""
        return {name: version for name, version in self._versions.items() if name.startswith(prefix)}

    def version(self, name: str) -> Version:
        """See `RemoteStore.version`."""
        found = self.versions("").get(name)
        if found is None:
            raise FileNotFoundError(errno.ENOENT, "there is no such file in the data set")
        return found

    def names(self, folder: str) -> list[str]:
        """See `OutputStore.names`."""
        return sorted(self.versions(folder))

    def some_names(self, folder: str) -> list[str]:
        """See `RemoteStore.some_names`; all of them, which the hub lists at once."""
        return self.names(folder)

    def read_marked(self, name: str, offset: int, size: int) -> tuple[bytes, str]:
        """See `Store.read_marked`; a commit does not change."""
        return self.read(name, offset, size), ""

    def put(self, name: str, content: bytes | Path) -> None:
        """Nothing is written to the hub."""
        raise _read_only()

    def send(self, name: str, file: Path, sha256: str) -> bool:
        """Refused: the hub can only be read."""
        raise _read_only()

    def create(self, name: str, content: bytes) -> bool:
        """Nothing is written to the hub."""
        raise _read_only()

    def remove(self, name: str) -> None:
        """Nothing is removed from the hub."""
        raise _read_only()

    def _client_of(self) -> Any:
        name, _, folder = self._repository
        base = f"{_endpoint()}/datasets/{name}/resolve/{self.commit()}"
        token = _token()
        # The client drops this header when the hub redirects to another host.
        headers = {"authorization": f"Bearer {token}"} if token else {}
        return http_client(f"{base}/{quote(folder)}" if folder else base, headers)

    def _listed(self, commit: str) -> dict[str, Version]:
        name, _, folder = self._repository
        below = f"/{quote(folder)}" if folder else ""
        url = f"{_endpoint()}/api/datasets/{name}/tree/{commit}{below}?recursive=true"
        found: dict[str, Version] = {}
        seen: set[str] = set()
        while url and url not in seen:
            seen.add(url)
            content, url = _asked(url)
            for one in content if isinstance(content, list) else ():
                if isinstance(one, dict) and one.get("type") == "file":
                    path, version = _version(one)
                    found[path.removeprefix(f"{folder}/" if folder else "")] = version
        return found


def _version(one: dict[str, Any]) -> tuple[str, Version]:
    """Path and version of a file of a listing, whose large files are known by their own hash."""
    large = one.get("lfs")
    facts = large if isinstance(large, dict) else one
    path, size, mark = one.get("path"), facts.get("size", one.get("size")), facts.get("oid")
    if not isinstance(path, str) or not isinstance(size, int) or not isinstance(mark, str):
        raise OSError(errno.EIO, "the hub lists a file without its path, size or hash")
    return path, Version(size, mark)


def _endpoint() -> str:
    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or ENDPOINT


def _token() -> str:
    """The token of the environment, or the one that `huggingface-cli login` has written; empty without any."""
    given = os.environ.get("HF_TOKEN", "").strip()
    if given:
        return given
    home = Path(os.environ.get("HF_HOME", "").strip() or Path.home() / ".cache/huggingface")
    file = Path(os.environ.get("HF_TOKEN_PATH", "").strip() or home / "token")
    try:
        return file.read_text("utf-8").strip()
    except (OSError, ValueError):
        return ""


class _SameHost(urllib.request.HTTPRedirectHandler):
    """Sends the token along only where the hub redirects to itself, as it does for data sets that were renamed."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        """See `HTTPRedirectHandler`."""
        made = super().redirect_request(req, fp, code, msg, headers, newurl)
        if made is not None and _host(newurl) == _host(req.full_url):
            made.unredirected_hdrs.update(req.unredirected_hdrs)
        return made


def _host(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc


def _asked(url: str) -> tuple[Any, str]:
    """What the hub answers, decoded, and the address of the next page; empty if there is none.

    Raises:
        OSError: It does not answer or refuses; the message has no address.
    """
    reason = OSError(errno.EIO, "the hub was not asked")
    for attempt in range(_ATTEMPTS):
        try:
            return _once(url)
        except urllib.error.HTTPError as error:
            with error:
                reason = _refusal(error.code)
                wait = error.headers.get("Retry-After", "")
                if error.code not in _TEMPORARY:
                    break
        except (OSError, http.client.HTTPException, ValueError) as error:
            said = error.reason if isinstance(error, urllib.error.URLError) else error
            reason, wait = OSError(errno.EIO, f"the hub does not answer as expected ({type(said).__name__})"), ""
        if attempt + 1 < _ATTEMPTS:
            time.sleep(min(float(wait) if wait.isdigit() else 0.5 * 2.0**attempt, _LONGEST_WAIT))
    # Outside of the handlers: what was raised there may hold what was sent.
    raise reason


def _once(url: str) -> tuple[Any, str]:
    request = urllib.request.Request(url, headers={"User-Agent": "pixelwise", "Accept": "application/json"})
    token = _token()
    if token and _host(url) == _host(_endpoint()):
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    with urllib.request.build_opener(_SameHost).open(request, timeout=_TIMEOUT) as answer:
        content = answer.read(_LONGEST_ANSWER)
        following = _NEXT.search(answer.headers.get("Link", ""))
        return json.loads(content), following[1] if following else ""


def _refusal(status: int) -> OSError:
    if status in (401, 403):
        return PermissionError(
            errno.EACCES, "the hub knows no such data set, or refuses access; a token in HF_TOKEN gives access"
        )
    if status == 404:
        return FileNotFoundError(errno.ENOENT, "the hub knows no such data set, revision or folder")
    return OSError(errno.EIO, f"the hub answers with error {status}")


def _read_only() -> OSError:
    return OSError(errno.EROFS, "data sets of the Hugging Face hub can only be read")
