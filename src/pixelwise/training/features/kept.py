"""Cache of the features of a frozen encoder: computed once for a number of views of each image, kept on the disk."""

from __future__ import annotations

import contextlib
import functools
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import msgspec
import numpy as np
import PIL
import torch
from torch import Tensor, nn

from pixelwise.datasets.columns import as_tuple
from pixelwise.datasets.fingerprint import fingerprint
from pixelwise.errors import DataError, PixelwiseError, RecipeError
from pixelwise.models import SegmentationModel
from pixelwise.observer import Observer
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.storage import printable, sha256_bytes
from pixelwise.storage.arrays import DamagedArrayError
from pixelwise.storage.cache_kinds import FEATURES
from pixelwise.storage.caches import subject_of
from pixelwise.training.batches import Batch, Item, Items, TrainingPairs, collate
from pixelwise.training.features.computing import encoded, maps_read
from pixelwise.training.features.views import Kept, Row, batches_of_one, keep_views, opened, stored
from pixelwise.training.optimization.freezing import encoder_of
from pixelwise.training.state import TrainingState
from pixelwise.training.together.keys import Key, Keys


class FeaturePairs(TrainingPairs):
    """(epoch, index) -> the labels and the features of a view of a training image.

    Its batches have features; images, and feature maps that the head does not read, take no memory in them. It can be
    sent to loader processes, which read the files alone.

    Args:
        pairs: The training pairs whose features are kept.
        recipe: The recipe that they were made for.
        read: Indices of the feature maps in the files, those that the head reads.
        files: One file per view.
    """

    def __init__(self, pairs: TrainingPairs, recipe: Recipe, read: tuple[int, ...], files: Sequence[Path]) -> None:
        super().__init__(pairs.dataset, pairs.samples, recipe)
        self._views = [opened(path, len(pairs)) for path in files]
        self._files, self._read = list(files), read

    def features(self, key: Key) -> tuple[np.ndarray, ...]:
        """What is kept of a view, in arrays that lie in the file.

        Returns:
            The labels (H, W), the shapes (M, 3) of the M feature maps, and one (C, h, w) per map that the head reads.

        Raises:
            DataError: D135, they were damaged on the disk after the run began.
        """
        epoch, index = key
        view = epoch % len(self._views)
        try:
            return self._views[view][index]
        except DamagedArrayError as error:
            raise DataError(
                "D135",
                f"{printable(self._files[view])}: the features of {self.samples[index].id} are damaged",
                "check the disk, then continue with `pixelwise resume`, which computes them again",
            ) from error

    def __getitem__(self, key: Key) -> Item | PixelwiseError:
        """The labels with an image that takes no memory; `collate` reads the features."""
        try:
            labels = self.features(key)[0]
        except DataError as error:
            return error
        image = np.broadcast_to(np.zeros(1, np.uint8), (*labels.shape, len(self.fill)))
        return image, labels, None, self.samples[key[1]].id

    def __getitems__(self, keys: Sequence[Key]) -> Items:
        """The items of a batch, with their features; called by PyTorch's loader."""
        known = keys if isinstance(keys, Keys) else Keys(keys)
        return FeatureItems([self[key] for key in known], known.repeated, known.total, maps=self._maps(known))

    def _maps(self, keys: Sequence[Key]) -> list[Tensor]:
        """One (B, C, h, w) per feature map; none if they differ in size, or cannot be read, of which the items tell."""
        with contextlib.suppress(DataError, ValueError):
            rows = [self.features(key) for key in keys]
            read = [torch.from_numpy(np.stack(maps)) for maps in zip(*(row[2:] for row in rows), strict=True)]
            nothing = torch.full((1, 1, 1, 1), float("nan"), dtype=torch.float16)
            maps = [nothing.expand(len(rows), *shape) for shape in rows[0][1].tolist()]
            for index, one in zip(self._read, read, strict=True):
                maps[index] = one
            return maps
        return []

    def collate(self, items: list[Item | PixelwiseError]) -> Batch | PixelwiseError:
        """Stack the items into a batch with features."""
        batch = collate(items, needs_classes=self.needs_classes)
        if isinstance(batch, PixelwiseError) or not isinstance(items, FeatureItems):
            return batch
        images = torch.zeros(1, dtype=torch.uint8).expand(batch.images.shape)
        return batch._replace(images=images, features=items.maps)


