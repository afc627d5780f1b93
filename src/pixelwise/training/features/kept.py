"""Cache of the features of a frozen encoder: computed once for a number of views of each image, kept on the disk.

View v of an image is the image as epoch v augments it. With N views, epoch e trains on view e mod N.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import msgspec
import numpy as np
import PIL
import torch
from torch import Tensor, nn

from pixelwise.datasets.columns import as_tuple
from pixelwise.datasets.fingerprint import fingerprint
from pixelwise.errors import DataError, PixelwiseError, RecipeError, ResourceError
from pixelwise.machine.thread_pools import thread_pool
from pixelwise.machine.threads import reading_threads
from pixelwise.models import SegmentationModel
from pixelwise.observer import Observer
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.storage import printable, sha256_bytes
from pixelwise.storage.arrays import ArrayFile, DamagedArrayError, write_arrays
from pixelwise.storage.atomic import remove_leftovers, require_space
from pixelwise.storage.cache_kinds import FEATURES, VIEW_FILE
from pixelwise.storage.caches import drop_superseded, entry_path, make_way, subject_of
from pixelwise.storage.locks import work_lock
from pixelwise.training.batches import Batch, Item, Items, TrainingPairs, collate
from pixelwise.training.features.computing import encoded, maps_read
from pixelwise.training.optimization.freezing import encoder_of
from pixelwise.training.state import TrainingState
from pixelwise.training.together.keys import Key, Keys

Row = tuple[np.ndarray, ...]
_PROBED = 4
"""Number of images whose features are computed to estimate the size of all of them."""
_MARGIN = 1.1
_LARGEST = float(np.finfo(np.float16).max)
_HELP = "free some space, point XDG_CACHE_HOME to a larger disk, or lower data.cache_features (0 keeps no features)"


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
        self._views = [_opened(path, len(pairs)) for path in files]
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
    folder = entry_path(FEATURES, _key(pairs, recipe, state, read), subject=subject)
    files = [folder / VIEW_FILE.format(view) for view in range(recipe.data.cache_features)]
    make_way(folder, folder=True)
    with work_lock(folder, lambda: observer.phase("waiting for another process that computes the features")):
        missing = [path for path in files if not _is_whole(path, len(pairs))]
        if missing:
            remove_leftovers(folder)
            compute = functools.partial(_rows, pairs, state.model, read)
            _write(compute, {path: files.index(path) for path in missing}, pairs, recipe, observer)
            drop_superseded(FEATURES, folder, subject=subject)
        return FeaturePairs(pairs, recipe, read, files)


def _write(
    compute: Callable[[int, Sequence[int]], Iterator[Row]],
    views: dict[Path, int],
    pairs: TrainingPairs,
    recipe: Recipe,
    observer: Observer,
) -> None:
    """Write the files of views, given by their numbers, from the rows that `compute` makes of a view and of indices."""
    observer.phase("computing the features")
    probed = range(0, len(pairs), max(1, len(pairs) // _PROBED))
    first = next(iter(views.values()))
    sizes = [sum(array.nbytes for array in row) for row in compute(first, probed)]
    needed = int(_MARGIN * sum(sizes) / len(sizes) * len(pairs) * len(views))
    folder = next(iter(views)).parent
    require_space(folder, needed, f"keeping the features of {len(pairs)} images (data.cache_features)", _HELP)
    done, total = 0, len(views) * len(pairs)

    def counted(rows: Iterator[Row]) -> Iterator[Row]:
        nonlocal done
        for row in rows:
            yield row
            done += 1
            observer.progress(done, total)

    for path, view in views.items():
        make_way(path, folder=False)
        about = {"dataset": pairs.dataset.name, "split": recipe.data.train_split, "pairs": len(pairs), "view": view}
        try:
            write_arrays(path, counted(compute(view, range(len(pairs)))), about)
        except ResourceError as error:
            raise ResourceError(error.code, error.message, _HELP) from error


def _rows(
    pairs: TrainingPairs, model: SegmentationModel, read: tuple[int, ...], view: int, indices: Sequence[int]
) -> Iterator[Row]:
    """What `FeaturePairs.features` returns for a view of images, in their order.

    Images are read ahead by threads, and encoded one at a time: the rounding of a batch depends on what is in it.
    """
    threads = reading_threads()
    with thread_pool(threads) as pool:
        for start in range(0, len(indices), 4 * threads):
            keys = [(view, index) for index in indices[start : start + 4 * threads]]
            for item in pool.map(pairs.__getitem__, keys):
                batch = collate([item])
                if isinstance(batch, PixelwiseError):
                    raise batch
                maps = [one[0] for one in encoded(model, batch)]
                shapes = np.array([one.shape for one in maps], np.int32)
                yield batch.labels[0].numpy(), shapes, *(stored(maps[index]) for index in read)


def stored(features: Tensor) -> np.ndarray:
    """Features as the cache holds them: float16, or float32 where that has no room for their values."""
    values = features.cpu()
    return values.numpy() if float(values.abs().max()) > _LARGEST else values.half().numpy()


def _is_whole(path: Path, rows: int) -> bool:
    """Whether a file has that many rows, all of them undamaged."""
    try:
        file = _opened(path, rows)
        for row in range(rows):
            file[row]
    except (OSError, ValueError, msgspec.MsgspecError, DamagedArrayError):
        return False
    return True


def _opened(path: Path, rows: int) -> ArrayFile:
    file = ArrayFile(path)
    if len(file) != rows:
        raise ValueError(f"{path} holds {len(file)} rows; expected {rows}")
    return file


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
