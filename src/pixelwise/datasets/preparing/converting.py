"""Converts any readable data set to `images/`, `masks/` with class ids, and a `dataset.toml`."""

from __future__ import annotations

import io
import os
from collections import Counter
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from pixelwise.datasets.labels import format_color
from pixelwise.datasets.layouts.description import write_description
from pixelwise.datasets.layouts.words import Kind, kind_of, named_split
from pixelwise.datasets.opening import open_folder
from pixelwise.datasets.preparing.options import ConvertOptions
from pixelwise.datasets.preparing.written import WrittenData
from pixelwise.datasets.reading.images import load_image
from pixelwise.datasets.reading.pairs import read_pair
from pixelwise.datasets.samples import Dataset, Sample
from pixelwise.errors import DataError
from pixelwise.machine.thread_pools import thread_pool
from pixelwise.machine.threads import reading_threads
from pixelwise.observer import SILENT, Observer
from pixelwise.options import chosen
from pixelwise.recipes.overrides import Overrides
from pixelwise.storage import building_folder, portable, printable
from pixelwise.storage.locks import writing_alone
from pixelwise.storage.names import distinct
from pixelwise.storage.stores.addresses import place_of
from pixelwise.transforms.resizing import resize_image, resize_labels

_COPIED_FORMATS = {"JPEG": ".jpg", "PNG": ".png"}
_ENDINGS = (".png", ".jpg", ".npy")
INCOMPLETE = ("D220", "D228", "D230", "D232")
"""Errors of a data set because of which images or objects would be missing in what is written."""


def convert(
    root: str | os.PathLike[str],
    output: str | os.PathLike[str],
    overrides: Overrides = (),
    options: ConvertOptions | None = None,
    *,
    observer: Observer = SILENT,
    **changes: Any,
) -> WrittenData:
    """Convert any readable data set to images and masks of class ids; after an error, nothing is left behind.

    Args:
        root: Folder of the data set.
        output: Path of the folder to create.
        overrides: Overrides that set how the data is read, such as `data.dataset=coco` or `data.allow=["D220"]`.
        options: See `ConvertOptions`; single options can be given by keyword.
        observer: Receives the number of finished pairs.
        **changes: Fields of `ConvertOptions`, which override `options`.

    Raises:
        DataError: D225, `output` exists; D231, the data is multi-label; D220, D228, D230 or D232, files, lines or
            annotations cannot be used; the first error of a pair; both unless `data.allow` names them; errors that
            opening the data set raises.
        RecipeError: An override is invalid.
        ResourceError: S601, the disk is full.
    """
    options = chosen(ConvertOptions, options, changes)
    data, dataset = open_folder(place_of(root), overrides)
    observer.phase("converting")
    return convert_to_folder(dataset, Path(output), size=options.size, allow=data.allow, observer=observer)


def convert_to_folder(
    dataset: Dataset,
    output: Path,
    *,
    size: tuple[int, int] | None = None,
    allow: Collection[str] = (),
    observer: Observer = SILENT,
) -> WrittenData:
    """Write `dataset` as `images/{split}/ID` and `masks/{split}/ID.png`; after an error, nothing is left behind.

    The folder of a split that begins all ids of the split (`train/a`, `images/val/a`) is not repeated. Masks become
    8-bit grey PNG files of class ids, 255 = ignored. JPEG and PNG images that are upright and opaque are copied
    unchanged; all others, and resized ones, become PNG. Images without exactly three channels become uint8 NumPy
    arrays, to be read with data.channels=[0,1,...].

    Args:
        dataset: The data set, as returned by `open_dataset`.
        output: Path of the folder to create.
        size: (height, width) of all images and masks; None keeps their sizes. Images are resized bilinearly, masks by
            nearest neighbour.
        allow: Codes of data errors whose pairs are left out.
        observer: Receives the number of finished pairs.

    Raises:
        DataError: D225, `output` exists; D231, the data is multi-label; D220, D228, D230 or D232, files, lines or
            annotations cannot be used; the first error of a pair; both unless they are allowed.
        RunLockedError: L701, another process writes to `output`.
        ResourceError: S601, the disk is full.
    """
    if dataset.multilabel:
        raise DataError(
            "D231",
            f"{printable(dataset.root)}: multi-label data cannot be converted to masks of one class id per pixel",
            "train on it as it is, with the masks of each class in a folder of their own",
        )
    refused = next((one for one in dataset.problems if one.code in INCOMPLETE and one.code not in allow), None)
    if refused is not None:
        raise DataError(refused.code, refused.message, refused.fix)
    pairs = [(split, sample) for split, samples in dataset.splits.items() for sample in samples if sample.mask_path]
    with writing_alone(output):
        if output.exists():
            raise DataError("D225", f"{printable(output)}: already exists", "choose a folder that does not exist")
        with building_folder(output) as unfinished, thread_pool(reading_threads()) as pool:
            errors = _write_all(_Target(dataset, unfinished, size), pairs, allow, observer, pool)
            write_description(unfinished, dataset.classes, [format_color(color) for color in dataset.palette])
    written = Counter(folder_of_split(split) for split, sample in pairs if (split, sample.id) not in errors)
    left_out = {printable(sample.image_path): errors[split, sample.id].code for split, sample in pairs
                if (split, sample.id) in errors}  # fmt: skip
    return WrittenData(
        root=output, classes=dataset.classes, pairs=dict(written), left_out=left_out, problems=dataset.problems
    )


