"""Where shards are written: a folder of this machine, or an address to which the tars are sent one by one."""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Iterator
from concurrent.futures import Executor, Future
from pathlib import Path

import msgspec

from pixelwise.datasets.layouts.description import DESCRIPTION_FILE
from pixelwise.datasets.shards.facts import INDEX, UNFINISHED, Shard
from pixelwise.errors import DataError
from pixelwise.machine.files import flush
from pixelwise.machine.thread_pools import thread_pool
from pixelwise.storage import building_folder, printable, scratch_folder, sha256_file
from pixelwise.storage.locks import writing_alone
from pixelwise.storage.stores.addresses import address_of
from pixelwise.storage.stores.outputs import answering, writable_store
from pixelwise.storage.stores.remote import RemoteStore

_TAR = re.compile(r"[^/]+-\d{6,}\.tar")


class Target:
    """A folder in which shards are written.

    Attributes:
        folder: The folder, of this machine.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def tar_finished(self, shard: Shard) -> None:
        """Receive a tar that is complete; it stays where it is."""

    def space(self, needed: int, size: int) -> int:
        """Bytes that have to be free in the folder.

        Args:
            needed: Bytes of all tars.
            size: Bytes of one tar.
        """
        return needed


class SendingTarget(Target):
    """A folder whose files are sent to an address: one tar is on its way while the next one is written.

    Args:
        folder: The folder.
        address: The address.
        store: Its store.
        sender: Runs one call at a time.
    """

    def __init__(self, folder: Path, address: Path, store: RemoteStore, sender: Executor) -> None:
        super().__init__(folder)
        self._address, self._store, self._sender = address, store, sender
        self._under_way: Future[None] | None = None
        self._names: set[str] = set()

    def tar_finished(self, shard: Shard) -> None:
        """Send a tar, unless the address has it since an earlier call; it leaves the folder.

        Raises:
            ResourceError: S611, the tar before could not be sent.
        """
        self._wait()
        self._names.add(shard.name)
        self._under_way = self._sender.submit(self._send, self.folder / shard.name)

    def space(self, needed: int, size: int) -> int:
        """See `Target.space`: two tars are in the folder at the same time."""
        return min(needed, 2 * size)

    def finish(self) -> None:
        """Send what describes the tars, the index last: without it nobody takes the tars for a data set.

        Raises:
            ResourceError: S611, it could not be sent.
        """
        self._wait()
        for name in (DESCRIPTION_FILE, INDEX):
            if (self.folder / name).exists():
                self._send(self.folder / name)
        with answering(self._address):
            for name in self._store.names(""):
                # Those of an earlier call, before files were removed from the data.
                if _TAR.fullmatch(name) and name not in self._names:
                    self._store.remove(name)
            self._store.remove(UNFINISHED)

    def _send(self, file: Path) -> None:
        with answering(self._address):
            self._store.send(file.name, file, sha256_file(file))
        file.unlink()

    def _wait(self) -> None:
        under_way, self._under_way = self._under_way, None
        if under_way is not None:
            under_way.result()


@contextlib.contextmanager
def writing_shards(output: Path, job: str) -> Iterator[Target]:
    """Context in which shards are written; after an error or a kill, nothing looks complete.

    What was sent to an address stays there, and the same job goes on with it. A file at the address keeps other jobs
    away until the shards are complete.

    Args:
        output: Folder to create, or address.
        job: What is written, equal in two calls only if one may continue the other.

    Raises:
        DataError: D225, the folder exists, or the address is in use.
        RecipeError: R240, obstore is needed for an address and is not installed; R294, the address can only be read.
        RunLockedError: L701, another process writes to the folder.
        ResourceError: S601, a disk is full; S611, the address cannot be written.
    """
    address = address_of(output)
    if address is not None:
        store = writable_store(address)
        with (
            _claimed(output, store, msgspec.json.encode({"job": job})),
            scratch_folder(Path(tempfile.gettempdir())) as folder,
            thread_pool(1) as sender,
        ):
            target = SendingTarget(folder, output, store, sender)
            yield target
            target.finish()
        return
    with writing_alone(output):
        if output.exists():
            raise DataError("D225", f"{printable(output)}: already exists", "choose a folder that does not exist")
        with building_folder(output) as unfinished:
            yield Target(unfinished)
            for file in unfinished.iterdir():
                flush(file)


@contextlib.contextmanager
def _claimed(output: Path, store: RemoteStore, job: bytes) -> Iterator[None]:
    """Context in which an address belongs to a job, and after it, too, if it failed and anything was sent."""
    new = _claim(output, store, job)
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):  # the first error matters
            if new and store.some_names("") == [UNFINISHED]:
                store.remove(UNFINISHED)
        raise


def _claim(output: Path, store: RemoteStore, job: bytes) -> bool:
    """Make an address that of this job, unless there is anything else; returns whether it was not before.

    Raises:
        DataError: D225, there is.
        ResourceError: S611, the address cannot be read or written.
    """
    with answering(output):
        there = store.some_names("")
        if INDEX in there or store.has(INDEX):
            # The process that wrote them may have been killed before it removed this.
            store.remove(UNFINISHED)
            raise DataError("D225", f"{printable(output)}: holds shards already", "choose another address")
        if there and not store.has(UNFINISHED):
            raise DataError(
                "D225",
                f"{printable(output)}: is not empty: {printable(there[0])} is there",
                "choose an address below which there is nothing",
            )
        if store.create(UNFINISHED, job):
            return True
        if store.read(UNFINISHED, 0, store.size(UNFINISHED)) != job:
            raise DataError(
                "D225",
                f"{printable(output)}: holds shards of other data, or with other options, that are not finished",
                "repeat the command that began them, choose another address, or remove what is there",
            )
        return False
