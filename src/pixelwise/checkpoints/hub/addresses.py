"""Addresses of runs on the Hugging Face Hub: `hub://OWNER/NAME`, with `@REVISION` behind it if wanted."""

from __future__ import annotations

import os
import re

import msgspec

from pixelwise.errors import CheckpointError
from pixelwise.storage.names import printable

MAIN = "main"
"""The revision that an address without one means."""
COMMIT = re.compile(r"[0-9a-f]{40}")
# Paths keep one of the two slashes.
_LIKE_ONE = re.compile(r"hub:/+(.*)", re.DOTALL | re.IGNORECASE)
_WHOLE = re.compile(r"([^@]*)(?:@(.*))?", re.DOTALL)
_PART = r"[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?"
_REPOSITORY = re.compile(rf"(?=.{{3,96}}\Z){_PART}/{_PART}")
_REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/-]{0,254}")
_EXAMPLE = "write hub://OWNER/NAME; a branch, tag or commit follows the name, as in hub://OWNER/NAME@v1"


class HubAddress(msgspec.Struct, frozen=True):
    """A run on the hub.

    Attributes:
        repository: `OWNER/NAME`.
        revision: A branch, a tag or a commit of 40 hexadecimal digits.
    """

    repository: str
    revision: str = MAIN

    def __str__(self) -> str:
        """The address as it is written, and recorded in files."""
        return f"hub://{self.repository}" + (f"@{self.revision}" if self.revision != MAIN else "")

    @property
    def name(self) -> str:
        """The name without its owner."""
        return self.repository.partition("/")[2]

    @property
    def is_pinned(self) -> bool:
        """Whether it names a commit, which never changes."""
        return COMMIT.fullmatch(self.revision) is not None

    def at(self, commit: str) -> HubAddress:
        """The same run at a commit."""
        return HubAddress(self.repository, commit)


def is_address(place: str | os.PathLike[str]) -> bool:
    """Whether a text or a path stands for a run on the hub, well written or not."""
    return _rest(place) is not None


def hub_address(place: str | os.PathLike[str]) -> HubAddress | None:
    """The run on the hub that a text or a path stands for; None for a place on this machine.

    Raises:
        CheckpointError: K490, it looks like an address, but is none.
    """
    rest = _rest(place)
    if rest is None:
        return None
    found = _WHOLE.fullmatch(rest)
    repository, revision = (found[1], found[2]) if found else ("", None)
    require_repository(repository, f"hub://{rest}")
    if revision is not None and not is_revision(revision):
        raise CheckpointError("K490", f"{printable(f'hub://{rest}')} has no valid revision behind the @", _EXAMPLE)
    return HubAddress(repository, revision or MAIN)


def require_repository(name: str, given: str | None = None) -> str:
    """The name of a repository as `push` takes it, `OWNER/NAME`.

    Args:
        name: The name to examine.
        given: What the user wrote, for the message; None for the name itself.

    Raises:
        CheckpointError: K490, it is no such name.
    """
    if _REPOSITORY.fullmatch(name) is None or "--" in name or ".." in name or name.endswith(".git"):
        shown = printable(name if given is None else given)
        raise CheckpointError("K490", f"{shown} does not name a run on the Hugging Face Hub", _EXAMPLE)
    return name


def is_revision(text: str) -> bool:
    """Whether a text may name a branch, a tag or a commit; those of git that lead out of a folder may not."""
    parts = text.split("/")
    return _REVISION.fullmatch(text) is not None and ".." not in text and all(parts) and not text.endswith(".lock")


def _rest(place: str | os.PathLike[str]) -> str | None:
    found = _LIKE_ONE.fullmatch(os.fspath(place).replace("\\", "/"))
    return None if found is None else found[1]
