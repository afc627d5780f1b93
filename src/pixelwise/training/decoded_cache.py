"""Cache of decoded training pairs, in memory that processes share or in a file that later runs reuse."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import msgspec
import numpy as np
import PIL
import torch

from pixelwise.datasets.fingerprint import fingerprint
from pixelwise.datasets.samples import Sample
from pixelwise.errors import ResourceError
from pixelwise.machine.launched import local_world
from pixelwise.machine.memory import available_memory
from pixelwise.machine.processes import FORKS
from pixelwise.observer import SILENT, Observer
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.recipes.sizes import Size
from pixelwise.storage import sha256_bytes
from pixelwise.storage.arrays import ArrayFile, DamagedArrayError, write_arrays
from pixelwise.storage.atomic import remove_leftovers, require_space
from pixelwise.storage.cache_kinds import DECODED, DECODED_FILE
from pixelwise.storage.caches import drop_superseded, entry_path, make_way, subject_of
from pixelwise.storage.locks import work_lock
from pixelwise.training.batches import TrainingPairs

_PROBED = 8
"""Number of pairs that are decoded to estimate the size of all of them."""
_MARGIN = 1.1
_BLOCK_BYTES = 1 << 26
"""Approximate size of a shared block, which holds many pairs: systems limit the number of blocks per process."""
_ALIGNMENT = 64
_HELP = "free some space, point XDG_CACHE_HOME to a larger disk, or set data.cache=off"
_DECODING = "decoding the images"


class _Place(NamedTuple):
    block: int
    offset: int
    dtype: np.dtype
    shape: tuple[int, ...]


class SharedPairs:
    """Index -> decoded pair, in shared memory: a spawned process that receives them pickled maps the same memory.

    Args:
        pairs: Images and labels of any sizes, taken one pair at a time.
    """

    def __init__(self, pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> None:
        self._blocks: list[torch.Tensor] = []
        self._places: list[tuple[_Place, _Place]] = []
        waiting: list[np.ndarray] = []
        size = 0
        for pair in pairs:
            image, labels = (np.ascontiguousarray(array) for array in pair)
            places = []
            for array in (image, labels):
                places.append(_Place(len(self._blocks), size, array.dtype, array.shape))
                size += -(-array.nbytes // _ALIGNMENT) * _ALIGNMENT
                waiting.append(array)
            self._places.append((places[0], places[1]))
            if size >= _BLOCK_BYTES:
                self._blocks.append(_shared(waiting, size))
                waiting, size = [], 0
        if waiting:
            self._blocks.append(_shared(waiting, size))

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int, /) -> tuple[np.ndarray, np.ndarray]:
        """Image and labels, without copying."""
        image, labels = self._places[index]
        return self._array(image), self._array(labels)

    def _array(self, place: _Place) -> np.ndarray:
        return np.ndarray(place.shape, place.dtype, self._blocks[place.block].numpy().data, place.offset)


def _shared(arrays: Iterable[np.ndarray], size: int) -> torch.Tensor:
    """A block of shared memory, uint8 (size,), that holds the arrays one after the other."""
    block = torch.empty(size, dtype=torch.uint8).share_memory_()
    offset = 0
    for array in arrays:
        block.numpy()[offset : offset + array.nbytes] = array.reshape(-1).view(np.uint8)
        offset += -(-array.nbytes // _ALIGNMENT) * _ALIGNMENT
    return block


class KeptPairs:
    """Index -> decoded pair, from a cache file; a pair that is damaged on the disk is decoded again from its own files.

    Args:
        pairs: The training pairs whose decoded form the file holds.
        path: The cache file.

    Raises:
        ValueError: The file is incomplete.
        OSError: The file cannot be read.
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
            # Processes that have the file open keep it; the next run builds a new one. Windows removes no open file.
            with contextlib.suppress(PermissionError):
                self._path.unlink(missing_ok=True)
            return self._pairs.read(index)
        return image, labels


