"""Object stores and servers, whose files are read by ranges, and written, through obstore."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import threading
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from pixelwise.errors import RecipeError
from pixelwise.machine.processes import after_fork
from pixelwise.storage.stores.access import access_of
from pixelwise.storage.stores.addresses import with_access
from pixelwise.storage.stores.answers import reason_of
from pixelwise.storage.stores.store import require_memory

_T = TypeVar("_T")
INSTALL = "pip install 'pixelwise[remote]'"
MOST_AT_ONCE = 32
"""Number of requests of a process that wait for answers at the same time."""
_RETRIES = {
    "max_retries": 6,
    "retry_timeout": timedelta(seconds=100),
    "backoff": {"init_backoff": timedelta(milliseconds=200), "max_backoff": timedelta(seconds=10), "base": 2},
}
_CLIENT = {"connect_timeout": "10s", "timeout": "60s"}
_PART, _MOST_PARTS = 8 * 1024**2, 9_000
"""Bytes of a part of a file that is sent, and largest number of parts: S3 takes 10 000."""
_SHA256 = "pixelwise_sha256"
"""What stores keep with a file that was sent: a name that all of them accept."""

_at_once = threading.BoundedSemaphore(MOST_AT_ONCE)
_started = False
_forked = False


class Version(NamedTuple):
    """What changes with a file of a store.

    Attributes:
        size: Number of bytes.
        mark: The store's tag for the content, or the time of the last change; empty if it tells neither.
    """

    size: int
    mark: str


class RemoteStore:
    """The files of an address: a prefix of a bucket, or a folder of a server that answers requests for ranges.

    Credentials come from the environment, as the tools of each store read them (see `access`), or are part of the
    address.

    Args:
        address: The address with what gives access, which is never shown.

    Raises:
        RecipeError: R240, obstore is not installed.
    """

    far = True
    by_bytes = True

    def __init__(self, address: str) -> None:
        self._address = address
        self._client: Any = None
        self._lock = threading.Lock()
        _obstore()

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return _opened, (self._address,)

    def __repr__(self) -> str:
        return "RemoteStore()"

    def size(self, name: str) -> int:
        """See `Store.size`."""
        return self.version(name).size

    def version(self, name: str) -> Version:
        """Size of a file, and what changes with its content.

        Raises:
            OSError: There is no such file, or the store does not answer or refuses.
        """
        client = self._open()
        with _at_once:
            return _version(_asked(lambda: _obstore().head(client, name)))

    def read(self, name: str, offset: int, size: int) -> bytes:
        """See `Store.read`."""
        require_memory(size)
        if size <= 0:
            return b""
        client = self._open()
        with _at_once:
            return _asked(lambda: bytes(_obstore().get_range(client, name, start=offset, end=offset + size)))

    def read_marked(self, name: str, offset: int, size: int) -> tuple[bytes, str]:
        """See `Store.read_marked`: each answer says of which version it is."""
        require_memory(size)
        if size <= 0:
            return b"", ""
        client, options = self._open(), {"range": (offset, offset + size)}

        def asked() -> tuple[bytes, Version]:
            found = _obstore().get(client, name, options=options)
            return bytes(found.bytes()), _version(found.meta)

        with _at_once:
            content, version = _asked(asked)
        return content, f"{version.size} {version.mark}"

    def put(self, name: str, content: bytes | Path) -> None:
        """See `OutputStore.put`; large files are sent in parts."""
        client = self._open()
        with _at_once:
            _asked(lambda: _obstore().put(client, name, content))

    def send(self, name: str, file: Path, sha256: str) -> bool:
        """Write a file of this machine in parts, unless the store has one of this name with the same content.

        The SHA-256 is kept with what is sent. If there is a file without it, its bytes are compared.

        Args:
            name: Name of the file in the store.
            file: The file of this machine.
            sha256: SHA-256 of its content, in hexadecimal digits.

        Returns:
            Whether it was sent.

        Raises:
            OSError: It cannot be written.
        """
        size = file.stat().st_size
        if self._sha256(name, size) == sha256:
            return False
        client, part = self._open(), max(_PART, -(-size // _MOST_PARTS))
        with _at_once:
            _asked(lambda: _obstore().put(client, name, file, attributes={_SHA256: sha256}, chunk_size=part))
        return True

    def _sha256(self, name: str, size: int) -> str:
        """SHA-256 of the content of a file; empty if there is none of this size."""
        client = self._open()
        try:
            with _at_once:
                found = _asked(lambda: _obstore().get(client, name, options={"head": True}))
        except FileNotFoundError:
            return ""
        if found.meta["size"] != size:
            return ""
        noted = found.attributes.get(_SHA256)
        if noted is not None:
            return str(noted)
        digest = hashlib.sha256()
        for start in range(0, size, _PART):
            digest.update(self.read(name, start, min(_PART, size - start)))
        return digest.hexdigest()

    def create(self, name: str, content: bytes) -> bool:
        """See `OutputStore.create`."""
        client = self._open()
        try:
            with _at_once:
                _asked(lambda: _obstore().put(client, name, content, mode="create"))
        except FileExistsError:
            return False
        return True

    def names(self, folder: str) -> list[str]:
        """See `OutputStore.names`."""
        return sorted(self.versions(folder))

    def some_names(self, folder: str) -> list[str]:
        """The names of some files in a folder or below it, with one request; empty if there are none.

        Raises:
            OSError: They cannot be listed.
        """
        client = self._open()
        with _at_once:
            found = _asked(lambda: next(iter(_obstore().list(client, folder or None)), []))
        return [one["path"] for one in found]

    def has(self, name: str) -> bool:
        """Whether there is a file of this name.

        Raises:
            OSError: The store does not answer or refuses.
        """
        try:
            self.version(name)
        except FileNotFoundError:
            return False
        return True

    def versions(self, folder: str) -> dict[str, Version]:
        """The files in a folder and below it by name; empty if there is no such folder.

        Args:
            folder: The folder; empty for the whole store.

        Raises:
            OSError: They cannot be listed.
        """
        client = self._open()
        with _at_once:
            found = _asked(lambda: [one for some in _obstore().list(client, folder or None) for one in some])
        return {one["path"]: _version(one) for one in found}

    def remove(self, name: str) -> None:
        """See `OutputStore.remove`."""
        client = self._open()
        with _at_once, contextlib.suppress(FileNotFoundError):
            _asked(lambda: _obstore().delete(client, name))

    def _open(self) -> Any:
        if _forked:
            # The runtime of obstore does not survive a fork: a request would wait for ever.
            raise OSError(errno.EIO, "a forked process cannot ask a store; start it by `spawn`")
        with self._lock:
            if self._client is None:
                self._client = self._client_of()
        return self._client

    def _client_of(self) -> Any:
        """The client of obstore for the address.

        Raises:
            OSError: The environment is not understood, or the address cannot be used with it.
        """
        access = access_of(self._address)
        settings: dict[str, Any] = {"config": access.config} if access.config else {}
        if access.signature:
            # As a setting, it would count only where the environment holds no key.
            settings["credential_provider"] = lambda: {"sas_token": access.signature, "expires_at": None}
        return _client(access.url, {"allow_http": access.plain}, settings)


def http_client(url: str, headers: Mapping[str, str]) -> Any:
    """The client of obstore for a web server.

    Args:
        url: Address of a folder.
        headers: What every request carries besides; `authorization` is not sent to hosts that it redirects to.

    Raises:
        OSError: The address cannot be used.
    """
    return _client(url, {"allow_http": url.startswith("http://"), "default_headers": dict(headers)})


def _client(url: str, options: Mapping[str, Any], others: Mapping[str, Any] | None = None) -> Any:
    global _started
    _started = True
    from obstore.store import from_url

    # The types of obstore name the keys one by one.
    settings: Any = {"client_options": {**_CLIENT, **options}, "retry_config": _RETRIES, **(others or {})}
    return _asked(lambda: from_url(url, **settings))


def _version(facts: Any) -> Version:
    changed = facts["last_modified"].timestamp()
    return Version(int(facts["size"]), facts.get("e_tag") or (str(changed) if changed > 0 else ""))


def remote_store(address: str) -> RemoteStore:
    """The store of an address, the same one for every call of a process.

    Args:
        address: The address without what gives access; what `place_of` remembered of it is used.

    Raises:
        RecipeError: R240, obstore is not installed.
    """
    return _opened(with_access(address))


@cache
def _opened(address: str) -> RemoteStore:
    if address.startswith("hf://"):
        from pixelwise.storage.stores.hub import HubStore  # which is a store of this module

        return HubStore(address)
    return RemoteStore(address)


def _obstore() -> Any:
    try:
        import obstore
    except ImportError as error:
        raise RecipeError("R240", "data of other machines needs obstore, which is not installed", INSTALL) from error
    return obstore


def _asked(call: Callable[[], _T]) -> _T:
    """The answer of a store. Errors become those of the system, without the texts of obstore, which hold the address.

    Raises:
        OSError: The store does not answer or refuses; neither its message nor its cause says with what it was asked.
    """
    try:
        return call()
    except Exception as error:  # builtin exceptions and its own
        reason = reason_of(error)
    # Here, where the original is no longer handled and does not become the context.
    raise reason


def _note_fork() -> None:
    global _forked, _at_once
    _forked = _started
    _at_once = threading.BoundedSemaphore(MOST_AT_ONCE)


after_fork(_note_fork)
