"""Watches where a process writes: an audit hook that records new files outside the permitted folders."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

_permitted: list[str] = []
_outside: list[str] = []
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
# The arguments of each event that name what appears.
_EVENTS = {"open": (0,), "os.mkdir": (0,), "os.rename": (1,), "os.link": (1,), "os.symlink": (1,)}


def watch(permitted: Sequence[str]) -> None:
    """Begin to record; the paths must be absolute. An empty sequence pauses."""
    if permitted and not hasattr(_hook, "installed"):
        sys.addaudithook(_hook)
        _hook.installed = True  # type: ignore[attr-defined]
    _permitted[:] = permitted
    _outside.clear()


def written_outside() -> list[str]:
    """What has been written outside the permitted folders since `watch`."""
    return list(_outside)


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if not _permitted or event not in _EVENTS:
        return
    if event == "open" and not (isinstance(arguments[2], int) and arguments[2] & _WRITING):
        return
    for number in _EVENTS[event]:
        path = arguments[number]
        if isinstance(path, (str, bytes, os.PathLike)):
            name = os.path.abspath(os.fsdecode(path))
            if event == "os.mkdir" and os.path.isdir(name):
                continue  # nothing appears
            if name != os.devnull and not any(name == one or name.startswith(one + os.sep) for one in _permitted):
                _outside.append(name)
