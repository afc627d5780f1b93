"""Rows, cells and remarks of a report, computed from results."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from pixelwise.evaluation.result import ClassResult, Result
from pixelwise.reports.numbers import count, percent, share
from pixelwise.recipes.catalog import recipe as find_recipe
from pixelwise.errors import RecipeError
from pixelwise.recipes.schema import Recipe, to_plain
from pixelwise.reports.run_records import RunRecords

FEW_IMAGES = 30
SHOWN_CONFUSIONS = 8
# Cividis at 0, 1/4, ... 1: even in lightness, and the same for colour-blind eyes.
_CIVIDIS = ((0, 34, 78), (65, 77, 107), (124, 123, 120), (188, 174, 108), (254, 232, 56))


class ClassRow(NamedTuple):
    """A class in the table, everything but the bar's width as text."""

    name: str
    iou: str
    width: float
    accuracy: str
    precision: str
    pixels: str
    share: str
    images: str
    single: bool
    worst_image: str
    worst_iou: str


class Cell(NamedTuple):
    """A cell of the confusion matrix.

    Attributes:
        text: Percent of the row, empty for nothing.
        title: The exact count in words.
        color: Background.
        dark: Whether the background is dark, so that the text must be light.
    """

    text: str
    title: str
    color: str
    dark: bool


class Confusion(NamedTuple):
    """A frequent mistake: `truth` taken for `prediction` in `share` of its pixels."""

    truth: str
    prediction: str
    share: str
    pixels: str


def class_rows(result: Result) -> list[ClassRow]:
    """Classes by IoU, the best first; those without one last."""
    labelled = sum(entry.pixels for entry in result.per_class)
    ordered = sorted(result.per_class, key=lambda entry: (math.isnan(entry.iou), -_or_zero(entry.iou)))
    return [_class_row(entry, labelled) for entry in ordered]


def _class_row(entry: ClassResult, labelled: int) -> ClassRow:
    return ClassRow(
        name=entry.name,
        iou=percent(entry.iou),
        width=round(100 * _or_zero(entry.iou), 2),
        accuracy=percent(entry.accuracy),
        precision=percent(entry.precision),
        pixels=count(entry.pixels),
        share=share(entry.pixels / labelled) if labelled else "0",
        images=count(entry.images),
        single=entry.images == 1,
        worst_image=entry.worst_image or "",
        worst_iou=percent(entry.worst_image_iou, 1),
    )


def confusion_cells(result: Result) -> list[list[Cell]]:
    """The confusion matrix, each row divided by its sum."""
    names = [entry.name for entry in result.per_class]
    return [
        [_cell(pixels, sum(row), names[truth], names[prediction]) for prediction, pixels in enumerate(row)]
        for truth, row in enumerate(result.confusion_matrix)
    ]


def _cell(pixels: int, total: int, truth: str, prediction: str) -> Cell:
    part = pixels / total if total else 0.0
    red, green, blue = cividis(part)
    whole = "of its pixels" if total else "it has no labelled pixel"
    return Cell(
        text=f"{100 * part:.0f}" if part >= 0.005 else "·" if pixels else "",
        title=f"{truth} taken for {prediction}: {count(pixels)} px, {share(part)} % {whole}",
        color=f"rgb({red} {green} {blue})",
        dark=part < 0.5,
    )


def cividis(fraction: float) -> tuple[int, int, int]:
    """The colour of `fraction` (0..1), dark blue to yellow."""
    position = min(max(fraction, 0.0), 1.0) * (len(_CIVIDIS) - 1)
    index = min(int(position), len(_CIVIDIS) - 2)
    weight = position - index
    low, high = _CIVIDIS[index], _CIVIDIS[index + 1]
    red, green, blue = (round(a + (b - a) * weight) for a, b in zip(low, high, strict=True))
    return red, green, blue


def frequent_confusions(result: Result) -> list[Confusion]:
    """The mistakes that take the largest share of a class, most severe first."""
    names = [entry.name for entry in result.per_class]
    found = []
    for truth, row in enumerate(result.confusion_matrix):
        total = sum(row)
        for prediction, pixels in enumerate(row):
            if truth != prediction and pixels:
                found.append((pixels / total, pixels, names[truth], names[prediction]))
    found.sort(key=lambda entry: (-entry[0], -entry[1]))
    return [
        Confusion(truth, prediction, share(part), count(pixels))
        for part, pixels, truth, prediction in found[:SHOWN_CONFUSIONS]
    ]


def remarks(run: RunRecords, result: Result) -> list[str]:
    """What a reader has to know before believing the number, as sentences."""
    found = [*_remarks_on_classes(result)]
    if result.images < FEW_IMAGES:
        found.append(f"Only {result.images} images were scored: the next {result.images} may differ by points.")
    found.append(
        f"One run with seed {run.recipe.sampling.seed}; repeated runs with other seeds differ, "
        "typically by half a point to a point on a small data set."
    )
    if run.recipe.selection.weights == "best":
        selected = f"The weights are the best of the evaluations on {run.recipe.selection.split}"
        same = run.recipe.selection.split == result.split
        found.append(f"{selected}, which is the split scored here: the number is optimistic." if same else f"{selected}.")
    changes = changed_fields(run.recipe)
    if changes:
        found.append(f"This run changes the recipe “{run.recipe.name}”: {'; '.join(changes)}.")
    skipped, resumes = len(run.of_kind("skipped")), len(run.of_kind("resume"))
    if skipped:
        found.append(f"{skipped} training steps changed nothing (non-finite or nothing labelled).")
    if resumes:
        found.append(f"Training was interrupted and resumed {resumes} times.")
    found += [note for note in (run.recipe.notes, run.recipe.published.note if run.recipe.published else "") if note]
    return found


def _remarks_on_classes(result: Result) -> list[str]:
    absent = [entry.name for entry in result.per_class if math.isnan(entry.iou)]
    invented = [entry.name for entry in result.per_class if not entry.pixels and entry.iou == 0]
    rare = [entry.name for entry in result.per_class if entry.images == 1]
    found = []
    if absent:
        found.append(f"In neither labels nor predictions, so without an IoU: {', '.join(absent)}.")
    if invented:
        found.append(f"Predicted although no label has it, which counts as IoU 0: {', '.join(invented)}.")
    if rare:
        found.append(f"Labelled in one image only, so their scores say little: {', '.join(rare)}.")
    return found


def changed_fields(recipe: Recipe) -> list[str]:
    """How a run's recipe differs from the catalogue's of the same name: `optimizer.lr 0.01 instead of 0.001`.

    The class names and colours that a run fills in from its data are no change.
    """
    try:
        original = _flat(to_plain(find_recipe(recipe.name)))
    except RecipeError:
        return []
    ours = _flat(to_plain(recipe))
    keys = [key for key in {**original, **ours} if key not in ("data.classes", "data.palette")]
    return [
        f"{key} {ours.get(key, 'unset')} instead of {original.get(key, 'unset')}"
        for key in keys
        if ours.get(key) != original.get(key)
    ]


def _flat(plain: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in plain.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def _or_zero(value: float) -> float:
    return 0.0 if math.isnan(value) else value


def shortened(names: Sequence[str]) -> str:
    """`a, b and 3 more`: at most six names."""
    return ", ".join(names) if len(names) <= 6 else f"{', '.join(names[:5])} and {len(names) - 5} more"
