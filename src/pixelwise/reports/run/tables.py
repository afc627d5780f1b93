"""Rows, cells and remarks of a report, computed from results."""

from __future__ import annotations

import math
from typing import NamedTuple

from pixelwise.errors import RecipeError
from pixelwise.recipes.catalog import recipe as find_recipe
from pixelwise.recipes.overrides import flat_fields
from pixelwise.recipes.schema.recipe import Recipe, Role, fields_with
from pixelwise.recipes.schema.roles import is_in
from pixelwise.records.log import PlanRecord, ResumeRecord, SkippedRecord
from pixelwise.records.presence import covered_by_miou, presence_of
from pixelwise.records.result import Result
from pixelwise.records.scores import ClassResult
from pixelwise.reports.numbers import NOT_AVAILABLE, count, percent, share
from pixelwise.reports.run.metrics import class_columns, group_values
from pixelwise.reports.run.records import RunRecords
from pixelwise.reports.run.sentences import about_data, about_weights, trained_here
from pixelwise.storage.names import some

FEW_IMAGES = 30
SHOWN_CONFUSIONS = 8
# Strength of a cell's background above which its text has to change colour to keep a contrast of 4.5, in the dark and
# in the light theme.
_MEDIUM, _STRONG = 0.58, 0.85


class ClassRow(NamedTuple):
    """A class in the table; everything is text except the width of the bar and `single`."""

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
    further: tuple[str, ...] = ()


class GroupRow(NamedTuple):
    """A group of images; all fields are text.

    Attributes:
        images: Number of images in the group.
        classes: Number of classes that its mean IoU covers, such as `9 of 11`.
        further: Values of other metrics, in the order of the headings.
    """

    name: str
    images: str
    miou: str
    classes: str
    pixel_accuracy: str
    further: tuple[str, ...]


class Cell(NamedTuple):
    """A cell of the confusion matrix.

    Attributes:
        text: Percent of the row; a dot for less than half a percent, empty for zero.
        title: Tooltip with the exact count.
        part: Strength of the background in percent.
        style: CSS classes.
    """

    text: str
    title: str
    part: float
    style: str


class Confusion(NamedTuple):
    """A frequent confusion: `share` percent of the pixels of class `truth` were predicted as `prediction`.

    Attributes:
        cell: Its cell of the matrix, as `TRUTH-PREDICTION` in class ids.
    """

    truth: str
    prediction: str
    share: str
    pixels: str
    cell: str


class BinaryRow(NamedTuple):
    """F1 in percent and binary pixel counts of a class of multi-label data; all fields are text."""

    name: str
    f1: str
    true_positives: str
    false_negatives: str
    false_positives: str
    true_negatives: str


def class_rows(result: Result) -> list[ClassRow]:
    """Classes by descending IoU; classes without an IoU come last."""
    labelled, columns = result.labelled_pixels, class_columns(result)
    further = [tuple(column.cells[class_id] for column in columns) for class_id in range(len(result.per_class))]
    pairs = zip(result.per_class, further, strict=True)
    ordered = sorted(pairs, key=lambda pair: (math.isnan(pair[0].iou), -_or_zero(pair[0].iou)))
    return [_class_row(entry, labelled, cells) for entry, cells in ordered]


def group_headings(result: Result) -> list[str]:
    """Titles of the further metrics that at least one group has."""
    shown = (value.title for group in result.groups for value in group_values(result, group))
    return list(dict.fromkeys(shown))


def group_rows(result: Result) -> list[GroupRow]:
    """The groups of images in the order of the result; empty if none were scored."""
    headings, rows = group_headings(result), []
    for group in result.groups:
        found = {value.title: value.text for value in group_values(result, group)}
        rows.append(
            GroupRow(
                name=group.name,
                images=count(group.images),
                miou=percent(group.miou),
                classes=covered_by_miou(result, group),
                pixel_accuracy=percent(group.pixel_accuracy),
                further=tuple(found.get(heading, NOT_AVAILABLE) for heading in headings),
            )
        )
    return rows


def _class_row(entry: ClassResult, labelled: int, further: tuple[str, ...]) -> ClassRow:
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
        further=further,
    )


def confusion_cells(result: Result) -> list[list[Cell]]:
    """The confusion matrix with each row normalised by its sum."""
    names = [entry.name for entry in result.per_class]
    return [
        [
            _cell(pixels, sum(row), names[truth], names[prediction], hit=truth == prediction)
            for prediction, pixels in enumerate(row)
        ]
        for truth, row in enumerate(result.confusion_matrix)
    ]


def _cell(pixels: int, total: int, truth: str, prediction: str, *, hit: bool) -> Cell:
    part = pixels / total if total else 0.0
    # The square root makes confusions of a few percent, the interesting ones, visible.
    strength = math.sqrt(part)
    style = ["cell", *(["hit"] if hit else [])]
    style += [name for name, limit in (("medium", _MEDIUM), ("strong", _STRONG)) if strength >= limit]
    share_of = f"{share(part)} % of its pixels" if total else "the class has no labelled pixels"
    return Cell(
        text=f"{100 * part:.0f}" if part >= 0.005 else "·" if pixels else "",
        title=f"{truth} predicted as {prediction}: {count(pixels)} px, {share_of}",
        part=round(100 * strength, 1),
        style=" ".join(style),
    )


