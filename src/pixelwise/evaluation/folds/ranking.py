"""Ranks the likely label mistakes of a cross-validation from the files of `out-of-fold/`, and draws the first ones."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import msgspec
import numpy as np
from PIL import Image

from pixelwise.datasets.findings import finding
from pixelwise.datasets.reading.images import load_image
from pixelwise.datasets.reading.pairs import read_labels
from pixelwise.datasets.run_data import open_run_data
from pixelwise.datasets.samples import Dataset, Sample
from pixelwise.evaluation.folds.mistakes import Evidence, expected_of, likely_mistakes, ranked
from pixelwise.evaluation.folds.out_of_fold import CONFIDENCE, LABEL, MASKS, Said
from pixelwise.evaluation.pairs import scored_labels
from pixelwise.observer import SILENT, Observer
from pixelwise.prediction.overlays import as_picture, blend, jpeg
from pixelwise.recipes.protocols import protocol as find_protocol
from pixelwise.records.environment import read_environment
from pixelwise.records.folds.division import HELD_OUT
from pixelwise.records.folds.mistakes import CODE, CROPS, LabelMistake, write_mistakes
from pixelwise.records.run_folder import read_recipe
from pixelwise.storage import building_folder, printable, write_bytes
from pixelwise.storage.caches import is_cached
from pixelwise.storage.stores.members import Member
from pixelwise.transforms.resizing import resize_labels

AROUND = 0.5
"""A crop shows this share of the longer side of the region on each side of it, and at least `LEAST_AROUND` pixels."""
LEAST_AROUND = 24
CROP_SIDE = 320
"""Longer side of each of the three pictures of a crop, in pixels."""
OPACITY = 0.45
_FIX = (
    "look at the crop; correct the label where it is wrong ({where}) and train again; where it is right, the network "
    "is mistaken, and more images like this one would help"
)


class HeldOut(NamedTuple):
    """What a fold holds out.

    Attributes:
        run: Its run folder.
        said: What its network says.
        dataset: The data set as the run divides it.
    """

    run: Path
    said: Said
    dataset: Dataset

    @property
    def samples(self) -> Iterator[Sample]:
        """The images of which the network says how sure it is."""
        sure = set(self.said.sure)
        return (sample for sample in self.dataset.samples(HELD_OUT) if sample.id in sure)


def rank(
    runs: Sequence[Path], said: Sequence[Said], output: Path, folder: Path, *, crops: int, observer: Observer = SILENT
) -> list[LabelMistake]:
    """Find the regions of all images, rank them, and write table, list, findings, queue and crops.

    Args:
        runs: The run folder of each fold.
        said: What the network of each fold says.
        output: The folder `out-of-fold`.
        folder: The folder `label-mistakes`.
        crops: Number of regions that get a picture, the likeliest first.
        observer: Receives phases, and progress after every image.

    Returns:
        All regions in their order.

    Raises:
        DataError: An image can no longer be read.
        ResourceError: S601, the disk is full.
    """
    observer.phase("looking for label mistakes")
    held = [HeldOut(run, one, open_run_data(run, read_recipe(run))) for run, one in zip(runs, said, strict=True)]
    found = ranked(list(_regions(held, output, observer)))
    found = [msgspec.structs.replace(one, rank=place) for place, one in enumerate(found, start=1)]
    found = _with_crops(found, held, output, folder, crops, observer)
    # The folder that was named, to which the paths of a queue are relative: the data may lie in a folder of it.
    root = read_environment(runs[0]).data_folder or held[0].dataset.root
    fix = _fix_of(held[0].dataset, root)
    findings = [finding(CODE, one.message, [one.mask_file or one.image_file or one.image], fix) for one in found]
    lines = b"".join(msgspec.json.encode(one) + b"\n" for one in findings)
    write_mistakes(folder, found, lines, root)
    return found


def _regions(held: Sequence[HeldOut], output: Path, observer: Observer) -> Iterator[LabelMistake]:
    expected = expected_of([one.said for one in held])
    total, done = sum(len(one.said.sure) for one in held), 0
    for one in held:
        for sample in one.samples:
            seen = evidence_of(sample, one, output)
            image, mask = own_file(sample.image_path), own_file(sample.mask_path)
            for region in likely_mistakes(seen, sample.id, one.dataset.classes, expected):
                yield msgspec.structs.replace(region, fold=one.run.name, image_file=image, mask_file=mask)
            done += 1
            observer.progress(done, total)


def own_file(path: Path | None) -> str:
    """The path of a file as the user knows it: empty for one that was drawn, unpacked or generated into the cache.

    Args:
        path: The path of an image or mask; None for no file.
    """
    if path is None or (not isinstance(path, Member) and is_cached(path)):
        return ""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return printable(path)
    return str(path)


def _fix_of(dataset: Dataset, root: Path) -> str:
    masks = (sample.mask_path for sample in dataset.samples(HELD_OUT))
    mask = next((path for path in masks if path is not None), None)
    if isinstance(mask, Member) or not own_file(mask):
        return _FIX.format(where="with the tool that made the annotations")
    return _FIX.format(where=f"`pixelwise ui --data {shlex.quote(printable(root))} --edit`")


def evidence_of(sample: Sample, held: HeldOut, output: Path) -> Evidence:
    """Labels and prediction of an image, from its mask and from the files of `out-of-fold/`.

    Args:
        sample: The image.
        held: The fold that holds it out.
        output: The folder `out-of-fold`.
    """
    name = f"{held.said.names[sample.id]}.png"
    predicted, confidence, of_label = (_grey(output / kind / name) for kind in (MASKS, CONFIDENCE, LABEL))
    labels = read_labels(sample, held.dataset)
    size = predicted.shape[0], predicted.shape[1]
    truth = scored_labels(labels, size, find_protocol(held.said.protocol))
    own = labels.shape[0], labels.shape[1]
    return Evidence(truth, predicted, confidence, of_label, own)


def _grey(path: Path) -> np.ndarray:
    """Values of a PNG file of one channel, uint8 (H, W)."""
    with Image.open(path) as picture:
        return np.array(picture, np.uint8)  # of a palette, the indices


def _with_crops(
    found: Sequence[LabelMistake], held: Sequence[HeldOut], output: Path, folder: Path, crops: int, observer: Observer
) -> list[LabelMistake]:
    """Draw the first regions, by images, so that each image is read once."""
    wanted = found[:crops]
    places = {one.rank: f"{one.rank:04d}.jpg" for one in wanted}
    samples = {sample.id: (sample, one) for one in held for sample in one.samples}
    observer.phase("drawing pictures")
    folder.mkdir(parents=True, exist_ok=True)
    with building_folder(folder / CROPS, existing="replace") as place:
        for done, id in enumerate(dict.fromkeys(one.image for one in wanted), start=1):
            sample, one = samples[id]
            image, _ = load_image(sample.image_path, one.dataset.reading)
            seen = evidence_of(sample, one, output)
            for region in wanted:
                if region.image == id:
                    write_bytes(place / places[region.rank], jpeg(_crop(image, seen, region, one.dataset)))
            observer.progress(done, len({one.image for one in wanted}))
    return [
        msgspec.structs.replace(one, crop=f"{CROPS}/{places[one.rank]}") if one.rank in places else one for one in found
    ]


def _crop(image: np.ndarray, seen: Evidence, region: LabelMistake, dataset: Dataset) -> np.ndarray:
    """The photo, the labels and the prediction around a region, side by side, with the region's outline on each."""
    height, width = image.shape[:2]
    truth, predicted = (resize_labels(labels, (height, width)) for labels in (seen.truth, seen.predicted))
    around = max(LEAST_AROUND, round(AROUND * max(region.width, region.height)))
    rows = slice(max(0, region.y - around), min(height, region.y + region.height + around))
    columns = slice(max(0, region.x - around), min(width, region.x + region.width + around))
    part = as_picture(np.ascontiguousarray(image[rows, columns]))
    ids = (dataset.classes.index(region.labelled), dataset.classes.index(region.predicted))
    inside = (truth[rows, columns] == ids[0]) & (predicted[rows, columns] == ids[1])
    outside_box = np.ones_like(inside)
    top, left = region.y - rows.start, region.x - columns.start
    outside_box[top : top + region.height, left : left + region.width] = False
    inside[outside_box] = False
    scale = CROP_SIDE / max(part.shape[:2])
    size = max(1, round(part.shape[1] * scale)), max(1, round(part.shape[0] * scale))
    large = cv2.resize(inside.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    outlines, _ = cv2.findContours(large, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    pictures = []
    for labels in (None, truth, predicted):
        shown = part
        if labels is not None:
            shown = blend(part, np.ascontiguousarray(labels[rows, columns]), dataset.palette, OPACITY)
        bigger = cv2.resize(shown, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
        for color, thickness in (((0, 0, 0), 3), ((255, 255, 255), 1)):
            cv2.drawContours(bigger, outlines, -1, color, thickness)
        pictures += [bigger, np.full((size[1], 6, 3), 255, np.uint8)]
    return np.concatenate(pictures[:-1], axis=1)
