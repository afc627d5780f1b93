"""Pictures of some images of an evaluation: the worst, middle and best ones, and those that show most of its errors.

Which images are of interest is known only after all are scored, and predicting these few again is cheaper than keeping
every prediction. While they are predicted again, regions are found where the network is sure and the labels differ.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from pixelwise.datasets.reading.pairs import read_pair
from pixelwise.datasets.reading.regions.pairs import is_in_parts
from pixelwise.datasets.samples import Dataset, Sample
from pixelwise.evaluation.large import Rules, score_in_parts
from pixelwise.evaluation.pairs import pairs_of
from pixelwise.evaluation.passes import decide_pair
from pixelwise.evaluation.suspects import Predicted, suspect_regions
from pixelwise.evaluation.tally import Measurement
from pixelwise.evaluation.thresholds import FoundLevels, level_picture, levels_of
from pixelwise.models import SegmentationModel
from pixelwise.observer import DRAWING, SILENT, Observer
from pixelwise.prediction.combinations import indexed, mixed_colors
from pixelwise.prediction.network import prediction_mode
from pixelwise.prediction.overlays import as_picture, indexed_png, jpeg
from pixelwise.recipes.sizes import Size
from pixelwise.records.details import SAMPLE_LIST, ClassLevels, ImageDetails, Kind, SavedSample, SavedSamples
from pixelwise.records.result import ImageScore
from pixelwise.records.suspects import Suspect
from pixelwise.storage import json_text, write_bytes, write_text
from pixelwise.transforms.resizing import resize_image, resize_labels

LONGEST_SIDE = 1280
"""Longest side of a picture in pixels; larger ones are shrunk."""
MOST_SAMPLES = 36
"""Number of images with pictures, however many were scored."""
CONFUSIONS, IMAGES_OF_EACH = 8, 2
"""Of so many frequent confusions, so many images are shown that have the most of these pixels."""
WRONG_REGIONS = 8
"""Number of images that are shown because most of their pixels are wrong away from borders."""


def choose_samples(
    per_image: Sequence[ImageScore], *, worst: int = 6, median: int = 3, best: int = 3
) -> list[tuple[Kind, ImageScore]]:
    """Choose the worst, middle and best images by mIoU, each image at most once.

    Args:
        per_image: Scores of all images; images without labelled pixels are left out.
        worst: Number of images with the lowest mIoU, limited to half of all images.
        median: Number of images around the median.
        best: Number of images with the highest mIoU.
    """
    ordered = sorted(
        (score for score in per_image if not math.isnan(score.miou)), key=lambda score: (score.miou, score.id)
    )
    low = min(worst, (len(ordered) + 1) // 2)
    high = min(best, (len(ordered) - low + 1) // 2)
    rest = ordered[low : len(ordered) - high]
    middle = min(median, len(rest))
    start = min(max(len(ordered) // 2 - low - middle // 2, 0), len(rest) - middle)
    groups: tuple[tuple[Kind, list[ImageScore]], ...] = (
        ("worst", ordered[:low]),
        ("median", rest[start : start + middle]),
        ("best", ordered[len(ordered) - high :][::-1]),
    )
    return [(kind, score) for kind, group in groups for score in group]


def further_samples(
    per_image: Sequence[ImageScore],
    details: Sequence[ImageDetails],
    chosen: Sequence[tuple[Kind, ImageScore]],
    most: int = MOST_SAMPLES,
) -> list[tuple[Kind, ImageScore]]:
    """Choose images beyond those of `choose_samples`, up to `most` with them.

    First those with the most pixels of each frequent confusion, then those with the most wrong pixels away from
    borders, then others at equal distances in the order of mIoU.

    Args:
        per_image: Scores of all images; images without labelled pixels are left out.
        details: Counts of all images; empty if there are none.
        chosen: Images that are chosen already.
        most: Largest number of images, with the chosen ones.
    """
    scores = {score.id: score for score in per_image if not math.isnan(score.miou)}
    taken: dict[str, Kind] = {score.id: kind for kind, score in chosen}
    for kind, id in _by_errors(details):
        if id in scores and len(taken) < most:
            taken.setdefault(id, kind)
    rest = sorted((id for id in scores if id not in taken), key=lambda id: (scores[id].miou, id))
    free = min(most - len(taken), len(rest))
    spread: list[tuple[Kind, str]] = [
        ("spread", rest[(2 * place + 1) * len(rest) // (2 * free)]) for place in range(free)
    ]
    known = {score.id for _, score in chosen}
    found = [(kind, id) for id, kind in taken.items() if id not in known]
    return [(kind, scores[id]) for kind, id in [*found, *spread]]


def _by_errors(details: Sequence[ImageDetails]) -> Iterator[tuple[Kind, str]]:
    """Ids of the images that show the most frequent confusions, then of those with the most pixels in wrong regions."""
    cells: dict[tuple[int, int], list[tuple[int, str]]] = {}
    for one in details:
        for cell in one.confusion:
            if cell.truth != cell.prediction:
                cells.setdefault((cell.truth, cell.prediction), []).append((-cell.pixels, one.id))
    frequent = sorted(cells.values(), key=lambda images: sum(pixels for pixels, _ in images))[:CONFUSIONS]
    for place in range(IMAGES_OF_EACH):
        for images in frequent:
            for _, id in sorted(images)[place : place + 1]:
                yield "confused", id
    for one in sorted(details, key=lambda one: -one.far_wrong)[:WRONG_REGIONS]:
        if one.far_wrong > 0:
            yield "wrong-regions", one.id


class Gallery(NamedTuple):
    """What `save_samples` found.

    Attributes:
        samples: The content of `samples.json`.
        suspects: Regions where the network is sure and the labels differ; None if it does not tell how sure it is.
    """

    samples: SavedSamples
    suspects: list[Suspect] | None


def save_samples(
    model: SegmentationModel,
    dataset: Dataset,
    measurement: Measurement,
    folder: Path,
    observer: Observer = SILENT,
) -> Gallery:
    """Predict the images of `choose_samples` and `further_samples` again and write their pictures.

    Args:
        model: The model that was measured, on its device.
        dataset: The data set it was measured on.
        measurement: The measurement by `evaluate_model`.
        folder: Folder for `samples.json`, which is written last, and the pictures; created if missing.
        observer: Receives the phase, and progress after every image.

    Raises:
        DataError: An image can no longer be read.
        ResourceError: S601, the disk is full.
    """
    by_id = {sample.id: sample for sample in dataset.samples(measurement.split)}
    chosen = choose_samples(measurement.per_image)
    chosen += further_samples(measurement.per_image, measurement.details, chosen)
    saved, suspects, sure = [], [], False
    observer.phase(DRAWING)
    with prediction_mode(model):
        for number, (kind, score) in enumerate(chosen):
            predicted, levels = _predict(model, by_id[score.id], dataset, measurement)
            if predicted.confidence is not None:
                sure = True
                suspects += suspect_regions(predicted, score.id, dataset.classes)
            sample = _write(predicted, kind, score, folder, f"{number:02d}", dataset)
            saved.append(msgspec.structs.replace(sample, levels=_write_levels(levels, folder, f"{number:02d}")))
            observer.progress(number + 1, len(chosen))
    listing = SavedSamples(classes=dataset.classes, palette=dataset.palette, samples=tuple(saved))
    write_text(folder / SAMPLE_LIST, json_text(listing))
    return Gallery(listing, suspects if sure else None)


def _write(
    predicted: Predicted, kind: Kind, score: ImageScore, folder: Path, number: str, dataset: Dataset
) -> SavedSample:
    """Write the three pictures of an image."""
    names = [f"{number}-{part}" for part in ("photo.jpg", "truth.png", "prediction.png")]
    size = _at_most(predicted.size, LONGEST_SIDE)
    photo = resize_image(as_picture(predicted.image), size)
    truth, prediction = (resize_labels(labels, size) for labels in (predicted.truth, predicted.prediction))
    combinations, palette = (), dataset.palette
    if dataset.multilabel:
        (truth, prediction), combinations = indexed([truth, prediction])
        palette = mixed_colors(combinations, dataset.palette)
    write_bytes(folder / names[0], jpeg(photo))
    write_bytes(folder / names[1], indexed_png(truth, palette))
    write_bytes(folder / names[2], indexed_png(prediction, palette))
    return SavedSample(
        kind=kind,
        score=score,
        height=size[0],
        width=size[1],
        photo=names[0],
        truth=names[1],
        prediction=names[2],
        combinations=combinations,
    )


def _write_levels(found: Sequence[FoundLevels], folder: Path, number: str) -> tuple[ClassLevels, ...]:
    """Write the pictures of the probabilities of an image."""
    written = []
    for counts, levels in found:
        if levels is not None:
            name = f"{number}-probability-{counts.class_id}.webp"
            write_bytes(folder / name, level_picture(levels))
            counts = msgspec.structs.replace(counts, picture=name)
        written.append(counts)
    return tuple(written)


def _predict(
    model: SegmentationModel, sample: Sample, dataset: Dataset, measurement: Measurement
) -> tuple[Predicted, list[FoundLevels]]:
    """The prediction of an image at the score size, and the levels of its probabilities."""
    if is_in_parts(sample.image_path, dataset.reading):
        found = score_in_parts(model, sample, dataset, Rules(measurement.protocol, measurement.input_size))
        return Predicted(found.pair.image, found.pair.labels, found.prediction), []
    image, labels = read_pair(sample, dataset, fit=False)
    (pair,) = pairs_of(sample, image, labels, (measurement.protocol,), measurement.input_size)
    decision, bands = decide_pair(model, pair, measurement.protocol)
    confidence = None if decision.confidence is None else decision.confidence.float().cpu().numpy()
    predicted = Predicted(image, pair.labels, decision.labels.cpu().numpy(), confidence)
    return predicted, levels_of(predicted, bands, len(dataset.classes))


def _at_most(size: Size, longest: int) -> Size:
    height, width = size
    scale = min(1.0, longest / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))
