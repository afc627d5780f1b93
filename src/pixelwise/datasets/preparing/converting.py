"""Any data set that can be read -> `images/` and `masks/` with class ids, and a `dataset.toml`."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import numpy as np
import tomli_w
from PIL import Image

from pixelwise.datasets.labels import format_color
from pixelwise.datasets.layouts.layout import DESCRIPTION_FILE
from pixelwise.datasets.reading.images import load_image
from pixelwise.datasets.reading.pairs import read_pair
from pixelwise.datasets.samples import Dataset, Sample
from pixelwise.errors import DataError
from pixelwise.machine.threads import reading_threads
from pixelwise.recipes.classes.tables import IGNORE
from pixelwise.storage import building_folder, printable, write_text
from pixelwise.transforms.resizing import resize_image, resize_labels

Progress = Callable[[int, int], None]
_COPIED_FORMATS = {"JPEG": ".jpg", "PNG": ".png"}


class Conversion(msgspec.Struct, frozen=True, kw_only=True):
    """What was written.

    Attributes:
        root: The new folder.
        pairs: By split.
        left_out: Printable files with the code of what is wrong with them, where that was allowed.
    """

    root: Path
    pairs: dict[str, int]
    left_out: dict[str, str]


def convert_to_folder(
    dataset: Dataset,
    output: Path,
    *,
    size: tuple[int, int] | None = None,
    allow: Collection[str] = (),
    progress: Progress | None = None,
) -> Conversion:
    """Write `dataset` as `images/{split}/ID` and `masks/{split}/ID.png`, all of it or nothing.

    Masks become 8-bit grey PNG files of class ids, 255 = ignored. JPEG and PNG images that are upright and opaque
    are copied as they are; all others, and resized ones, become PNG. Images of other channels than three become
    NumPy arrays of bytes, to be read with data.channels=[0,1,...].

    Args:
        dataset: As opened.
        output: Must not exist.
        size: (height, width) of all images and masks; None keeps theirs. Images are resized bilinearly, masks by
            nearest neighbour.
        allow: Codes of data errors whose pairs are left out.
        progress: Called with (pairs done, pairs in total).

    Raises:
        DataError: D225, `output` exists; D231, the data is multi-label; the first error of a pair that is not allowed.
        ResourceError: S601, the disk is full.
    """
    if output.exists():
        raise DataError("D225", f"{printable(output)}: exists already", "choose a folder that does not exist")
    if dataset.multilabel:
        raise DataError(
            "D231",
            f"{printable(dataset.root)}: multi-label data has no masks of one class id per pixel to convert to",
            "train on it as it is; masks of each class stay in a folder of its own",
        )
    pairs = [(split, sample) for split, samples in dataset.splits.items() for sample in samples if sample.mask_path]
    with building_folder(output) as unfinished, ThreadPoolExecutor(reading_threads()) as pool:
        errors = _write_all(dataset, pairs, unfinished, size, allow, progress, pool)
        write_text(unfinished / DESCRIPTION_FILE, description(dataset))
    written = Counter(folder_of_split(split) for split, sample in pairs if (split, sample.id) not in errors)
    left_out = {printable(sample.image_path): errors[split, sample.id].code for split, sample in pairs
                if (split, sample.id) in errors}  # fmt: skip
    return Conversion(root=output, pairs=dict(written), left_out=left_out)


def folder_of_split(split: str) -> str:
    """The folder a split is written to: alternatives for training, such as `train_aug`, become `train`."""
    return "train" if split.startswith("train") else split


def description(dataset: Dataset) -> str:
    """The `dataset.toml` of a folder whose masks hold class ids."""
    return tomli_w.dumps(
        {
            "classes": list(dataset.classes),
            "palette": [format_color(color) for color in dataset.palette],
            "ignore": IGNORE,
        }
    )


def _write_all(
    dataset: Dataset,
    pairs: Sequence[tuple[str, Sample]],
    folder: Path,
    size: tuple[int, int] | None,
    allow: Collection[str],
    progress: Progress | None,
    pool: ThreadPoolExecutor,
) -> dict[tuple[str, str], DataError]:
    """Write every pair; returns the allowed errors by split and id."""

    def work(pair: tuple[str, Sample]) -> DataError | None:
        try:
            _write_pair(dataset, *pair, folder, size)
        except DataError as error:
            return error
        return None

    errors: dict[tuple[str, str], DataError] = {}
    for done, ((split, sample), error) in enumerate(zip(pairs, pool.map(work, pairs), strict=True), start=1):
        if error is not None and error.code not in allow:
            pool.shutdown(cancel_futures=True)
            raise error
        if error is not None:
            errors[split, sample.id] = error
        if progress is not None:
            progress(done, len(pairs))
    return errors


def _write_pair(dataset: Dataset, split: str, sample: Sample, folder: Path, size: tuple[int, int] | None) -> None:
    image, labels = read_pair(sample, dataset)
    if size is not None:
        image, labels = resize_image(image, size), resize_labels(labels, size)
    content, ending = (None, "") if size is not None else _as_it_is(sample, dataset)
    if content is None:
        # Four channels would become transparency.
        content, ending = (_png(image), ".png") if image.shape[2] == 3 else (_npy(image), ".npy")
    for kind, data, suffix in (("images", content, ending), ("masks", _png(labels), ".png")):
        # Suffixes are appended: `a.b` is an id, too.
        path = folder / kind / folder_of_split(split) / f"{_inside(sample.id)}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def _inside(id: str) -> str:
    """The id as a path that cannot lead out of the folder it is joined to."""
    return "/".join(part for part in id.split("/") if part not in ("", ".", "..")) or "image"


def _as_it_is(sample: Sample, dataset: Dataset) -> tuple[bytes | None, str]:
    """The image file's content and ending, where reading it changes nothing."""
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