def frequent_confusions(result: Result) -> list[Confusion]:
    """The confusions of the most pixels, most first; of equal ones, those of the larger share of their class."""
    names = [entry.name for entry in result.per_class]
    found = []
    for truth, row in enumerate(result.confusion_matrix):
        total = sum(row)
        for prediction, pixels in enumerate(row):
            if truth != prediction and pixels:
                found.append((pixels / total, pixels, names[truth], names[prediction], f"{truth}-{prediction}"))
    found.sort(key=lambda entry: (-entry[1], -entry[0]))
    return [
        Confusion(truth, prediction, share(part), count(pixels), cell)
        for part, pixels, truth, prediction, cell in found[:SHOWN_CONFUSIONS]
    ]


def binary_rows(result: Result) -> list[BinaryRow]:
    """Binary counts per class of multi-label data, in the order of `class_rows`; empty for other data."""
    if not result.multilabel:
        return []
    pairs = zip(result.per_class, result.binary_counts, strict=True)
    ordered = sorted(pairs, key=lambda pair: (math.isnan(pair[0].iou), -_or_zero(pair[0].iou)))
    return [
        BinaryRow(
            entry.name,
            percent(entry.f1),
            count(counts.true_positives),
            count(counts.false_negatives),
            count(counts.false_positives),
            count(counts.true_negatives),
        )
        for entry, counts in ordered
    ]


def remarks(run: RunRecords, result: Result) -> list[str]:
    """Caveats about a result, as sentences."""
    found = [*about_data(result), *_remarks_on_classes(result)]
    if result.multilabel:
        found.append(
            "Multi-label: a pixel may belong to several classes or none; a class is predicted where its probability is "
            "above 0.5, and pixel accuracy is the mean over pixels and classes, so it is high where classes are rare."
        )
    if result.images < FEW_IMAGES:
        images = f"{result.images} image{' was' if result.images == 1 else 's were'}"
        found.append(f"Only {images} scored: the score may be very different on others.")
    if trained_here(run.standing):
        found.append(f"One run, seed {run.recipe.sampling.seed}: other seeds give other scores.")
    found += about_weights(run, result)
    changes = changed_fields(run.recipe, planned_fields(run))
    if changes:
        found.append(f"This run changes the recipe “{run.recipe.name}”: {'; '.join(changes)}.")
    found += [
        f"Not a run of one schedule: {part.in_words}. The score is not comparable with that of a run with these "
        "settings from its first step."
        for part in run.history.parts
    ]
    skipped, resumes = len(run.log.of(SkippedRecord)), len(run.log.of(ResumeRecord))
    if skipped:
        found.append(f"Training steps skipped (non-finite values, or no labelled pixels): {skipped}.")
    if resumes:
        found.append(f"Training was interrupted and resumed. Resumes: {resumes}.")
    found += [note for note in (run.recipe.notes, run.recipe.published.note if run.recipe.published else "") if note]
    return found


def _remarks_on_classes(result: Result) -> list[str]:
    rare = [entry.name for entry in result.per_class if entry.images == 1]
    found = presence_of(result).sentences()
    if rare:
        found.append(f"Labelled in one image only, so the score means little: {', '.join(rare)}.")
    return found


def summary_of(run: RunRecords) -> str:
    """What the recipe of a run is, in its own words; of a changed one also what these words no longer hold for."""
    beside = fields_with(Role.OPERATIONAL, Role.DISPLAY, Role.TEXT, Role.PLACE, Role.MOVABLE)
    fields = [change.partition(" ")[0] for change in changed_fields(run.recipe, planned_fields(run))]
    fields = [field for field in fields if not is_in(field, beside)]
    if not fields:
        return run.recipe.summary
    return f"{run.recipe.summary}; here changed in {some(fields, 3)}"


def planned_fields(run: RunRecords) -> tuple[str, ...]:
    """Fields that were chosen for the run because its recipe plans them, under every name of the decision."""
    chosen = [one.field for record in run.log.of(PlanRecord) for one in record.choices]
    length = ("schedule.epochs", "schedule.iterations")
    return (*chosen, *(length if set(chosen) & set(length) else ()))


def changed_fields(recipe: Recipe, planned: tuple[str, ...] = ()) -> list[str]:
    """How a run's recipe differs from the one of the same name in the catalogue: `optimizer.lr 0.01 instead of 0.001`.

    Fields filled in from the data or planned, what `default` weights are, and the published result that a changed
    recipe drops, do not count as changes.

    Args:
        recipe: The recipe of a run.
        planned: Fields that were chosen for the run; see `planned_fields`.
    """
    try:
        original = flat_fields(find_recipe(recipe.name))
    except RecipeError:
        return []
    ours = flat_fields(recipe)
    filled_in = (*fields_with(Role.FROM_DATA, Role.CLAIM), *planned, "planned")
    if original["initialize.encoder"] == "default" and ours["initialize.encoder"] != "none":
        filled_in += ("initialize",)
    keys = [key for key in {**original, **ours} if not is_in(key, filled_in)]
    return [
        f"{key} {ours.get(key, 'unset')} instead of {original.get(key, 'unset')}"
        for key in keys
        if ours.get(key) != original.get(key)
    ]


def _or_zero(value: float) -> float:
    return 0.0 if math.isnan(value) else value
