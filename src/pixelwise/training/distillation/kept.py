"""Cache of what teachers say: computed once for a number of views of each training image, kept on the disk.

View v of an image is the image as epoch v augments it, colours included. With N views, epoch e trains on view e mod N.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import msgspec
import numpy as np
import PIL
import torch
from torch import Tensor

from pixelwise.datasets.columns import as_tuple
from pixelwise.datasets.fingerprint import fingerprint
from pixelwise.errors import DataError, PixelwiseError
from pixelwise.models.probabilities import NOTHING
from pixelwise.observer import Observer
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.storage import printable, sha256_bytes
from pixelwise.storage.arrays import DamagedArrayError
from pixelwise.storage.cache_kinds import TAUGHT
from pixelwise.storage.caches import subject_of
from pixelwise.training.batches import Batch, Item, Items, TrainingPairs
from pixelwise.training.distillation.features import FeatureTeachers
from pixelwise.training.distillation.teachers import Teachers
from pixelwise.training.features.views import Kept, Row, batches_of_one, keep_views, opened, stored
from pixelwise.training.state import TrainingState
from pixelwise.training.step import autocast, prepare
from pixelwise.training.together.keys import Key, Keys


class TaughtPairs(TrainingPairs):
    """(epoch, index) -> a view of a training pair, with what the teachers say of it.

    It can be sent to loader processes, which read the files alone.

    Args:
        pairs: The training pairs, decoded already if they are.
        recipe: The recipe that they were made for; its batches are not mixed.
        files: One file per view.
    """

    def __init__(self, pairs: TrainingPairs, recipe: Recipe, files: Sequence[Path]) -> None:
        super().__init__(pairs.dataset, pairs.samples, recipe)
        if pairs._cached is not None:
            self.use_cache(pairs._cached)
        self._views = [opened(path, len(pairs)) for path in files]
        self._files = list(files)

    def __getitem__(self, key: Key) -> Item | PixelwiseError:
        """The augmented pair of the view that the epoch trains on; an error is returned, not raised."""
        epoch, index = key
        return super().__getitem__((epoch % len(self._views), index))

    def __getitems__(self, keys: Sequence[Key]) -> Items:
        """The items of a batch, and what the teachers say of them; called by PyTorch's loader."""
        known = keys if isinstance(keys, Keys) else Keys(keys)
        items = TaughtItems([self[key] for key in known], known.repeated, known.total)
        for place, key in enumerate(known):
            try:
                items.answers.append(self.answer(key))
            except DataError as error:
                items[place] = error
        return items

    def answer(self, key: Key) -> np.ndarray:
        """What the teachers say of a view (K, h, w), as `Teachers.answer`, in an array that lies in the file.

        Raises:
            DataError: D135, it was damaged on the disk after the run began.
        """
        epoch, index = key
        view = epoch % len(self._views)
        try:
            return self._views[view][index][0]
        except DamagedArrayError as error:
            raise DataError(
                "D135",
                f"{printable(self._files[view])}: what the teachers say of {self.samples[index].id} is damaged",
                "check the disk, then continue with `pixelwise resume`, which computes it again",
            ) from error

    def collate(self, items: list[Item | PixelwiseError]) -> Batch | PixelwiseError:
        """Stack the items into a batch with what the teachers say of it."""
        batch = super().collate(items)
        if isinstance(batch, PixelwiseError) or not isinstance(items, TaughtItems):
            return batch
        return batch._replace(taught=torch.from_numpy(np.stack(items.answers)))


class TaughtItems(Items):
    """The items of a batch.

    Attributes:
        answers: What the teachers say of each, (K, h, w).
    """

    def __init__(
        self, items: Sequence[Item | PixelwiseError] = (), repeated: bool = False, total: int | None = None
    ) -> None:
        super().__init__(items, repeated, total)
        self.answers: list[np.ndarray] = []


def keep_taught(
    pairs: TrainingPairs, recipe: Recipe, state: TrainingState, teachers: Teachers | FeatureTeachers, observer: Observer
) -> TaughtPairs:
    """Ask the teachers about `distillation.cache_views` views of every image, unless the cache has their answers.

    Args:
        pairs: The training pairs.
        recipe: The resolved recipe.
        state: Its network and the teachers are on the device on which the answers are computed.
        teachers: The teachers.
        observer: Receives phases and progress.

    Returns:
        The training pairs with the answers.

    Raises:
        DataError: A pair cannot be read.
        ResourceError: S601 or S602, there is not enough disk space for the cache.
    """
    observer.phase("comparing the teachers' answers with the cache")
    split = recipe.data.train_split
    kept = Kept("teachers' answers", "distillation.cache_views", split, recipe.distillation.cache_views)
    subject = subject_of(pairs.dataset.root.absolute(), split, teachers.described)
    compute = functools.partial(_rows, pairs, recipe, state, teachers)
    files = keep_views(kept, _key(pairs, recipe, state, teachers), subject, pairs, compute, observer)
    return TaughtPairs(pairs, recipe, files)


def answered(batch: Batch, recipe: Recipe, state: TrainingState, teachers: Teachers | FeatureTeachers) -> Tensor:
    """What the teachers say of a batch, as the cache keeps it: (B, C, h, w), see the teachers' `answer`."""
    preprocessing, layout = state.model.preprocessing, recipe.precision.channels_last
    images, _ = prepare(batch, preprocessing, state.device, layout)
    with autocast(recipe, state.device):
        return teachers.answer(images)


def _rows(
    pairs: TrainingPairs,
    recipe: Recipe,
    state: TrainingState,
    teachers: Teachers | FeatureTeachers,
    view: int,
    indices: Sequence[int],
) -> Iterator[Row]:
    """What the teachers say of a view of images, in their order."""
    for batch in batches_of_one(pairs, view, indices):
        yield (stored(answered(batch, recipe, state, teachers)[0]),)


def _key(pairs: TrainingPairs, recipe: Recipe, state: TrainingState, teachers: Teachers | FeatureTeachers) -> str:
    """Hash of everything that the answers about a view depend on.

    These are the teachers, the order of the classes, the pairs, their augmentation and normalisation, the number
    format, and, because of rounding, the kind of device, its threads and the versions of the libraries.
    """
    dataset = msgspec.structs.replace(pairs.dataset, splits={recipe.data.train_split: as_tuple(pairs.samples)})
    described = (
        fingerprint(dataset),
        (recipe.augment, recipe.sampling.seed, recipe.model.preprocessing),
        (teachers.described, recipe.precision.dtype, recipe.precision.channels_last, NOTHING),
        (state.device.type, torch.get_num_threads() if state.device.type == "cpu" else 0),
        (TAUGHT.version, str(torch.__version__), PIL.__version__, cv2.__version__),
    )
    return sha256_bytes(msgspec.json.encode(described))[:40]
