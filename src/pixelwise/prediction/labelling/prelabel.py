"""Pre-labels of unlabelled images: a data set of masks with open pixels, and `queue.json`, what to correct first."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import functools
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from torch import Tensor

from pixelwise.backbones.base import Encoder
from pixelwise.datasets.layouts.description import is_described
from pixelwise.errors import DataError, RecipeError
from pixelwise.observer import SILENT, Observer, observing
from pixelwise.options import chosen
from pixelwise.prediction.engine.engine import Engine
from pixelwise.prediction.inputs import Input, Inputs, find_inputs
from pixelwise.prediction.labelling.encoding import Encoding, describe, encoding_of
from pixelwise.prediction.labelling.listing import write_queue
from pixelwise.prediction.labelling.options import PrelabelOptions
from pixelwise.prediction.labelling.signals import (
    SIGNALS,
    Signals,
    described,
    kept_labels,
    layout_of,
    measured,
    read_signals,
)
from pixelwise.prediction.options import PredictOptions
from pixelwise.prediction.outcomes import MASKS, Outcome, writer
from pixelwise.prediction.predict import Steps, predict_all
from pixelwise.prediction.prediction import Prediction
from pixelwise.prediction.receipts.jobs import job_of
from pixelwise.prediction.receipts.ledger import Ledger
from pixelwise.prediction.receipts.summaries import PredictSummary, Record
from pixelwise.prediction.segmenter import Segmenter
from pixelwise.records.problems import append_problems, clear_problems
from pixelwise.storage import json_text, printable, sha256_bytes, sha256_file, write_bytes, write_text
from pixelwise.storage.documents import DocumentError, read_json
from pixelwise.storage.locks import writing_alone

IMAGES = "images"
SETTINGS = "prelabel.json"
"""File that says how the masks of a folder were made; written first."""
_STAGE = ".stage"
"""Folder in which masks are made before their signals are written."""
VERSION = 1
"""Counts the ways in which signals have been computed so far."""


class PrelabelSummary(msgspec.Struct, frozen=True, kw_only=True):
    """Summary of a call.

    Attributes:
        predicted: What was predicted, and the errors of bad files.
        corrected: Number of images whose masks were corrected since they were made, and are left as they are.
        pixels: Number of pixels of all pre-labels that were not corrected.
        kept: Number of those that have a label; the others are left open.
        queued: Number of images in `queue.json`.
    """

    predicted: PredictSummary
    corrected: int
    pixels: int
    kept: int
    queued: int

    @property
    def open_share(self) -> float:
        """Share of the pixels that are left open, 0..1; 0 if there are none."""
        return 1 - self.kept / self.pixels if self.pixels else 0.0


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Content of `prelabel.json`.

    Attributes:
        sure: Probability from which on pixels were kept.
        classes: Class names.
        values: Pixel value of each class.
        ignored: Value of open pixels.
    """

    sure: float
    classes: tuple[str, ...]
    values: tuple[int, ...]
    ignored: int


