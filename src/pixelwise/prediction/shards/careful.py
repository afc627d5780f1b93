"""Predicts images one of which may end the process that does it: a decoder that crashes, too little memory."""

from __future__ import annotations

import functools
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path

from pixelwise.machine.careful import by_processes
from pixelwise.prediction.shards.units import Picture
from pixelwise.prediction.shards.work import Job, Known, load_for, predict_some
from pixelwise.records.problems import Problem
from pixelwise.storage import printable


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
    found = by_processes(pictures, functools.partial(_predict, job, folder), Known, folder)
    for number, picture in enumerate(pictures):
        yield found[number] if number in found else Known(problem=deadly(picture.image.path))


def _predict(job: Job, folder: Path, pictures: Sequence[Picture]) -> Iterator[Known]:
    return predict_some(pictures, load_for(job), job.options, folder)


def deadly(path: Path) -> Problem:
    """D136, the problem of an image that ends every process."""
    file = printable(path)
    return Problem(
        file=file,
        code="D136",
        message=f"{file}: the process that predicts it ends, each time",
        help="it is damaged in a way that its decoder does not survive, or needs more memory than there is: write it "
        "again with another program, or predict it alone on a machine with more memory",
    )
