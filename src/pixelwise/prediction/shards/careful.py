"""Prediction of images one of which may end the process that predicts it: a decoder that crashes, too little memory.

Further processes predict them, and note every image that is done. When one dies, what is left is divided between two
processes, until a process has a single image: it is the one, if another process dies of it too.
"""

from __future__ import annotations

import contextlib
import pickle
import subprocess
import sys
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path

import msgspec

from pixelwise.errors import PixelwiseError
from pixelwise.prediction.shards.units import Picture
from pixelwise.prediction.shards.work import Job, Known, load_for, predict_some
from pixelwise.records.problems import Problem
from pixelwise.storage import printable

_CALL = "import sys; from pixelwise.prediction.shards.careful import work; work(sys.argv[1], sys.argv[2])"


class _Note(msgspec.Struct, frozen=True):
    """What a process notes of an image: its position among those that it was given, and what is known of it."""

    position: int
    known: Known


def predict_carefully(pictures: Sequence[Picture], job: Job, folder: Path) -> Generator[Known, None, None]:
    """Predict images and write their files below a folder, as `predict_some` does.

    Args:
        pictures: The images.
        job: The job, whose run is loaded by every process.
        folder: Folder for what is written.

    Yields:
        What is known of each image, in order. The problem of one that ends every process is D136.

    Raises:
        PixelwiseError: As `predict_some`.
    """
    found: dict[int, Known] = {}
    waiting = [list(range(len(pictures)))]
    while waiting:
        some = waiting.pop()
        found |= _by_process([(number, pictures[number]) for number in some], job, folder)
        left = [number for number in some if number not in found]
        if len(left) == 1 and len(some) == 1:
            found |= _by_process([(left[0], pictures[left[0]])], job, folder)
            found.setdefault(left[0], Known(problem=_deadly(pictures[left[0]])))
        elif left:
            half = -(-len(left) // 2)
            waiting += [part for part in (left[half:], left[:half]) if part]
    yield from (found[number] for number in range(len(pictures)))


def _by_process(pictures: Sequence[tuple[int, Picture]], job: Job, folder: Path) -> dict[int, Known]:
    """What a process found before it ended.

    Raises:
        PixelwiseError: The process ended with it.
    """
    task, notes = folder / "task", folder / "notes"
    task.write_bytes(pickle.dumps((job, folder, pictures)))
    notes.write_bytes(b"")
    done = subprocess.run([sys.executable, "-c", _CALL, task, notes], capture_output=True, check=False)
    failure = folder / "failure"
    if failure.is_file():
        raise pickle.loads(failure.read_bytes())
    found = {}
    for line in notes.read_bytes().splitlines():
        with contextlib.suppress(msgspec.DecodeError):  # it died while it wrote this one
            note = msgspec.json.decode(line, type=_Note)
            found[note.position] = note.known
    if not found and not done.returncode:
        raise AssertionError(done.stderr.decode(errors="replace"))
    return found


def _deadly(picture: Picture) -> Problem:
    file = printable(picture.image.path)
    return Problem(
        file=file,
        code="D136",
        message=f"{file}: the process that predicts it ends, each time",
        help="it is damaged in a way that its decoder does not survive, or needs more memory than there is: write it "
        "again with another program, or predict it alone on a machine with more memory",
    )


def work(task: str, notes: str) -> None:
    """What a process does: predict the images of a task, and note each.

    Args:
        task: File with what is to be done.
        notes: File for what is done.
    """
    job, folder, pictures = pickle.loads(Path(task).read_bytes())
    with open(notes, "ab", buffering=0) as file:
        try:
            for line in _lines(job, folder, pictures):
                file.write(line)
        except PixelwiseError as error:
            (folder / "failure").write_bytes(pickle.dumps(error))


def _lines(job: Job, folder: Path, pictures: Sequence[tuple[int, Picture]]) -> Iterator[bytes]:
    known = predict_some([picture for _, picture in pictures], load_for(job), job.options, folder)
    for (position, _), one in zip(pictures, known, strict=True):
        yield msgspec.json.encode(_Note(position, one)) + b"\n"
