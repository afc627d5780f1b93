"""Decoded training pairs, kept in memory or in a file that later runs and other processes use again."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import cv2
import msgspec
import numpy as np
import PIL

from pixelwise.datasets.fingerprint import fingerprint
from pixelwise.errors import ResourceError
from pixelwise.recipes.protocols import Size
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.storage import cache_folder, sha256_bytes
from pixelwise.storage.arrays import ArrayFile, DamagedArrayError, write_arrays
from pixelwise.storage.atomic import remove_leftovers, require_space
from pixelwise.storage.locks import is_held, work_lock
from pixelwise.training.batches import TrainingPairs, fits_in_memory

FORMAT = 1
FILE = "pairs"
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


class KeptSplit(NamedTuple):
    """A decoded split in the cache folder.

    Attributes:
        folder: Where it lies.
        about: Data set, split and number of pairs, in words; empty where the file is not whole.
        size: Bytes.
    """

    folder: Path
    about: str
    size: int


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
    folder = _folder() / _key(pairs, recipe)
    with work_lock(folder, lambda: phase("waiting for another process that decodes the images", 0, 0)):
        with contextlib.suppress(OSError, ValueError, msgspec.MsgspecError):
            return KeptPairs(pairs, folder / FILE)
        remove_leftovers(folder)
        _require_space(pairs, folder)
        about = {"dataset": pairs.dataset.name, "split": recipe.data.train_split, "pairs": len(pairs)}
        try:
            every = pairs.decoded(range(len(pairs)), lambda done, total: phase(_DECODING, done, total))
            write_arrays(folder / FILE, every, about)
        except ResourceError as error:
            raise ResourceError(error.code, error.message, _HELP) from error
        return KeptPairs(pairs, folder / FILE)


def kept_splits() -> list[KeptSplit]:
    """What lies in the cache folder, the largest first."""
    found = []
    for folder in _folder().iterdir() if _folder().is_dir() else ():
        about = ""
        with contextlib.suppress(OSError, ValueError, KeyError, msgspec.MsgspecError):
            facts = ArrayFile(folder / FILE).about
            about = f"{facts['dataset']} {facts['split']}, {facts['pairs']} pairs"
        with contextlib.suppress(OSError):  # another process clears it
            found.append(KeptSplit(folder, about, sum(path.stat().st_size for path in folder.iterdir())))
    return sorted(found, key=lambda split: (-split.size, split.folder))


def clear_kept_splits() -> list[KeptSplit]:
    """Remove what lies in the cache folder; returns what was not, because a process is making it.

    Processes that read a file keep what they read.
    """
    for split in kept_splits():
        if not is_held(split.folder):
            shutil.rmtree(split.folder, ignore_errors=True)
    return kept_splits()


def _folder() -> Path:
    return cache_folder() / "decoded"


def _key(pairs: TrainingPairs, recipe: Recipe) -> str:
    """Hash of everything that the decoded pixels depend on, the versions of the decoders included."""
    dataset = msgspec.structs.replace(pairs.dataset, splits={recipe.data.train_split: tuple(pairs.samples)})
    versions = (FORMAT, PIL.__version__, cv2.__version__)
    described = (fingerprint(dataset), recipe.augment.resize, versions)
    return sha256_bytes(msgspec.json.encode(described))[:40]


def _require_space(pairs: TrainingPairs, folder: Path) -> None:
    """Refuse early what will not fit, by the sizes of a few pairs from all over the split."""
    probed = range(0, len(pairs), max(1, len(pairs) // _PROBED))
    sizes = [sum(array.nbytes for array in pair) for pair in pairs.decoded(probed, lambda done, total: None)]
    needed = int(_MARGIN * sum(sizes) / len(sizes) * len(pairs))
    require_space(folder, needed, f"keeping {len(pairs)} decoded pairs (data.cache=disk)", _HELP)