def keep_decoded(pairs: TrainingPairs, recipe: Recipe, largest: Size, observer: Observer) -> None:
    """Decode the pairs once and cache them as `data.cache` says.

    Args:
        pairs: The training pairs, which use the cache from then on.
        recipe: Only its `data` and its `augment.resize` are used.
        largest: Size of the largest image.
        observer: Receives phases and progress.

    Raises:
        DataError: A pair cannot be read.
        ResourceError: S601 or S602, there is not enough disk space for the cache.
    """
    if _in_parts(recipe, largest):
        if recipe.data.cache in ("disk", "memory"):
            observer.phase("keeping no decoded images, because some are larger than data.max_pixels")
        return
    if recipe.data.cache == "disk":
        pairs.use_cache(kept_pairs(pairs, recipe, observer))
    elif fits_in_memory(pairs.samples, recipe, largest):
        observer.phase(_DECODING)
        keep_in_memory(pairs, observer)


def fits_in_memory(samples: Sequence[Sample], recipe: Recipe, largest: Size) -> bool:
    """Whether to keep decoded pairs in memory: `data.cache` decides; `auto` allows a quarter of the available memory.

    Never if there are images that are read in parts, because they are not decoded whole.

    Args:
        samples: Samples of the training split.
        recipe: Its `data.cache` decides unless it is `auto`.
        largest: Size of the largest image.
    """
    if _in_parts(recipe, largest):
        return False
    if recipe.data.cache != "auto":
        return recipe.data.cache == "memory"
    height, width = recipe.augment.resize or largest
    # A label is one byte, or a bit field of four.
    per_pixel = recipe.data.bands + (4 if recipe.data.multilabel else 1)
    # Processes on the same host each keep a copy.
    return len(samples) * height * width * per_pixel * local_world() <= available_memory() / 4


def _in_parts(recipe: Recipe, largest: Size) -> bool:
    return largest[0] * largest[1] > recipe.data.max_pixels


def keep_in_memory(pairs: TrainingPairs, observer: Observer = SILENT) -> None:
    """Decode the pairs once and keep them as uint8, after the fixed resize if there is one.

    Args:
        pairs: The training pairs, which use the cache from then on.
        observer: Receives progress.

    Raises:
        DataError: A pair cannot be read.
    """
    decoded = pairs.decoded(range(len(pairs)), observer.progress)
    pairs.use_cache(list(decoded) if FORKS and not pairs.far else SharedPairs(decoded))


def kept_pairs(pairs: TrainingPairs, recipe: Recipe, observer: Observer) -> KeptPairs:
    """The pairs from their file in the cache folder, which is written first if it is missing or incomplete.

    If several processes need the same file, one writes it and the others wait.

    Raises:
        DataError: A pair cannot be read.
        ResourceError: S601 or S602, there is not enough disk space for the cache.
    """
    observer.phase("comparing the data with the cache")
    subject = _subject(pairs, recipe)
    folder = entry_path(DECODED, _key(pairs, recipe), subject=subject)
    make_way(folder, folder=True)
    with work_lock(folder, lambda: observer.phase("waiting for another process that decodes the images")):
        with contextlib.suppress(OSError, ValueError, msgspec.MsgspecError):
            return KeptPairs(pairs, folder / DECODED_FILE)
        remove_leftovers(folder)
        make_way(folder / DECODED_FILE, folder=False)
        _require_space(pairs, folder)
        about = {"dataset": pairs.dataset.name, "split": recipe.data.train_split, "pairs": len(pairs)}
        try:
            observer.phase(_DECODING)
            every = pairs.decoded(range(len(pairs)), observer.progress)
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
    """Key of the data folder and the way it is read, independent of the present content of the files."""
    data = msgspec.structs.replace(recipe.data, workers=None)
    return subject_of(pairs.dataset.root.absolute(), data, recipe.augment.resize, _versions())


def _versions() -> tuple[int, str, str]:
    return DECODED.version, PIL.__version__, cv2.__version__


def _require_space(pairs: TrainingPairs, folder: Path) -> None:
    """Refuse early if the pairs will not fit on the disk, judging by the sizes of a few from all over the split."""
    probed = range(0, len(pairs), max(1, len(pairs) // _PROBED))
    sizes = [sum(array.nbytes for array in pair) for pair in pairs.decoded(probed, lambda done, total: None)]
    needed = int(_MARGIN * sum(sizes) / len(sizes) * len(pairs))
    require_space(folder, needed, f"keeping {len(pairs)} decoded pairs (data.cache=disk)", _HELP)
