"""Images that a network has learned from, found in other data by their content.

Data in another folder with a corrected mask, another name of a class or more images is other data. Whether a score on
it is too high depends on its images alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pixelwise.datasets.fingerprint import image_digests
from pixelwise.datasets.run_data import open_run_data
from pixelwise.datasets.samples import ALL, Dataset, Sample
from pixelwise.errors import PixelwiseError
from pixelwise.records.environment import read_environment
from pixelwise.records.folds.division import division_of
from pixelwise.records.run_folder import read_recipe
from pixelwise.storage import printable
from pixelwise.storage.names import counted
from pixelwise.storage.stores.addresses import address_of


def known_images(run: Path, dataset: Dataset, split: str, *, folds: bool = False) -> tuple[str, ...]:
    """Ids of the images in a split that are, byte for byte, images that a run was trained on.

    They are compared with the files in the folder that the run was trained on. If that is not there or cannot be opened
    any more, nothing is found; nor if it is on another machine, whose files are known by their places alone.

    Args:
        run: The run folder.
        dataset: The opened data.
        split: Name of the split, or `all`.
        folds: Whether the networks of the other folds of the run's cross-validation count, too: together, they were
            trained on all images.
    """
    folder = read_environment(run).data_folder
    if folder is not None and address_of(folder) is not None:
        return ()
    try:
        own = open_run_data(run, read_recipe(run))
        learned = _split(own, ALL) if folds else _learned(run, own)
        seen = {digest for _, digest in image_digests(learned, own.root)}
    except (PixelwiseError, OSError):
        return ()
    return tuple(id for id, digest in image_digests(_split(dataset, split), dataset.root) if digest in seen)


def in_words(known: Sequence[str], images: int) -> str:
    """`3 of 40 images`, with one of them by name."""
    return f"{len(known)} of {counted(images, 'image')} (such as {printable(known[0])})"


def _learned(run: Path, own: Dataset) -> Sequence[Sample]:
    division = division_of(run)
    if division is None:
        return _split(own, read_recipe(run).data.train_split)
    samples = {sample.id: sample for sample in _split(own, ALL)}
    return [samples[id] for ids in division.learned.values() for id in ids if id in samples]


def _split(dataset: Dataset, name: str) -> Sequence[Sample]:
    return (dataset.with_all() if name == ALL else dataset).splits.get(name, ())