def folder_of_split(split: str) -> str:
    """Name of the folder for a split; alternatives for training, such as `train_aug`, become `train`."""
    return "train" if split.startswith("train") else portable(split)


class _Target(NamedTuple):
    """The data set to convert, the folder to write, and the size of its images."""

    dataset: Dataset
    folder: Path
    size: tuple[int, int] | None


def _write_all(
    target: _Target,
    pairs: Sequence[tuple[str, Sample]],
    allow: Collection[str],
    observer: Observer,
    pool: ThreadPoolExecutor,
) -> dict[tuple[str, str], DataError]:
    """Write every pair; returns the allowed errors, by split and id."""

    def work(sample: Sample, name: str) -> DataError | None:
        try:
            _write_pair(target, sample, name)
        except DataError as error:
            return error
        return None

    names = distinct(_paths(pairs), endings=_ENDINGS)
    failed = pool.map(work, (sample for _, sample in pairs), names)
    errors: dict[tuple[str, str], DataError] = {}
    for done, ((split, sample), error) in enumerate(zip(pairs, failed, strict=True), start=1):
        if error is not None and error.code not in allow:
            pool.shutdown(cancel_futures=True)
            raise error
        if error is not None:
            errors[split, sample.id] = error
        observer.progress(done, len(pairs))
    return errors


def _paths(pairs: Sequence[tuple[str, Sample]]) -> list[str]:
    """`SPLIT/ID` of every pair, without folders that begin all ids of a split and only name it or say `images`."""
    ids: dict[str, list[list[str]]] = {}
    for split, sample in pairs:
        ids.setdefault(split, []).append(sample.id.split("/"))
    dropped: dict[str, int] = {}
    for split, found in ids.items():
        first, count = found[0], 0
        while all(len(parts) > count + 1 and parts[count] == first[count] for parts in found):
            said = named_split([first[count]]) or first[count].lower()
            if said not in (split, folder_of_split(split)) and kind_of(first[count]) is not Kind.IMAGES:
                break
            count += 1
        dropped[split] = count
    return ["/".join([folder_of_split(split), *sample.id.split("/")[dropped[split] :]]) for split, sample in pairs]


def _write_pair(target: _Target, sample: Sample, name: str) -> None:
    image, labels = read_pair(sample, target.dataset)
    if target.size is not None:
        image, labels = resize_image(image, target.size), resize_labels(labels, target.size)
    content, ending = (None, "") if target.size is not None else _as_it_is(sample, target.dataset)
    if content is None:
        # PNG would store a fourth channel as transparency.
        content, ending = (_png(image), ".png") if image.shape[2] == 3 else (_npy(image), ".npy")
    for kind, data, suffix in (("images", content, ending), ("masks", _png(labels), ".png")):
        # Extensions are appended, not replaced: `a.b` is a valid id.
        path = target.folder / kind / f"{name}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def _as_it_is(sample: Sample, dataset: Dataset) -> tuple[bytes | None, str]:
    """The image file's content and extension if reading it changes nothing; else (None, "")."""
    _, facts = load_image(sample.image_path, dataset.reading)
    plain = facts.orientation == 1 and not facts.transparent and not facts.animated
    ending = _COPIED_FORMATS.get(facts.format)
    reading = dataset.reading
    if not plain or ending is None or reading.input_range is not None or reading.channels is not None:
        return None, ""
    return sample.image_path.read_bytes(), ending


def _npy(values: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, values, allow_pickle=False)
    return stream.getvalue()


def _png(values: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(values).save(stream, "PNG")
    return stream.getvalue()
