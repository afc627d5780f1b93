"""Work on items one of which may end the process that does it: a decoder that crashes, too little memory.

Further processes do the work, and note every item that is done. When one dies, what is left is divided between two
processes, until a process has a single item: it is the one, if another process dies of it too.
"""

from __future__ import annotations

import contextlib
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from pixelwise.errors import PixelwiseError

_CALL = "import sys; from pixelwise.machine.careful import work; work(sys.argv[1], sys.argv[2])"

Found = TypeVar("Found")
Some = Callable[[Sequence[Any]], Iterable[Any]]
"""Does the work on some items, in order: something of each that JSON can hold."""


def by_processes(items: Sequence[Any], do: Some, kind: type[Found], folder: Path) -> dict[int, Found]:
    """Do work on items by further processes.

    Args:
        items: The items, which can be pickled.
        do: The work, which can be pickled.
        kind: Type of what it yields.
        folder: Folder for the notes of the processes.

    Returns:
        The position of each item -> what was found of it, without the items that end every process.

    Raises:
        PixelwiseError: A process ended with it.
    """
    found: dict[int, Found] = {}
    waiting = [list(range(len(items)))]
    while waiting:
        some = waiting.pop()
        found |= _by_process([(number, items[number]) for number in some], do, kind, folder)
        left = [number for number in some if number not in found]
        if len(left) == 1 and len(some) == 1:
            found |= _by_process([(left[0], items[left[0]])], do, kind, folder)
        elif left:
            half = -(-len(left) // 2)
            waiting += [part for part in (left[half:], left[:half]) if part]
    return found


def _by_process(items: Sequence[tuple[int, Any]], do: Some, kind: type[Found], folder: Path) -> dict[int, Found]:
    """What a process found before it ended.

    Raises:
        PixelwiseError: The process ended with it.
    """
    task, notes = folder / "task", folder / "notes"
    task.write_bytes(pickle.dumps((do, folder, items)))
    notes.write_bytes(b"")
    done = subprocess.run([sys.executable, "-c", _CALL, task, notes], capture_output=True, check=False)
    failure = folder / "failure"
    if failure.is_file():
        raise pickle.loads(failure.read_bytes())
    found = {}
    for line in notes.read_bytes().splitlines():
        with contextlib.suppress(msgspec.DecodeError):  # it died while it wrote this one
            position, one = msgspec.json.decode(line, type=tuple[int, msgspec.Raw])
            found[position] = msgspec.json.decode(one, type=kind)
    if not found and not done.returncode:
        raise AssertionError(done.stderr.decode(errors="replace"))
    return found


def work(task: str, notes: str) -> None:
    """What a process does: the work on some items, and a note of each.

    Args:
        task: File with what is to be done.
        notes: File for what is done.
    """
    do, folder, items = pickle.loads(Path(task).read_bytes())
    with open(notes, "ab", buffering=0) as file:
        try:
            for (position, _), one in zip(items, do([item for _, item in items]), strict=True):
                file.write(msgspec.json.encode((position, one)) + b"\n")
        except PixelwiseError as error:
            (folder / "failure").write_bytes(pickle.dumps(error))
