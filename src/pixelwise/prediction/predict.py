"""Images, folders and patterns in; masks and overlays out; bad files skipped and written down."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from pixelwise.datasets.findings import Finding
from pixelwise.datasets.reading.images import read_image
from pixelwise.datasets.samples import Reading
from pixelwise.errors import DataError, PixelwiseError, RecipeError
from pixelwise.prediction.background import in_background
from pixelwise.prediction.inputs import Input, find_inputs
from pixelwise.prediction.mask_formats import MaskFormat, grey_png, mask_encoder, mask_values
from pixelwise.prediction.overlays import jpeg
from pixelwise.prediction.segmenter import PaletteName, Prediction, Segmenter, choose_palette
from pixelwise.recipes.classes.tables import Color
from pixelwise.storage import json_text, printable, write_bytes, write_text

MASKS = "masks"
OVERLAYS = "overlays"
CLASSES = "classes.json"
PROBLEMS = "problems.jsonl"
AHEAD = 2
"""Images read before, and written after, the one that is predicted: five in memory at most."""


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """A file that could not be predicted: one line of `problems.jsonl`.

    Attributes:
        file: Its path, printable.
        code: Of the error, such as `D101`.
        message: What is wrong.
        help: What to do about it.
    """

    file: str
    code: str
    message: str
    help: str


class PredictSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the images.

    Attributes:
        ok: Number of images with a mask.
        failed: Number of files without.
        problems: One per failed file.
        seconds: Wall time.
    """

    ok: int
    failed: int
    problems: tuple[Problem, ...]
    seconds: float


class _Outcome(NamedTuple):
    """An input on its way: read, then predicted; from the first error on only the error is carried."""

    source: Input
    value: np.ndarray | Prediction | DataError


def predict_paths(
    segmenter: Segmenter,
    paths: Sequence[str | os.PathLike[str]],
    output: Path,
    *,
    overlay: bool = True,
    alpha: float = 0.5,
    palette: PaletteName = "official",
    mask_format: MaskFormat = "ids",
    strict: bool = False,
    progress: Callable[[int, int], None] | None = None,
    reading: Reading | None = None,
) -> PredictSummary:
    """Predict every image that `paths` mean.

    A multi-label network's masks are one per class, `masks/CLASS/NAME.png`, 255 where the class is and else 0, which
    can be trained on as they are.

    Writes `masks/NAME.png` (pixel value = class id, or as `mask_format` says), `overlays/NAME.jpg` and `classes.json`
    below `output`, at the upright image's own size. Files that cannot be read are listed in `problems.jsonl`.

    Args:
        segmenter: Predicts.
        paths: Image files, folders and patterns.
        output: Folder for everything that is written.
        overlay: Whether overlays are written.
        alpha: Opacity of the colours in overlays, 0..1.
        palette: Their colours, and those of masks of class ids.
        mask_format: What masks hold: class ids, or the values that a benchmark's server reads.
        strict: Raise the first error, skip none.
        progress: Told (files done, files in all) after every file.
        reading: How files become arrays; None: as the segmenter does.

    Raises:
        DataError: D223, one of `paths` means no image; with `strict`, the first bad file's error.
        RecipeError: R220, an input lies where predictions go; R221, others' masks do; R222, another data set's format.
        ResourceError: S601, the disk is full.
        ValueError: `alpha` or `palette` is not one that exists.
    """
    start = time.monotonic()
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha is {alpha}; expected 0 (image only) to 1 (colours only)")
    colors = choose_palette(segmenter.palette, palette)
    _refuse_format(segmenter, mask_format)
    encode = mask_encoder(mask_format, segmenter.classes, colors)
    inputs = find_inputs(paths, [output / MASKS, output / OVERLAYS])
    _begin(output, segmenter, colors, mask_format)
    total = len(inputs.images) + len(inputs.problems)
    problems = [_problem_of(finding) for finding in inputs.problems]
    if strict and problems:
        raise DataError(problems[0].code, problems[0].message, problems[0].help)
    _write_down(problems, output)
    draw = functools.partial(Prediction.overlay, alpha=alpha, palette=palette) if overlay else None
    write = functools.partial(_write, output=output, encode=encode, draw=draw)
    predictions = _predictions(segmenter, inputs.images, reading or segmenter.reading)
    for done, (source, value) in enumerate(in_background(write, predictions, ahead=AHEAD), len(problems) + 1):
        if isinstance(value, DataError):
            if strict:
                raise value
            problems.append(_problem(source.path, value))
            _write_down(problems[-1:], output)
        if progress is not None:
            progress(done, total)
    return _summary(total, problems, time.monotonic() - start)