def prelabel_paths(
    segmenter: Segmenter,
    paths: Sequence[str | os.PathLike[str]],
    output: Path,
    options: PrelabelOptions | None = None,
    *,
    observer: Observer = SILENT,
    **changes: Any,
) -> PrelabelSummary:
    """Write pre-labels for every image given by `paths`.

    Writes `images/` (copies of the images), `masks/`, `dataset.toml`, `queue.json` and, for the next call,
    `signals/` and `prelabel.json` below `output`. Masks that were changed since they were written are corrected ones,
    which no call overwrites.

    Args:
        segmenter: Segmenter that predicts.
        paths: Image files, folders and patterns.
        output: Folder for all files that are written.
        options: Options; None for the defaults.
        observer: Receives progress after every file.
        changes: Single fields of `PrelabelOptions`.

    Raises:
        CheckpointError: K466, an artefact outputs class ids, without probabilities.
        DataError: D223, one of `paths` yields no image; with `strict`, the error of the first bad file.
        RecipeError: R220, an input is inside the output; R221, the output holds data that are no pre-labels of these
            classes; R222, the network is multi-label; R260, an option is out of range.
        RunLockedError: L701, another process writes to `output`.
        ResourceError: S601, the disk is full.
    """
    start = time.monotonic()
    observer = observing(observer, changes)
    options = chosen(PrelabelOptions, options, changes)
    if segmenter.model.multilabel:
        raise RecipeError(
            "R222",
            "a pre-label has one class per pixel, but the model is multi-label",
            "`pixelwise predict` writes one mask per class",
        )
    segmenter.require_scores()
    inputs = find_inputs(paths, [output])
    encoding = encoding_of(segmenter)
    with writing_alone(output):
        _begin(output, segmenter, encoding, options)
        corrected = [one for one in inputs.images if _is_corrected(output, one)]
        left = set(map(id, corrected))
        waiting = inputs._replace(images=[one for one in inputs.images if id(one) not in left])
        summary = _predict(segmenter, output, waiting, encoding, options, observer)
        numbers = write_queue(
            output, segmenter.classes, _signals(output, waiting.images), _signals(output, corrected), options.sure
        )
    summary = msgspec.structs.replace(summary, seconds=time.monotonic() - start)
    return PrelabelSummary(
        predicted=summary,
        corrected=len(corrected),
        pixels=numbers.pixels,
        kept=numbers.kept,
        queued=numbers.queued,
    )


def _begin(output: Path, segmenter: Segmenter, encoding: Encoding, options: PrelabelOptions) -> None:
    """Claim the output folder; refuse one that holds the labels of somebody, or pre-labels in another encoding."""
    settings = Settings(sure=options.sure, classes=segmenter.classes, values=encoding.values, ignored=encoding.ignored)
    try:
        before = read_json(output / SETTINGS, Settings)
    except DocumentError as error:
        before = None
        occupied = any((output / name).is_dir() and any((output / name).iterdir()) for name in (MASKS, IMAGES))
        if not error.missing or occupied or is_described(output):
            raise RecipeError(
                "R221",
                f"{printable(output)} holds data that are not pre-labels (there is no valid {SETTINGS} in it)",
                "choose another `output`, so that no label is overwritten",
            ) from None
    if before is not None and msgspec.structs.replace(before, sure=options.sure) != settings:
        raise RecipeError(
            "R221",
            f"{printable(output)} holds pre-labels of other classes or values: {', '.join(before.classes[:3])}, ...",
            "choose another `output`, so that masks of different meaning are not mixed",
        )
    write_text(output / SETTINGS, json_text(settings))
    describe(output, segmenter, encoding)
    clear_problems(output)


def _predict(
    segmenter: Segmenter,
    output: Path,
    inputs: Inputs,
    encoding: Encoding,
    options: PrelabelOptions,
    observer: Observer,
) -> PredictSummary:
    # With probabilities, images are predicted one by one, as their scores are needed.
    how = PredictOptions(overlay=False, mask_format=encoding.format, probabilities=True)
    job = sha256_bytes(f"{job_of(segmenter, how)} {options.sure!r} {VERSION}".encode())[:32]
    ledger = Ledger(output, job, again=options.again)
    record = Record(strict=options.strict, write=lambda problem: append_problems(output, [problem]))
    engine = _Looking(segmenter, len(inputs.images))
    write = functools.partial(
        _write, output=output, sure=options.sure, looks=engine.looks, write=writer(segmenter, output / _STAGE, how)
    )
    try:
        with ledger.opened(), engine.looking():
            return predict_all(Steps(segmenter, _refused, write, how), engine, inputs, ledger, record, observer)
    finally:
        shutil.rmtree(output / _STAGE, ignore_errors=True)


