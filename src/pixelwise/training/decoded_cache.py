"""Decoded training pairs, kept in memory or in a file that later runs and other processes use again."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import cv2
import msgspec
import numpy as np
import PIL

from pixelwise.datasets.fingerprint import fingerprint
from pixelwise.errors import ResourceError
from pixelwise.recipes.protocols import Size
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.storage import sha256_bytes
from pixelwise.storage.arrays import ArrayFile, DamagedArrayError, write_arrays
from pixelwise.storage.atomic import remove_leftovers, require_space
from pixelwise.storage.cache_kinds import DECODED, DECODED_FILE
from pixelwise.storage.caches import drop_superseded, entry_path, subject_of
from pixelwise.storage.locks import work_lock
from pixelwise.training.batches import TrainingPairs, fits_in_memory

_PROBED = 8
"""Pairs that are decoded to estimate how much space all of them take."""
_MARGIN = 1.1
_HELP = "free some space, point XDG_CACHE_HOME to a larger disk, or set data.cache=off"
_DECODING = "decoding the images"

Phase = Callable[[str, int, int], None]
"""Told of the work: what, how much is done, of how much."""


class KeptPairs:
    """The decoded pairs of a file; one that was damaged on the disk is read from its own files instead.

    Args:
        pairs: Where they come from.
        path: The file.

    Raises:
        ValueError: The file is not whole.
        OSError: It cannot be read.
    """

    def __init__(self, pairs: TrainingPairs, path: Path) -> None:
        self._file = ArrayFile(path)
        if len(self._file) != len(pairs):
            raise ValueError(f"{path} holds {len(self._file)} pairs; expected {len(pairs)}")
        self._pairs, self._path = pairs, path

    def __getitem__(self, index: int, /) -> tuple[np.ndarray, np.ndarray]:
        try:
            image, labels = self._file[index]
        except DamagedArrayError:
            # Who has it open keeps it; the next run builds a new one.
            self._path.unlink(missing_ok=True)
            return self._pairs.read(index)
        return image, labels


def keep_decoded(pairs: TrainingPairs, recipe: Recipe, largest: Size, phase: Phase) -> None:
    """Decode the pairs once, as `data.cache` says.

    Args:
        pairs: Told to use what was decoded.
        recipe: Its `data.cache`, `data.train_split` and `augment.resize` are used.
        largest: Size of the largest image.
        phase: Told of the work.

    Raises:
        DataError: A pair cannot be read.
        ResourceError: S601, S602, the disk has no room for it.
    """
    if recipe.data.cache == "disk":
        pairs.use_cache(kept_pairs(pairs, recipe, phase))
    elif fits_in_memory(pairs.samples, recipe, largest):
        pairs.fill_cache(lambda done, total: phase(_DECODING, done, total))


def kept_pairs(pairs: TrainingPairs, recipe: Recipe, phase: Phase) -> KeptPairs:
    """The pairs from their file in the cache folder, which is made where it is missing or not whole.

    Of several processes that need the same file one makes it and the others wait.

    Raises:
        DataError: A pair cannot be read.
        ResourceError: S601, S602, the disk has no room for it.
    """
    phase("comparing the data with the cache", 0, 0)
    subject = _subject(pairs, recipe)
    folder = entry_path(DECODED, _key(pairs, recipe), subject=subject)
    with work_lock(folder, lambda: phase("waiting for another process that decodes the images", 0, 0)):
        with contextlib.suppress(OSError, ValueError, msgspec.MsgspecError):
            return KeptPairs(pairs, folder / DECODED_FILE)
        remove_leftovers(folder)
        _require_space(pairs, folder)
        about = {"dataset": pairs.dataset.name, "split": recipe.data.train_split, "pairs": len(pairs)}
        try:
            every = pairs.decoded(range(len(pairs)), lambda done, total: phase(_DECODING, done, total))
            write_arrays(folder / DECODED_FILE, every, about)
        except ResourceError as error:
            raise ResourceError(error.code, error.message, _HELP) from error
        drop_superseded(DECODED, folder, subject=subject)
        return KeptPairs(pairs, folder / DECODED_FILE)


def _key(pairs: TrainingPairs, recipe: Recipe) -> str:
    """Hash of everything that the decoded pixels depend on, the versions of the decoders included."""
    dataset = msgspec.structs.replace(pairs.dataset, splits={recipe.data.train_split: tuple(pairs.samples)})
    described = (fingerprint(dataset), recipe.augment.resize, _versions())
    return sha256_bytes(msgspec.json.encode(described))[:40]


def _subject(pairs: TrainingPairs, recipe: Recipe) -> str:
    """What the pairs are of and how they are read, whatever the files hold at the moment."""
    data = msgspec.structs.replace(recipe.data, workers=None)
    return subject_of(pairs.dataset.root.absolute(), data, recipe.augment.resize, _versions())


def _versions() -> tuple[int, str, str]:
    return DECODED.version, PIL.__version__, cv2.__version__


def _require_space(pairs: TrainingPairs, folder: Path) -> None:
    """Refuse early what will not fit, by the sizes of a few pairs from all over the split."""
    probed = range(0, len(pairs), max(1, len(pairs) // _PROBED))
    sizes = [sum(array.nbytes for array in pair) for pair in pairs.decoded(probed, lambda done, total: None)]
    needed = int(_MARGIN * sum(sizes) / len(sizes) * len(pairs))
    require_space(folder, needed, f"keeping {len(pairs)} decoded pairs (data.cache=disk)", _HELP)
