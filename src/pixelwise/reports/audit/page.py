"""The audit of a data set as one self-contained HTML file."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from markupsafe import Markup
from PIL import Image

from pixelwise.datasets.auditing.checking import Checked
from pixelwise.datasets.auditing.correspondence import MaskFit
from pixelwise.datasets.findings import Finding
from pixelwise.datasets.reading.images import read_image
from pixelwise.datasets.reading.pairs import read_pair
from pixelwise.datasets.samples import Sample
from pixelwise.errors import DataError
from pixelwise.prediction.combinations import indexed, mixed_colors
from pixelwise.prediction.overlays import as_picture, without_background
from pixelwise.recipes.class_sets.tables import IGNORE, Color
from pixelwise.reports.audit.evidence import exhibits, shrunk
from pixelwise.reports.audit.words import (
    channels_in_words,
    class_files_in_words,
    layout_in_words,
    other_splits_in_words,
    places_in_words,
    sizes_in_words,
    videos_in_words,
)
from pixelwise.reports.numbers import count, percent, share
from pixelwise.reports.templates import script_hash, source, templates
from pixelwise.storage import printable, write_text
from pixelwise.transforms.resizing import resize_image, resize_labels

OVERLAYS = 12
LEAST = 6
TWINS = 12
_WIDTH = 480
_THUMBNAIL_WIDTH = 320


class Overlay(NamedTuple):
    """An image as drawn by `as_picture`, and its labels; both are data URIs of the same size."""

    split: str
    id: str
    photo: str
    labels: str


class Shown(NamedTuple):
    """The files of a finding as data URIs, empty where there is nothing to show, and the number of marked places."""

    file: str
    photo: str
    mask: str
    marked: int


class Twin(NamedTuple):
    """Two near-duplicate images from different splits."""

    files: tuple[str, str]
    splits: tuple[str, str]
    distance: int
    photos: tuple[str, str]


def write_check_page(checked: Checked, path: Path) -> Path:
    """Write the page to `path`, replacing an older one; returns `path`.

    Raises:
        ResourceError: S601, the disk is full.
    """
    write_text(path, render_check_page(checked))
    return path


def render_check_page(checked: Checked) -> str:
    """The page as HTML."""
    script = source("report_script.html") + source("copy_script.html")
    found = checked.audit
    return (
        templates()
        .get_template("check.html")
        .render(
            title=printable(checked.path.resolve().name or checked.path),
            path=printable(checked.path),
            refused=checked.refused,
            verdict=checked.verdict,
            command="" if checked.refused else checked.train_command,
            facts=_facts(checked),
            findings=[(one, _shown(checked, one)) for one in (*found.findings, *checked.settings)],
            splits=list(found.statistics),
            rows=_class_rows(checked),
            void=_void_shares(checked),
            weights=list(checked.suggestions.class_weights) if checked.suggestions else [],
            ceiling=_ceiling(checked),
            ceiling_split=checked.ceiling_split,
            ceiling_images=checked.ceiling[0].images if checked.ceiling else 0,
            videos=videos_in_words(found),
            least=_least_fitting(checked),
            overlays=_overlays(checked),
            legend=_legend(checked),
            twins=_twins(checked),
            recipe_file=checked.data_file(),
            script=Markup(script),
            script_hash=script_hash(script),
        )
    )


def _facts(checked: Checked) -> list[tuple[str, str]]:
    found = checked.audit
    others = checked.dataset.other_splits
    also = f"; also {other_splits_in_words(others)}" if others else ""
    facts = [
        ("Layout", f"{found.layout}; {layout_in_words(checked.scores)}"),
        ("Pairs", ", ".join(f"{count(pairs)} {split}" for split, pairs in found.splits.items()) + also),
    ]
    if checked.read_as:
        facts.insert(1, ("Classes", checked.read_as))
    if found.sizes.distinct:
        facts.append(("Images", sizes_in_words(found)))
    if found.places is not None:
        facts.append(("Map", places_in_words(found.places)))
    if found.mask_encodings:
        facts.append(("Masks", ", ".join(f"{count(files)} {kind}" for kind, files in found.mask_encodings.items())))
    if checked.dataset.multilabel:
        facts.append(("Files", class_files_in_words(checked.dataset)))
    if checked.suggestions:
        for name, values in (("Mean", checked.suggestions.mean), ("Standard deviation", checked.suggestions.std)):
            text = ", ".join(f"{value:.4f}" for value in values)
            of = channels_in_words(checked.dataset.reading.channels, "red, green, blue")
            facts.append((name, f"{text} ({of} of {checked.suggestions.split}, 0..1)"))
    return facts


def _class_rows(checked: Checked) -> list[dict[str, Any]]:
    """One row per class: colour, pixel share and image count per split, suggested weights."""
    found = checked.audit
    shares = {split: np.array(c.pixels) / max(1, c.labelled_pixels) for split, c in found.statistics.items()}
    largest = max((float(values.max()) for values in shares.values() if values.size), default=0) or 1.0
    rows = []
    for class_id, name in enumerate(found.classes):
        weights = checked.suggestions.class_weights.values() if checked.suggestions else ()
        rows.append(
            {
                "id": class_id,
                "name": name,
                "color": _hexadecimal(checked.dataset.palette[class_id]),
                "splits": [
                    {
                        "share": share(float(shares[split][class_id])),
                        "width": round(100 * float(shares[split][class_id]) / largest, 2),
                        "images": count(counts.images_with_class[class_id]),
                        "absent": not counts.pixels[class_id] and any(counts.pixels),
                    }
                    for split, counts in found.statistics.items()
                ],
                "weights": [f"{values[class_id]:.3g}" for values in weights],
            }
        )
    return rows


def _void_shares(checked: Checked) -> list[str]:
    return [
        share(counts.void_pixels / max(1, counts.void_pixels + counts.labelled_pixels))
        for counts in checked.audit.statistics.values()
    ]


def _ceiling(checked: Checked) -> list[dict[str, Any]]:
    """One row per output stride: both upper bounds, and the classes that lose most."""
    rows = []
    for one in checked.ceiling:
        known = [(iou, name) for iou, name in zip(one.per_class, checked.audit.classes, strict=True) if iou == iou]
        rows.append(
            {
                "stride": one.stride,
                "nearest": percent(one.nearest, 1),
                "bilinear": percent(one.bilinear, 1),
                "width": round(100 * one.bilinear, 1) if one.bilinear == one.bilinear else 0,
                "worst": ", ".join(f"{name} {percent(iou, 0)}" for iou, name in sorted(known)[:3]),
            }
        )
    return rows


def _overlays(checked: Checked) -> list[Overlay]:
    """Up to `OVERLAYS` images, evenly spaced within each split; the first split gets most."""
    found = checked.audit
    usable = {
        split: [s for s in samples if s.mask_path is not None and s.id not in set(found.unusable.get(split, ()))]
        for split, samples in checked.dataset.splits.items()
    }
    usable = {split: samples for split, samples in usable.items() if samples}
    # The page shows three per row.
    parts = {1: (12,), 2: (9, 3), 3: (6, 3, 3)}.get(len(usable), (3,) * len(usable))
    overlays = []
    for (split, samples), number in zip(usable.items(), parts, strict=True):
        for sample in _evenly(samples, number):
            overlay = _overlay(checked, split, sample)
            if overlay is not None:
                overlays.append(overlay)
    return overlays[:OVERLAYS]


def _shown(checked: Checked, finding: Finding) -> list[Shown]:
    return [
        Shown(
            one.file,
            _jpeg(one.photo) if one.photo is not None else "",
            _png(one.mask) if one.mask is not None else "",
            one.marked,
        )
        for one in exhibits(checked, finding)
    ]


def _least_fitting(checked: Checked) -> list[tuple[MaskFit, Overlay]]:
    """The masks that fit their photos least, if any is suspicious: these, and others up to `LEAST` for comparison."""
    fits = checked.audit.least_fitting
    if not any(fit.suspicious for fit in fits):
        return []
    samples = {(split, s.id): s for split, found in checked.dataset.splits.items() for s in found}
    drawn = []
    for number, fit in enumerate(fits):
        if fit.suspicious or number < LEAST:
            overlay = _overlay(checked, fit.split, samples[fit.split, fit.id])
            drawn += [(fit, overlay)] if overlay is not None else []
    return drawn


def _overlay(checked: Checked, split: str, sample: Sample) -> Overlay | None:
    try:
        image, labels = read_pair(sample, checked.dataset)
    except DataError:
        return None  # the file has changed since the audit
    height, width = labels.shape
    scale = min(1.0, _WIDTH / width)
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    shown, palette = resize_labels(labels, size), checked.dataset.palette
    if checked.dataset.multilabel:
        (shown,), combinations = indexed([shown])
        palette = mixed_colors(combinations, palette)
        shown = np.where(shown == 0, np.uint8(IGNORE), shown)  # show the photo where there is no class
    else:
        shown = without_background(shown, checked.dataset.classes)
    return Overlay(split, sample.id, _jpeg(resize_image(as_picture(image), size)), _layer(shown, palette))


def _twins(checked: Checked) -> list[Twin]:
    twins = []
    shown = checked.audit.near_duplicates[:TWINS]
    splits = {split for pair in shown for split in pair.splits}
    images = {(split, one.id): one.image_path for split in splits for one in checked.dataset.splits.get(split, ())}
    for pair in shown:
        try:
            photos = [
                read_image(images.get((split, id), checked.dataset.root / file), checked.dataset.reading)
                for split, id, file in zip(pair.splits, pair.ids, pair.files, strict=True)
            ]
        except DataError:
            continue  # the file is gone, or its name had to be escaped
        first, second = (_jpeg(shrunk(as_picture(photo), _THUMBNAIL_WIDTH)) for photo in photos)
        twins.append(Twin(pair.files, pair.splits, pair.distance, (first, second)))
    return twins


def _legend(checked: Checked) -> list[tuple[str, str]]:
    present = np.sum([counts.pixels for counts in checked.audit.statistics.values()], axis=0)
    return [
        (name, _hexadecimal(color))
        for name, color, pixels in zip(
            checked.audit.classes, checked.dataset.palette, np.atleast_1d(present), strict=True
        )
        if pixels
    ]


def _evenly(samples: Sequence[Sample], number: int) -> list[Sample]:
    number = min(number, len(samples))
    return [samples[(2 * index + 1) * len(samples) // (2 * number)] for index in range(number)]


def _jpeg(image: np.ndarray) -> str:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=80)
    return _data_uri("jpeg", stream.getvalue())


def _png(picture: np.ndarray) -> str:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "PNG", optimize=True)
    return _data_uri("png", stream.getvalue())


def _layer(labels: np.ndarray, palette: Sequence[Color]) -> str:
    """The labels as a palette PNG; ignored pixels are transparent."""
    table = np.zeros((256, 3), np.uint8)
    table[: min(len(palette), IGNORE)] = np.asarray(palette[:IGNORE], np.uint8).reshape(-1, 3)
    picture = Image.fromarray(labels)
    picture.putpalette(table.tobytes())
    stream = io.BytesIO()
    picture.save(stream, "PNG", transparency=IGNORE)
    return _data_uri("png", stream.getvalue())


def _data_uri(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"


def _hexadecimal(color: Color) -> str:
    return "#{:02x}{:02x}{:02x}".format(*color)