class FeatureItems(Items):
    """The items of a batch, and their features, one (B, C, h, w) per feature map."""

    def __init__(
        self, items: list[Item | PixelwiseError], repeated: bool, total: int | None, maps: list[Tensor]
    ) -> None:
        super().__init__(items, repeated, total)
        self.maps = maps


def keep_features(pairs: TrainingPairs, recipe: Recipe, state: TrainingState, observer: Observer) -> FeaturePairs:
    """Compute the features of `data.cache_features` views of every image, unless the cache has them.

    If several processes need the same features, one computes them and the others wait. A view is a file of its own, so
    that a process that was killed computes at most one again, and more views keep those that are there.

    Args:
        pairs: The training pairs.
        recipe: The resolved recipe; its encoder is frozen.
        state: Its network is on the device on which the features are computed.
        observer: Receives phases and progress.

    Returns:
        The training pairs with their features in place of the images.

    Raises:
        DataError: A pair cannot be read.
        RecipeError: R296, the processes of the training share the weights of the encoder among them.
        ResourceError: S601 or S602, there is not enough disk space for the cache.
    """
    if state.sharded is not None:
        raise RecipeError(
            "R296",
            "data.cache_features needs the whole encoder in every process, but each has a part of its weights (shard)",
            "resume the run with --shard never, or begin it with data.cache_features=0",
        )
    observer.phase("comparing the features with the cache")
    read, encoder = maps_read(state.model), encoder_of(state.model)
    subject = subject_of(pairs.dataset.root.absolute(), recipe.data.train_split, encoder.name, read)
    words = Kept("features", "data.cache_features", recipe.data.train_split, recipe.data.cache_features)
    compute = functools.partial(_rows, pairs, state.model, read)
    files = keep_views(words, _key(pairs, recipe, state, read), subject, pairs, compute, observer)
    return FeaturePairs(pairs, recipe, read, files)


def _rows(
    pairs: TrainingPairs, model: SegmentationModel, read: tuple[int, ...], view: int, indices: Sequence[int]
) -> Iterator[Row]:
    """What `FeaturePairs.features` returns for a view of images, in their order."""
    for batch in batches_of_one(pairs, view, indices):
        maps = [one[0] for one in encoded(model, batch)]
        shapes = np.array([one.shape for one in maps], np.int32)
        yield batch.labels[0].numpy(), shapes, *(stored(maps[index]) for index in read)


def _key(pairs: TrainingPairs, recipe: Recipe, state: TrainingState, read: tuple[int, ...]) -> str:
    """Hash of everything that the features of a view depend on.

    These are the weights of the encoder, which of its maps are read, the normalisation of its input, the pairs, their
    augmentation, and, because of rounding, the kind of device, its threads and the versions of the libraries.
    """
    dataset = msgspec.structs.replace(pairs.dataset, splits={recipe.data.train_split: as_tuple(pairs.samples)})
    encoder = encoder_of(state.model)
    described = (
        fingerprint(dataset),
        (recipe.augment, recipe.sampling.seed, recipe.model.preprocessing),
        (encoder.name, encoder.channels, encoder.strides, repr(encoder), content_of(encoder), read),
        (state.device.type, torch.get_num_threads() if state.device.type == "cpu" else 0),
        (FEATURES.version, str(torch.__version__), PIL.__version__, cv2.__version__),
    )
    return sha256_bytes(msgspec.json.encode(described))[:40]


def content_of(module: nn.Module) -> str:
    """Hexadecimal SHA-256 of the names, shapes and values of the weights and statistics of a network."""
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        values = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {values.dtype} {tuple(values.shape)};".encode())
        digest.update(values.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
