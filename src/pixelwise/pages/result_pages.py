"""The pages of one result: scores, confusion, kinds of errors, images, training."""

from __future__ import annotations

from typing import Any

import numpy as np

from pixelwise.pages.catalog import Refused
from pixelwise.pages.curves import curves_of
from pixelwise.pages.errors import COLORS, KINDS, MEANINGS, counts_of, crop, kinds_of, kinds_png
from pixelwise.pages.evaluated import Gallery, Opened, images_of_cell, scores_of
from pixelwise.pages.images import MOST_CARDS, ORDERS, Filter, cards_of
from pixelwise.prediction.overlays import indexed_png, jpeg
from pixelwise.recipes.class_sets.palettes import colorblind_palette
from pixelwise.recipes.class_sets.tables import IGNORE, Color
from pixelwise.recipes.overrides import to_toml
from pixelwise.records.showing import drawn_units
from pixelwise.reports.numbers import count, percent, share
from pixelwise.reports.run.errors import places_of_errors
from pixelwise.reports.run.pictures import hexadecimal
from pixelwise.reports.run.procedure import procedures
from pixelwise.reports.run.reliability import reliability_of
from pixelwise.reports.run.tables import class_rows, confusion_cells, frequent_confusions, summary_of

FIRST_CARDS = 12
"""Images on the page of a result, those with the lowest scores."""
FIRST_IMAGES = 6
"""Images whose regions are part of the page of a cell; those of further ones are loaded when they are looked at."""
CELL_IMAGES = 24
"""Images on the page of a cell of the confusion matrix, those with the most of its pixels."""
LAYERS = {"photo": "image/jpeg", "truth": "image/png", "prediction": "image/png", "errors": "image/png"}
"""Pictures of an image -> their media type."""


def result_values(opened: Opened, others: list[Any]) -> dict[str, Any]:
    """What the page of a result shows.

    Args:
        opened: The result.
        others: Other results of the same run, each with `id` and `title`.
    """
    records, evaluated = opened.records, opened.evaluated
    values: dict[str, Any] = {
        "entry": opened.entry,
        "version": opened.version,
        "others": others,
        "recipe": None if records is None else to_toml(records.recipe),
        "procedures": [] if records is None else procedures(records.recipe),
        "choices": [],
        "trained": records is not None and bool(curves_of(records.log, ())),
        "summary": "" if records is None else summary_of(records),
        "train_command": "" if records is None else records.environment.command,
        "result": None,
    }
    if evaluated is None:
        return values
    result = evaluated.result
    cells = [] if result.multilabel else confusion_cells(result)
    matrix = [
        [(cell, pixels and truth != said) for said, (cell, pixels) in enumerate(zip(row, counts, strict=True))]
        for truth, (row, counts) in enumerate(zip(cells, result.confusion_matrix, strict=False))
    ]
    return {
        **values,
        "result": result,
        "miou": percent(result.miou),
        "interval": " to ".join(percent(end, 1) for end in result.miou_interval or ()),
        "drawn": drawn_units(result),
        "accuracy": percent(result.pixel_accuracy),
        "boundary": percent(result.boundary_miou),
        "images": count(result.images),
        "class_rows": class_rows(result),
        "colors": colors_of(opened),
        "class_names": class_names(opened),
        "matrix": matrix,
        "detailed": bool(evaluated.details),
        "confusions": [] if result.multilabel else frequent_confusions(result),
        "places": places_of_errors(result, evaluated.details),
        "headline": {"reliability": reliability_of(result)},
        "cards": cards_of(opened, Filter())[:FIRST_CARDS],
        "scored": len(evaluated.per_image),
    }


def class_names(opened: Opened) -> list[str]:
    """Names of the classes."""
    return [entry.name for entry in opened.result.per_class]


def colors_of(opened: Opened) -> dict[str, str]:
    """Name of a class -> its colour as `#rrggbb`."""
    names = class_names(opened)
    return dict(zip(names, map(hexadecimal, palette_of(opened)), strict=True))


def palette_of(opened: Opened) -> tuple[Color, ...]:
    """The colours of the classes: those of the kept pictures, else colours that colour-blind readers can tell apart."""
    number = len(opened.result.per_class)
    saved = opened.evaluated.samples if opened.evaluated is not None else None
    return saved.palette if saved is not None and len(saved.palette) == number else colorblind_palette(number)


def kinds_values(opened: Opened, gallery: Gallery) -> dict[str, Any]:
    """What is shown of the kinds of errors, counted on the images whose pictures are kept."""
    kinds, kept = gallery.kinds(opened), gallery.kept(opened).samples
    return {
        "entry": opened.entry,
        "version": opened.version,
        "kinds": [
            {
                "key": kind.key,
                "title": KINDS[kind.key],
                "meaning": MEANINGS[kind.key],
                "share": share(kind.share),
                "part": 0 if kind.share != kind.share else round(100 * kind.share),
                "pixels": count(kind.pixels),
                "regions": [(place, number, count(pixels)) for place, number, pixels in kind.regions],
            }
            for kind in kinds
        ],
        "names": [score.id for score in scores_of(opened)],
        "counted": sum(score.id in kept for score in scores_of(opened)),
        "scored": len(scores_of(opened)),
    }


