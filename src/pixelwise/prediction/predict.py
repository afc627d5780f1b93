"""Images, folders and patterns in; masks and overlays out; bad files skipped and written down."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from pixelwise.datasets.findings import Finding
from pixelwise.datasets.reading import read_image
from pixelwise.datasets.samples import Reading
from pixelwise.errors import DataError, PixelwiseError, RecipeError
from pixelwise.evaluation.pairs import in_background
from pixelwise.evaluation.pictures import indexed_png, jpeg
from pixelwise.prediction.inputs import Input, find_inputs
from pixelwise.prediction.segmenter import PaletteName, Prediction, Segmenter, choose_palette
from pixelwise.recipes.classes import IGNORE
from pixelwise.storage import printable, write_bytes

MASKS = "masks"
OVERLAYS = "overlays"
CLASSES = "classes.json"
PROBLEMS = "problems.jsonl"
AHEAD = 4
"""Images read before, and written after, the one that is predicted: bounds the memory."""


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


class _Read(NamedTuple):
    source: Input
    image: np.ndarray | DataError


class _Predicted(NamedTuple):
    source: Input
    prediction: Prediction | DataError


def predict_paths(
    segmenter: Segmenter,
    paths: Sequence[str | os.PathLike[str]],
    output: Path,
    *,
    overlay: bool = True,
    alpha: float = 0.5,
    palette: PaletteName = "official",
    strict: bool = False,
    progress: Callable[[int, int], None] | None = None,
    reading: Reading | None = None,
) -> PredictSummary:
    """Predict every image that `paths` mean.

    Writes `output/masks/NAME.png` (palette PNG, pixel value = class id), `output/overlays/NAME.jpg`
    (for looking at: a tenth of a PNG's size; exact values are in the mask) and
    `output/classes.json`; all of the upright image's own size, and each file complete or not at
    all. A file that cannot be read is skipped and written down in `output/problems.jsonl`.

    Args:
        segmenter: Predicts.
        paths: Image files, folders and patterns.
        output: Folder for everything that is written.
        overlay: Whether overlays are written.
        alpha: Opacity of the colours in overlays, 0..1.
        palette: Colours of masks and overlays.
        strict: Raise the first error instead of skipping its file.
        progress: Told (files done, files in all) after every file.
        reading: How files become arrays; None: as the segmenter does.

    Raises:
        DataError: D223, one of `paths` means no image; with `strict`, the first bad file's error.
        RecipeError: R220, an input lies where predictions are written; R221, `output` holds masks
            of somebody else.
        ResourceError: S601, the disk is full.
        ValueError: `alpha` or `palette` is not one that exists.
    """
    start = time.monotonic()
    colors = choose_palette(segmenter.palette, palette)
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha is {alpha}; expected 0 (image only) to 1 (colours only)")
    inputs = find_inputs(paths, [output / MASKS, output / OVERLAYS])
    _begin(output, segmenter, colors)
    options = reading or segmenter.reading
    total = len(inputs.images) + len(inputs.problems)
    problems: list[Problem] = []

    def read(source: Input) -> _Read:
        try:
            return _Read(source, read_image(source.path, options))
        except DataError as error:
            return _Read(source, error)

    def predicted() -> Iterator[_Predicted]:
        for source, image in in_background(read, inputs.images, ahead=AHEAD):
            yield _Predicted(source, image if isinstance(image, DataError) else segmenter.predict(image))

    def write(item: _Predicted) -> Problem | None:
        source, prediction = item
        if isinstance(prediction, DataError):
            if strict:
                raise prediction
            return _problem(source.path, prediction)
        write_bytes(_below(output / MASKS, source.name, ".png"), indexed_png(prediction.labels, colors))
        if overlay:
            picture = jpeg(prediction.overlay(alpha, palette))
            write_bytes(_below(output / OVERLAYS, source.name, ".jpg"), picture)
        return None

    def note(problem: Problem) -> None:
        problems.append(problem)
        with open(output / PROBLEMS, "ab") as file:
            file.write(msgspec.json.encode(problem) + b"\n")

    for finding in inputs.problems:
        if strict:
            raise DataError(finding.code, finding.message, finding.fix)
        note(_problem_of(finding))
    for done, problem in enumerate(in_background(write, predicted(), ahead=AHEAD), len(inputs.problems) + 1):
        if problem is not None:
            note(problem)
        if progress is not None:
            progress(done, total)
    return PredictSummary(
        ok=total - len(problems),
        failed=len(problems),
        problems=tuple(problems),
        seconds=time.monotonic() - start,
    )


def _begin(output: Path, segmenter: Segmenter, colors: Sequence[tuple[int, int, int]]) -> None:
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
    classes = [
        {"id": class_id, "name": name, "color": "#{:02x}{:02x}{:02x}".format(*color)}
        for class_id, (name, color) in enumerate(zip(segmenter.classes, colors, strict=True))
    ]
    content = msgspec.json.encode({"classes": classes, "ignore": IGNORE})
    write_bytes(output / CLASSES, msgspec.json.format(content, indent=1) + b"\n")
    (output / PROBLEMS).unlink(missing_ok=True)


def _below(folder: Path, name: Path, ending: str) -> Path:
    # Not with_suffix: the name may have a dot of its own.
    return folder / name.with_name(name.name + ending)


def _problem(path: Path, error: PixelwiseError) -> Problem:
    return Problem(file=printable(path), code=error.code, message=error.message, help=error.help)


def _problem_of(finding: Finding) -> Problem:
    file = finding.files[0] if finding.files else ""
    return Problem(file=file, code=finding.code, message=finding.message, help=finding.fix)
