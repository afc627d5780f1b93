"""Every scored image of an evaluation as a card, and the data by which the page's viewer shows its errors."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pixelwise.errors import harmless
from pixelwise.recipes.class_sets.palettes import colorblind_palette
from pixelwise.records.details import ImageDetails, thumbnail_name
from pixelwise.records.result import ImageScore, Result
from pixelwise.records.run_folder import REPORT_FILES
from pixelwise.records.suspects import Suspect
from pixelwise.reports.numbers import NOT_AVAILABLE, count, many, percent
from pixelwise.reports.run.pictures import Picture, data_uri, hexadecimal
from pixelwise.reports.run.records import Evaluated

THUMBNAIL_BYTES = 5 * 1024**2
"""Thumbnails that together are larger than this go into files beside the page instead of into it."""
IMAGES_OF_A_CELL = 40
"""Number of images that are listed for a cell of the confusion matrix: those with the most of its pixels."""
SHOWN_SUSPECTS = 20


class Card(NamedTuple):
    """One image in the list of all of them.

    Attributes:
        place: Position in the split.
        id: Id of the image.
        miou: mIoU in percent, as text.
        pixel_accuracy: Pixel accuracy in percent, as text.
        worst: Name of the class with the lowest IoU among those labelled in the image; empty if not known.
        worst_iou: IoU of that class in percent, as text.
        order: Numbers to sort by: mIoU, pixel accuracy and IoU of the worst class; 2 for those that are not defined,
            which come last.
        thumbnail: Address of a small picture; empty if there is none.
    """

    place: int
    id: str
    miou: str
    pixel_accuracy: str
    worst: str
    worst_iou: str
    order: tuple[float, float, float]
    thumbnail: str


class Atlas(NamedTuple):
    """The list of images.

    Attributes:
        cards: All images, the lowest mIoU first.
        files: Content of the files beside the page, by name; empty if the page contains all thumbnails.
        data: What the page's script needs, as JSON without `<`.
    """

    cards: list[Card]
    files: dict[str, bytes]
    data: str


def atlas_of(
    evaluated: Evaluated, pictures: Sequence[Picture], thumbnails: Mapping[str, bytes], foreground: int | None
) -> Atlas:
    """The list of all images of an evaluation.

    Args:
        evaluated: The evaluation. Without details, as in results of earlier versions, cards have no worst class.
        pictures: The images that the viewer can show at full size.
        thumbnails: Small WebP pictures by name, as `thumbnail_name` gives it.
        foreground: Of two classes, the id of the one in question; else None.
    """
    inside = sum(len(data) for data in thumbnails.values()) * 4 / 3 <= THUMBNAIL_BYTES
    details = {one.id: one for one in evaluated.details}
    cards = [
        _card(index, score, details.get(score.id), evaluated.result, _address(index, thumbnails, inside=inside))
        for index, score in enumerate(evaluated.per_image)
    ]
    plain = _data(evaluated, pictures, foreground)
    return Atlas(
        cards=sorted(cards, key=lambda card: (card.order[0], card.id)),
        files={} if inside else dict(thumbnails),
        data=json.dumps(plain, separators=(",", ":")).replace("<", "\\u003c"),
    )


def _address(index: int, thumbnails: Mapping[str, bytes], *, inside: bool) -> str:
    name = thumbnail_name(index)
    if name not in thumbnails:
        return ""
    return data_uri("webp", thumbnails[name]) if inside else f"{REPORT_FILES}/{name}"


def _card(index: int, score: ImageScore, details: ImageDetails | None, result: Result, thumbnail: str) -> Card:
    worst = details.worst_class() if details else None
    name, iou = ("", math.nan) if worst is None else (result.per_class[worst[0]].name, worst[1])
    return Card(
        place=index,
        id=score.id,
        miou=percent(score.miou, 1),
        pixel_accuracy=percent(score.pixel_accuracy, 1),
        worst=name,
        worst_iou=percent(iou, 1) if name else NOT_AVAILABLE,
        order=tuple(2.0 if math.isnan(one) else round(one, 6) for one in (score.miou, score.pixel_accuracy, iou)),  # type: ignore[arg-type]
        thumbnail=thumbnail,
    )


def _data(evaluated: Evaluated, pictures: Sequence[Picture], foreground: int | None) -> dict[str, Any]:
    """What the script needs; positions of images are those in the split."""
    place = {score.id: index for index, score in enumerate(evaluated.per_image)}
    names = [harmless(entry.name) for entry in evaluated.result.per_class]
    official = evaluated.samples.palette if evaluated.samples is not None else ()
    safe = colorblind_palette(len(names))
    return {
        "classes": names,
        "official": [hexadecimal(color) for color in (official if len(official) == len(names) else safe)],
        "safe": [hexadecimal(color) for color in safe],
        "foreground": foreground,
        "pictures": [
            _shown(picture, number, place[picture.id]) for number, picture in enumerate(pictures) if picture.id in place
        ],
        "cells": images_of_cells(evaluated.details, place),
        "suspects": _boxes(evaluated.suspects or (), place),
    }


def _shown(picture: Picture, number: int, index: int) -> dict[str, Any]:
    """A picture of the viewer; photo and errors of those that the page shows anyway are taken from there."""
    shown: dict[str, Any] = {
        "image": index,
        "width": picture.width,
        "height": picture.height,
        "truth": picture.truth_ids,
        "prediction": picture.prediction_ids,
    }
    if picture.flat:
        shown["flat"] = number
    else:
        shown |= {"photo": picture.photo, "errors": picture.errors}
    if picture.probabilities:
        shown["probabilities"] = picture.probabilities
    if picture.combinations:
        sets = [[bit for bit in range(bits.bit_length()) if bits >> bit & 1] for bits in picture.combinations]
        shown["sets"] = sets
    return shown


def images_of_cells(details: Sequence[ImageDetails], place: Mapping[str, int]) -> dict[str, list[list[int]]]:
    """For each cell of the confusion matrix off its diagonal, the images with the most of its pixels.

    Args:
        details: Counts of the images.
        place: Id of an image -> its position in the split.

    Returns:
        `TRUTH-PREDICTION`, as class ids -> [position, pixels] of at most `IMAGES_OF_A_CELL` images, most pixels first.
    """
    cells: dict[str, list[list[int]]] = {}
    for one in details:
        for cell in one.confusion:
            if cell.truth != cell.prediction and one.id in place:
                cells.setdefault(f"{cell.truth}-{cell.prediction}", []).append([place[one.id], cell.pixels])
    return {
        key: sorted(images, key=lambda image: (-image[1], image[0]))[:IMAGES_OF_A_CELL] for key, images in cells.items()
    }


def _boxes(suspects: Sequence[Suspect], place: Mapping[str, int]) -> dict[int, list[list[float]]]:
    """Position of an image -> the boxes around its suspected regions: left, top, width, height as shares of it."""
    boxes: dict[int, list[list[float]]] = {}
    for one in suspects:
        if one.image in place and one.image_width and one.image_height:
            sides = (one.x / one.image_width, one.y / one.image_height)
            lengths = (one.width / one.image_width, one.height / one.image_height)
            boxes.setdefault(place[one.image], []).append([round(value, 5) for value in (*sides, *lengths)])
    return boxes


class SuspectRow(NamedTuple):
    """The suspected labels of one image; all fields but the position of the image in the split are text.

    Attributes:
        regions: Number of suspected regions.
        labelled: Classes in the labels, those of the largest regions first.
        predicted: Classes in the prediction.
        confidence: Mean probability over the pixels of all regions, in percent.
    """

    place: int
    image: str
    regions: str
    labelled: str
    predicted: str
    pixels: str
    confidence: str


class Suspects(NamedTuple):
    """The suspected labels of an evaluation.

    Attributes:
        rows: The images with the most suspected pixels, at most `SHOWN_SUSPECTS`.
        regions: Number of all regions, such as `3 regions`.
        images: Number of all images with a suspected region, such as `1 image`.
        names: Names of all images with a suspected region, one per line.
        looked_at: How many images were searched, such as `36 of 233 images`.
    """

    rows: list[SuspectRow]
    regions: str
    images: str
    names: str
    looked_at: str


def suspects_of(evaluated: Evaluated) -> Suspects | None:
    """The suspected labels as the page lists them; None if they were not looked for."""
    if evaluated.suspects is None or evaluated.samples is None:
        return None
    place = {score.id: index for index, score in enumerate(evaluated.per_image)}
    by_image: dict[str, list[Suspect]] = {}
    for one in evaluated.suspects:
        if one.image in place:
            by_image.setdefault(one.image, []).append(one)
    ordered = sorted(by_image.values(), key=lambda regions: -sum(one.pixels for one in regions))
    rows = [_suspect_row(place[regions[0].image], regions) for regions in ordered[:SHOWN_SUSPECTS]]
    names = "\n".join(regions[0].image for regions in ordered)
    searched, images = len(evaluated.samples.samples), evaluated.result.images
    looked_at = f"all {many(images, 'image')}" if searched >= images else f"{count(searched)} of {count(images)} images"
    return Suspects(rows, many(sum(map(len, ordered)), "region"), many(len(ordered), "image"), names, looked_at)


def _suspect_row(place: int, regions: Sequence[Suspect]) -> SuspectRow:
    pixels = sum(one.pixels for one in regions)
    largest = sorted(regions, key=lambda one: -one.pixels)
    return SuspectRow(
        place=place,
        image=regions[0].image,
        regions=count(len(regions)),
        labelled=", ".join(dict.fromkeys(one.labelled for one in largest)),
        predicted=", ".join(dict.fromkeys(one.predicted for one in largest)),
        pixels=count(pixels),
        confidence=percent(sum(one.confidence * one.pixels for one in regions) / pixels, 0),
    )