def cell_values(opened: Opened, gallery: Gallery, truth: int, said: int) -> dict[str, Any]:
    """What the page of a cell of the confusion matrix shows, with the regions of the first images that are kept."""
    result = opened.result
    names = class_names(opened)
    pixels, total = result.confusion_matrix[truth][said], sum(result.confusion_matrix[truth])
    found = images_of_cell(opened, truth, said)
    what = f"{truth}-{said}"
    first = [place for place, _ in found[:FIRST_IMAGES] if gallery.keeps(opened, place)]
    return {
        "entry": opened.entry,
        "version": opened.version,
        "sections": {place: sections_values(opened, gallery, what, place) for place in first},
        "truth": names[truth],
        "said": names[said],
        "what": what,
        "back": f"{said}-{truth}" if result.confusion_matrix[said][truth] and truth != said else "",
        "pixels": count(pixels),
        "share": share(pixels / total) if total else "0",
        "found": [(place, scores_of(opened)[place].id, count(number)) for place, number in found[:CELL_IMAGES]],
        "number": len(found),
        "detailed": opened.evaluated is not None and bool(opened.evaluated.details),
    }


def sections_values(opened: Opened, gallery: Gallery, what: str, place: int) -> dict[str, Any]:
    """What is shown of the regions of an image that belong to a cell or a kind of error, or why nothing is."""
    values = {
        "entry": opened.entry,
        "version": opened.version,
        "what": what,
        "place": place,
        "pixels": [],
        "smaller": 0,
        "reason": "",
    }
    try:
        found = gallery.sections(opened, what, place)
    except Refused as refused:
        return {**values, "reason": str(refused)}
    return {**values, "pixels": [count(number) for number in found.pixels], "smaller": found.smaller}


def images_values(opened: Opened, wanted: Filter) -> dict[str, Any]:
    """What the list of images shows."""
    cards = cards_of(opened, wanted)
    first = min(wanted.first, max(0, len(cards) - 1) // MOST_CARDS * MOST_CARDS)
    shown = cards[first : first + MOST_CARDS]
    return {
        "entry": opened.entry,
        "version": opened.version,
        "wanted": wanted,
        "orders": ORDERS,
        "class_names": class_names(opened),
        "cards": shown,
        "number": len(cards),
        "before": max(0, first - MOST_CARDS) if first else None,
        "after": first + MOST_CARDS if first + MOST_CARDS < len(cards) else None,
        "scored": len(scores_of(opened)),
    }


def image_values(opened: Opened, gallery: Gallery, place: int, *, only_kept: bool = False) -> dict[str, Any]:
    """What the page of an image shows.

    Args:
        opened: The result.
        gallery: The images of results.
        place: Position of the image in the split.
        only_kept: Whether nothing is said about its pixels unless the run keeps its picture.

    Raises:
        IndexError: There is no such image.
    """
    scores = scores_of(opened)
    score = scores[place]
    order = [card.place for card in cards_of(opened, Filter())]
    here = order.index(place)
    values: dict[str, Any] = {
        "entry": opened.entry,
        "place": place,
        "id": score.id,
        "miou": percent(score.miou),
        "accuracy": percent(score.pixel_accuracy),
        "before": order[here - 1] if here else None,
        "after": order[here + 1] if here + 1 < len(order) else None,
        "rank": here + 1,
        "number": len(order),
        "reason": "",
        "kinds": [],
        "legend": [],
    }
    colors = colors_of(opened)
    iou = score.iou if len(score.iou) == len(colors) else (None,) * len(colors)
    seen = {index for index, one in enumerate(iou) if one is not None}
    counts, size = [0] * len(KINDS), (0, 0)
    if not only_kept or gallery.keeps(opened, place):
        try:
            shown = gallery.shown(opened, place)
        except Refused as refused:
            return {**values, "reason": str(refused)}
        counts, size = list(counts_of(kinds_of(shown.truth, shown.prediction))), shown.truth.shape
        seen = {*np.unique(shown.truth).tolist(), *np.unique(shown.prediction).tolist()} - {IGNORE}
    return {
        **values,
        "height": size[0],
        "width": size[1],
        "kinds": [
            (KINDS[key], hexadecimal(color), share(number / sum(counts)) if sum(counts) else "")
            for key, color, number in zip(KINDS, COLORS, counts, strict=True)
        ],
        "legend": [
            (name, color, "" if iou[index] is None else percent(iou[index] or 0.0, 1))
            for index, (name, color) in enumerate(colors.items())
            if index in seen
        ],
    }


def layer(opened: Opened, gallery: Gallery, place: int, name: str) -> bytes:
    """A picture of an image; see `LAYERS`.

    Raises:
        Refused: There is no such image, or it cannot be predicted.
    """
    shown = gallery.shown(opened, place)
    match name:
        case "photo":
            return jpeg(shown.photo, quality=88)
        case "errors":
            return kinds_png(kinds_of(shown.truth, shown.prediction))
        case "truth":
            return indexed_png(shown.truth, palette_of(opened))
        case _:
            return indexed_png(shown.prediction, palette_of(opened))


def cut_out(opened: Opened, gallery: Gallery, what: str, place: int, number: int) -> bytes:
    """The picture of a region, as JPEG.

    Raises:
        Refused: As `layer`.
        IndexError: There is no such region.
    """
    marked = gallery.marked(opened, what, place)
    return crop(gallery.shown(opened, place), marked.mask, marked.regions[number])


def curves(opened: Opened) -> list[dict[str, Any]]:
    """The curves of the run that led to a result; none for an exported artefact."""
    if opened.records is None:
        return []
    names = opened.records.recipe.data.class_names() or ()
    if not names and opened.evaluated is not None:
        names = tuple(class_names(opened))
    return curves_of(opened.records.log, names)