def _refuse_format(segmenter: Segmenter, mask_format: MaskFormat) -> None:
    if segmenter.model.multilabel and mask_format != "ids":
        raise RecipeError(
            "R222",
            f"format '{mask_format}' has one class per pixel, but the model is multi-label",
            "leave out --format: one black and white mask per class is written",
        )


def _summary(total: int, problems: Sequence[Problem], seconds: float) -> PredictSummary:
    failed = len(problems)
    return PredictSummary(ok=total - failed, failed=failed, problems=tuple(problems), seconds=seconds)


def _predictions(segmenter: Segmenter, images: Sequence[Input], reading: Reading) -> Iterator[_Outcome]:
    """Predict every image that can be read, while the next ones are read in the background."""

    def read(source: Input) -> _Outcome:
        try:
            return _Outcome(source, read_image(source.path, reading))
        except DataError as error:
            return _Outcome(source, error)

    for source, value in in_background(read, images, ahead=AHEAD):
        yield _Outcome(source, segmenter.predict(value) if isinstance(value, np.ndarray) else value)


def _write(
    outcome: _Outcome,
    *,
    output: Path,
    encode: Callable[[np.ndarray], bytes],
    draw: Callable[[Prediction], np.ndarray] | None,
) -> _Outcome:
    """Write what was predicted; hands the outcome on."""
    if isinstance(outcome.value, Prediction):
        name, labels = outcome.source.name, outcome.value.labels
        if outcome.value.multilabel:
            for class_name, plane in zip(outcome.value.classes, labels, strict=True):
                # A class is a folder: its name may not lead elsewhere.
                folder = output / MASKS / class_name.replace("/", "_")
                write_bytes(_below(folder, name, ".png"), grey_png(plane * np.uint8(255)))
        else:
            write_bytes(_below(output / MASKS, name, ".png"), encode(labels))
        if draw is not None:
            write_bytes(_below(output / OVERLAYS, name, ".jpg"), jpeg(draw(outcome.value)))
    return outcome


def _begin(output: Path, segmenter: Segmenter, colors: Sequence[Color], mask_format: MaskFormat) -> None:
    """Claim the output folder with `classes.json`, and forget the problems of an earlier call.

    Masks are what people make by hand for weeks: a folder of them that is not ours (no
    `classes.json` beside it) is never written to.
    """
    for folder in (output / MASKS, output / OVERLAYS):
        if not (output / CLASSES).is_file() and folder.is_dir() and any(folder.iterdir()):
            raise RecipeError(
                "R221",
                f"{printable(folder)} holds files that are not predictions (there is no {CLASSES} beside it)",
                "choose another --output, so that none of them is overwritten",
            )
    values, ignored = mask_values(mask_format, len(segmenter.classes))
    classes = [
        {"id": value, "name": name, "color": "#{:02x}{:02x}{:02x}".format(*color)}
        for value, name, color in zip(values, segmenter.classes, colors, strict=True)
    ]
    document: dict[str, object] = {"classes": classes, "ignore": ignored}
    if segmenter.model.multilabel:
        document = {"classes": classes, "multilabel": True}
    write_text(output / CLASSES, json_text(document))
    (output / PROBLEMS).unlink(missing_ok=True)


def _write_down(problems: Sequence[Problem], output: Path) -> None:
    if problems:
        with open(output / PROBLEMS, "ab") as file:
            file.writelines(msgspec.json.encode(problem) + b"\n" for problem in problems)


def _below(folder: Path, name: Path, ending: str) -> Path:
    # Not with_suffix: the name may have a dot of its own.
    return folder / name.with_name(name.name + ending)


def _problem(path: Path, error: PixelwiseError) -> Problem:
    return Problem(file=printable(path), code=error.code, message=error.message, help=error.help)


def _problem_of(finding: Finding) -> Problem:
    file = finding.files[0] if finding.files else ""
    return Problem(file=file, code=finding.code, message=finding.message, help=finding.fix)
