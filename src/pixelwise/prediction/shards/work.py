"""The work of a prediction into tars: one function, which any engine may call, anywhere, as often as it likes."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pixelwise.errors import DataError
from pixelwise.observer import SILENT, Observer
from pixelwise.prediction.annotation_files import MAP_ENDINGS, POLYGONS, annotations_of
from pixelwise.prediction.background import in_background
from pixelwise.prediction.engine.engine import Engine
from pixelwise.prediction.loading import load
from pixelwise.prediction.options import PredictOptions
from pixelwise.prediction.outcomes import Outcome
from pixelwise.prediction.predict import apply_options, outcomes, steps_of
from pixelwise.prediction.prediction import Prediction
from pixelwise.prediction.receipts.created import PATIENCE
from pixelwise.prediction.receipts.ledger import Facts
from pixelwise.prediction.segmenter import Segmenter
from pixelwise.prediction.shards.commits import Commits, Predicted, Receipt
from pixelwise.prediction.shards.packing import Packer
from pixelwise.prediction.shards.units import Picture, Unit, marks_match
from pixelwise.recipes.class_sets.tables import IGNORE
from pixelwise.records.problems import Problem
from pixelwise.storage import printable
from pixelwise.storage.stores.addresses import place_of
from pixelwise.storage.stores.ahead import fetch
from pixelwise.storage.stores.answers import way_out
from pixelwise.storage.stores.members import Member

_FETCHED = 64
"""Number of images of another machine that are fetched together."""


class Job(NamedTuple):
    """What predicts, for workers of other processes and machines.

    Attributes:
        name: Its name: equal for two predictions of the same image only if they write the same files.
        run: Run folder or artefact, which the workers can read.
        options: Options of the prediction.
        output: Folder or address of the output.
        given: Addresses as they were given, with what gives access.
    """

    name: str
    run: Path
    options: PredictOptions
    output: Path
    given: tuple[str, ...] = ()


class Known(NamedTuple):
    """What is known of an image that was predicted, or that failed.

    Attributes:
        files: What was written, relative to the folder of the prediction.
        facts: What the summary of a prediction says of it.
        pixels: See `Predicted.pixels`.
        problem: Its error; None if it was predicted.
    """

    files: tuple[str, ...] = ()
    facts: Facts = Facts()
    pixels: tuple[int, ...] = ()
    problem: Problem | None = None


def load_for(job: Job) -> Engine:
    """The network of a job, in any process.

    Raises:
        As `pixelwise.prediction.loading.load`.
    """
    for address in job.given:
        place_of(address)
    options = job.options
    segmenter = load(
        job.run, device=options.device, window=options.window, overrides=options.overrides, trust=options.trust
    )
    apply_options(options, segmenter)
    return Engine(segmenter)


def open_worker(job: Job) -> Callable[[Unit], Receipt]:
    """What predicts the units of a job in a worker.

    Raises:
        As `load_for`.
    """
    engine, commits = load_for(job), Commits(job.output, job.name)
    return lambda unit: predict_shard(unit, engine, commits, job)


def predict_shard(unit: Unit, engine: Engine, commits: Commits, job: Job, observer: Observer = SILENT) -> Receipt:
    """Predict the images of a unit, and put a tar and a receipt into the output.

    The work may be done more than once, for example by a worker that is believed dead; what is visible comes from one
    of them. A bad image is an entry of the receipt. An image that ends the process is found when the unit is attempted
    for the third time: from then on its images are predicted by further processes, fewer and fewer at a time.

    Args:
        unit: The unit.
        engine: Predicts with the segmenter of the job.
        commits: The receipts of the job.
        job: The job.
        observer: Receives the number of images that are done.

    Returns:
        The receipt of the unit, whoever wrote it.

    Raises:
        DataError: D271, the images are not those that the unit was named after; D272, their store does not answer; with
            `strict`, the error of the first bad image.
        ResourceError: S601, a disk is full; S611, the output cannot be written.
    """
    found = commits.receipt(unit.name)
    if found is not None:
        return found
    marks_match(unit)
    attempts = commits.attempt(unit.name)
    segmenter = engine.given
    multilabel = segmenter.classes if segmenter.model.multilabel else ()
    with tempfile.TemporaryDirectory(prefix="pixelwise-") as scratch:
        folder = Path(scratch)
        if attempts > PATIENCE:
            # Imported here: it uses this module.
            from pixelwise.prediction.shards.careful import predict_carefully

            known = predict_carefully(unit.pictures, job, folder)
        else:
            known = predict_some(unit.pictures, engine, job.options, folder, observer)
        packer, images = Packer(folder, multilabel), []
        with contextlib.closing(known):
            try:
                for picture, one in zip(unit.pictures, known, strict=True):
                    images.append(_entry(picture, one, packer.add(picture.key, one.files) if one.files else {}))
                    observer.progress(len(images), len(unit.pictures))
                packed = packer.finish()
            finally:
                packer.abandon()
        name, size = (f"{unit.name}-{packed.mark}.tar", packed.size) if packed else ("", 0)
        receipt = Receipt(unit=unit.name, tar=name, size=size, images=tuple(images))
        return commits.commit(receipt, packed and packed.file, attempts)


def predict_some(
    pictures: Sequence[Picture],
    engine: Engine,
    options: PredictOptions,
    folder: Path,
    observer: Observer = SILENT,
) -> Generator[Known, None, None]:
    """Predict images and write their files below a folder.

    Yields:
        What is known of each image, in order.

    Raises:
        DataError: D272, the store of an image does not answer; with `strict`, the error of the first bad image.
    """
    segmenter = engine.given
    polygons = None if options.polygons is None else annotations_of(options.polygons, folder, segmenter.classes)
    steps = steps_of(segmenter, folder, options, polygons, observer)
    images = (picture.image for picture in _fetched(pictures))
    with contextlib.closing(outcomes(steps, engine, images, SILENT)) as found:
        for outcome in found:
            yield _known(outcome, folder, segmenter, strict=options.strict)


def _fetched(pictures: Sequence[Picture]) -> Iterator[Picture]:
    """The images; those of other machines are asked for many at a time, while the last ones are predicted."""
    parts = [pictures[start : start + _FETCHED] for start in range(0, len(pictures), _FETCHED)]

    def fetched(some: Sequence[Picture]) -> list[Picture]:
        found = list(some)
        fetch(picture.image.path for picture in found)
        return found

    with contextlib.closing(in_background(fetched, parts, ahead=1)) as several:
        for some in several:
            yield from some


def _known(outcome: Outcome, folder: Path, segmenter: Segmenter, *, strict: bool) -> Known:
    value, source = outcome.value, outcome.source
    if isinstance(value, DataError):
        raise_if_unreachable(source.path)
        if strict:
            raise value
        file = printable(source.path)
        return Known(problem=Problem(file=file, code=value.code, message=value.message, help=value.help))
    files = outcome.files
    for ending in MAP_ENDINGS.values():
        outlines = folder / POLYGONS / source.name.with_name(f"{source.name.name}{ending}")
        if outlines.is_file():
            files = (*files, outlines.relative_to(folder).as_posix())
    pixels = ()
    if isinstance(value, Prediction):
        pixels = _pixels(value, len(segmenter.classes))
    return Known(files, Facts(outcome.animated, outcome.lost), pixels)


def _pixels(prediction: Prediction, classes: int) -> tuple[int, ...]:
    labels = prediction.labels
    if prediction.multilabel:
        return (*(int(plane.sum()) for plane in labels), 0)
    counts = np.bincount(labels.ravel(), minlength=IGNORE + 1)
    return (*counts[:classes].tolist(), int(counts[IGNORE]))


def raise_if_unreachable(path: Path) -> None:
    """Tell a bad image from one that its store does not give, which may be different the next time.

    Raises:
        DataError: D272, the store does not answer.
    """
    place = path.place if isinstance(path, Member) else None
    if place is None or not place.store.far:
        return
    try:
        place.content()
    except OSError as error:
        raise DataError(
            "D272",
            f"{printable(path)}: cannot be read: {error.strerror or error}",
            way_out(error, "check the address and the network")
            + "; then give the same command again; what is done is kept",
        ) from None


def _entry(picture: Picture, known: Known, files: dict) -> Predicted:
    return Predicted(
        name=printable(picture.name),
        key=picture.key,
        files=files,
        pixels=known.pixels,
        facts=known.facts,
        problem=known.problem,
    )