class _Looking(Engine):
    """An engine that remembers how each image looked to the network.

    Attributes:
        looks: Identity of a prediction that is not written yet -> the means of the coarsest feature map over the image.
    """

    def __init__(self, segmenter: Segmenter, images: int) -> None:
        super().__init__(segmenter, images)
        self.looks: dict[int, np.ndarray] = {}
        self._means: list[np.ndarray] = []

    @functools.cached_property
    def segmenter(self) -> Segmenter:
        """The segmenter for images that are predicted alone."""
        found = copy.copy(super().segmenter)  # which may be the one that was given
        predict = found.predict

        def looking(pixels: Any, scores: bool = False) -> Any:
            self._means.clear()
            prediction = predict(pixels, scores=scores)
            look = np.mean(self._means, 0) if self._means else layout_of(prediction.scores)
            self.looks[id(prediction)] = look
            return prediction

        found.predict = looking  # type: ignore[method-assign]
        return found

    @contextlib.contextmanager
    def looking(self) -> Iterator[None]:
        """Context in which the encoder, if the network has one, tells how it sees an image."""
        encoder = next((one for one in self.segmenter.model.modules() if isinstance(one, Encoder)), None)
        if encoder is None:
            yield
            return
        handle = encoder.register_forward_hook(lambda _, __, maps: self._means.append(_means(maps)))
        try:
            yield
        finally:
            handle.remove()


def _means(maps: Sequence[Tensor]) -> np.ndarray:
    with torch.no_grad():
        return maps[-1].float().mean((0, 2, 3)).cpu().numpy().astype(np.float64)


def _refused(outcome: Outcome) -> Outcome:
    """The error of an image that could only be predicted in parts."""
    error = DataError(
        "D120",
        f"{printable(outcome.source.path)}: no pre-label, since it is predicted in parts: {outcome.value}",
        "cut it into tiles, or write its masks with `pixelwise predict`",
    )
    return outcome._replace(value=error)


def _write(
    outcome: Outcome, *, output: Path, sure: float, looks: dict[int, np.ndarray], write: Callable[[Outcome], Outcome]
) -> Outcome:
    """Write image, mask and signals of an outcome, if it has a prediction; returns the outcome."""
    prediction = outcome.value
    if not isinstance(prediction, Prediction) or prediction.scores is None:
        return outcome
    labels = kept_labels(prediction, sure)
    look = looks.pop(id(prediction))
    image = _image_of(outcome.source)
    try:
        content = outcome.source.path.read_bytes()
    except OSError as error:
        problem = DataError(
            "D101", f"{printable(outcome.source.path)}: it cannot be copied ({error.strerror})", "copy it to a folder"
        )
        return outcome._replace(value=problem)
    write_bytes(output / image, content)
    done = write(outcome._replace(value=dataclasses.replace(prediction, labels=labels, scores=None)))
    masks = {name: (output / _STAGE / name).read_bytes() for name in done.files}
    path, mask = _signals_of(outcome.source), done.files[0]
    before = read_signals(output / path)
    signals = Signals(
        image=image.as_posix(),
        mask=mask,
        # A mask that was not corrected has one of these sums whenever the process is killed.
        sha256=(sha256_bytes(masks[mask]), *(before.sha256[:1] if before is not None else ())),
        features=described(look),
        **measured(prediction.scores, labels, outcome.place.missing if outcome.place is not None else None),
    )
    write_bytes(output / path, msgspec.json.encode(signals))
    for name, made in masks.items():
        write_bytes(output / name, made)
        (output / _STAGE / name).unlink()
    return done._replace(files=(*done.files, image.as_posix(), path.as_posix()))


def _image_of(source: Input) -> Path:
    return Path(IMAGES) / source.name.with_name(source.name.name + source.path.suffix.lower())


def _signals_of(source: Input) -> Path:
    return Path(SIGNALS) / source.name.with_name(f"{source.name.name}.json")


def _is_corrected(output: Path, source: Input) -> bool:
    """Whether somebody has changed the mask of an image, or put one there."""
    found = read_signals(output / _signals_of(source))
    masks = [output / MASKS / source.name.with_name(source.name.name + ending) for ending in (".png", ".tif")]
    there = [mask for mask in masks if mask.is_file()]
    return any(found is None or sha256_file(mask) not in found.sha256 for mask in there)


def _signals(output: Path, sources: Sequence[Input]) -> list[Signals]:
    found = [read_signals(output / _signals_of(source)) for source in sources]
    return [one for one in found if one is not None]
