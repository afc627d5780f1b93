"""Training batches from samples: uint8 on the CPU, in a fixed order, with errors that name the file."""

from __future__ import annotations

import errno
import itertools
import re
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol, TypeVar

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from pixelwise.datasets.reading.ahead import fetch_files, is_far
from pixelwise.datasets.reading.pairs import read_to_learn
from pixelwise.datasets.reading.regions.pairs import Learnt, PairRegions, is_in_parts
from pixelwise.datasets.samples import Dataset, Sample
from pixelwise.errors import DataError, PixelwiseError, RecipeError, ResourceError
from pixelwise.losses.pixels import labelled_classes
from pixelwise.losses.segmentation import needs_classes
from pixelwise.machine.processes import FORKS, GUARD, START_METHOD
from pixelwise.machine.signals import leave_signals_to_parent, own_child_handler
from pixelwise.machine.thread_pools import thread_pool
from pixelwise.machine.threads import own_cores, reading_threads
from pixelwise.observer import Warn
from pixelwise.recipes.schema.recipe import Augment, Recipe
from pixelwise.storage import printable
from pixelwise.storage.locks import release_inherited_locks
from pixelwise.storage.names import some
from pixelwise.training.order import BatchPlan, augmentation_random
from pixelwise.training.together.division import ALL, Division
from pixelwise.training.together.keys import Key, Keys
from pixelwise.transforms.augmentation import fill_color, fixed_resize, random_pair
from pixelwise.transforms.color import draw_color_matrix, has_color
from pixelwise.transforms.mixing import mix_pair
from pixelwise.transforms.parts import LabelParts, Parts

Result = TypeVar("Result")
READ_ATTEMPTS = 3
RETRY_SECONDS = 0.2
WORKER_RESTARTS = 3
WORKER_DEATH = re.compile(r"DataLoader worker .*(exited unexpectedly|is killed by signal)")
_LOST = (ConnectionError, EOFError, FileNotFoundError)
"""What taking a tensor from a process raises that is gone by then."""
PREFETCH_FACTOR = 2
# A random stream separate from those of `order`.
MIXING_STREAM = 2

Item = tuple[np.ndarray, np.ndarray, np.ndarray | None, str]
"""(image, labels, colour matrix or None, sample id)"""


class Items(list[Item | PixelwiseError]):
    """The items of a batch.

    Attributes:
        repeated: Whether all processes have this same batch, because it is too small to be divided.
        total: Number of images of the whole batch, where this is a part of it.
    """

    def __init__(
        self, items: Iterable[Item | PixelwiseError] = (), repeated: bool = False, total: int | None = None
    ) -> None:
        super().__init__(items)
        self.repeated = repeated
        self.total = total


class DecodedPairs(Protocol):
    """Index -> (image, labels), as `TrainingPairs.read` returns them."""

    def __getitem__(self, index: int, /) -> tuple[np.ndarray, np.ndarray]: ...


class Batch(NamedTuple):
    """A training batch on the CPU.

    Attributes:
        images: uint8 (B, H, W, C).
        labels: uint8 (B, H, W), class ids or 255; int32 bit fields for multi-label data.
        colors: float32 (B, C, C + 1) colour matrices, or None without colour augmentation.
        ids: Sample ids, for messages.
        classes: Ids of the classes present in each image's labels, if a term of the loss needs them.
        repeated: Whether all processes have this same batch, because it is too small to be divided.
        total: Number of images of the whole batch, where this is a part of it.
        features: One (B, C, h, w) per feature map of a frozen encoder; the values of `images` are then undefined.
        taught: What teachers said of the images, (B, K, h, w); None if they are yet to be asked.
    """

    images: Tensor
    labels: Tensor
    colors: Tensor | None
    ids: list[str]
    classes: list[list[int]] | None = None
    repeated: bool = False
    total: int | None = None
    features: list[Tensor] | None = None
    taught: Tensor | None = None


class TrainingPairs:
    """(epoch, index) -> augmented training pair; the data set that the loader's worker processes read.

    Args:
        dataset: The opened data set.
        samples: Samples of the training split.
        recipe: Only its `augment`, `loss`, `sampling.seed` and the mean of its preprocessing are used.
    """

    def __init__(self, dataset: Dataset, samples: Sequence[Sample], recipe: Recipe) -> None:
        self.dataset = dataset
        self.samples = samples
        self.augment: Augment = recipe.augment
        self.seed = recipe.sampling.seed
        self.fill = fill_color(recipe.augment, recipe.model.preprocessing.mean)
        self.needs_classes = needs_classes(recipe.loss)
        self.far = is_far(dataset)
        self._cached: DecodedPairs | None = None
        self._in_parts: dict[Sample, Learnt] = {}

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def start_method(self) -> str:
        """Start method of the loader processes: what reads from other machines does not survive a fork."""
        return "spawn" if self.far else START_METHOD

    def use_cache(self, cached: DecodedPairs) -> None:
        """Take decoded pairs from `cached` from now on."""
        self._cached = cached

    def decoded(
        self, indices: Sequence[int], progress: Callable[[int, int], None]
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Decode the pairs of `indices` in their order, only a few at a time in memory, as a cache stores them."""
        done = 0
        threads = reading_threads()
        with thread_pool(threads) as pool:
            for start in range(0, len(indices), 4 * threads):
                if self.far:
                    fetch_files(self.samples[index] for index in indices[start : start + 4 * threads])
                for pair in pool.map(self.read, indices[start : start + 4 * threads]):
                    yield pair
                    done += 1
                    progress(done, len(indices))

    def __getitem__(self, key: Key) -> Item | PixelwiseError:
        """The augmented pair; an error is returned, not raised, so that PyTorch's loader does not wrap it."""
        _, index = key
        sample = self.samples[index]
        try:
            if sample not in self._in_parts:
                try:
                    return self._augmented(key, *(self.read(index) if self._cached is None else self._cached[index]))
                except DataError as error:
                    if error.code != "D120" or not is_in_parts(sample.image_path, self.dataset.reading):
                        raise
                    self._in_parts[sample] = Learnt()
            return _repeatedly(lambda: self._in_part(key, sample))
        except PixelwiseError as error:
            return error

    def _in_part(self, key: Key, sample: Sample) -> Item:
        """The augmented pair of an image that is too large to be decoded whole: only what the crop shows is read."""
        with PairRegions(sample, self.dataset, self._in_parts[sample]) as pair:
            return self._augmented(key, pair.image, pair.labels)

    def _augmented(self, key: Key, image: np.ndarray | Parts, labels: np.ndarray | LabelParts) -> Item:
        epoch, index = key
        random = augmentation_random(self.seed, epoch, index)
        image, labels = random_pair(image, labels, self.augment, random, self.fill)
        color = draw_color_matrix(self.augment, random, len(self.fill)) if has_color(self.augment) else None
        return image, labels, color, self.samples[index].id

    def __getitems__(self, keys: Sequence[Key]) -> Items:
        """The items of a batch, mixed with each other as `augment.mix` says; called by PyTorch's loader."""
        known = keys if isinstance(keys, Keys) else Keys(keys)
        return Items(self._items(known), known.repeated, known.total)

    def _items(self, keys: Keys) -> Sequence[Item | PixelwiseError]:
        following = keys.following if self.augment.mix != "none" else None
        # A pair of another process is mixed into the last one.
        seen = [*keys, following] if following is not None else list(keys)
        if self.far and self._cached is None:
            fetch_files((self.samples[index] for _, index in seen), self._in_parts)
        items = [self[key] for key in seen]
        whole = [item for item in items if not isinstance(item, PixelwiseError)]
        if self.augment.mix != "none" and len(whole) == len(items):
            return mix_items(whole, seen, self.augment, self.seed)[: len(keys)]
        # An error of the pair after the last one is an error of this batch, too: it cannot be made without it.
        return items if len(whole) < len(items) else items[: len(keys)]

    def collate(self, items: list[Item | PixelwiseError]) -> Batch | PixelwiseError:
        """Stack the items of a batch, or return the first error among them."""
        return collate(items, needs_classes=self.needs_classes)

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Image and labels from their files, after the fixed resize.

        Raises:
            DataError: As `datasets.reading.pairs.read_to_learn`; D135, three attempts failed with an error of the disk
                or the network.
        """
        sample = self.samples[index]
        return _repeatedly(lambda: fixed_resize(*read_to_learn(sample, self.dataset), self.augment))


def mix_items(items: Sequence[Item], keys: Sequence[Key], augment: Augment, seed: int) -> list[Item]:
    """Paste a part of the next pair of the batch into each pair; the last pair is followed by the first.

    The pasted part comes from the next pair before mixing. Every pair keeps its id and its colour matrix, which is
    applied to the mixed image.

    Args:
        items: Pairs of a batch; pairs of different sizes are not mixed.
        keys: The (epoch, index) of each pair, which together with the seed decide what is pasted.
        augment: Only its `mix` and `mix_probability` are used.
        seed: Seed of the run.
    """
    mixed: list[Item] = []
    for position, (item, key) in enumerate(zip(items, keys, strict=True)):
        image, labels, color, name = item
        other_image, other_labels, _, _ = items[(position + 1) % len(items)]
        random = np.random.default_rng([seed, MIXING_STREAM, *key])
        if augment.mix != "none" and labels.shape == other_labels.shape and random.random() < augment.mix_probability:
            image, labels = mix_pair(image, labels, other_image, other_labels, augment.mix, random)
        mixed.append((image, labels, color, name))
    return mixed


def _repeatedly(read: Callable[[], Result]) -> Result:
    """What `read` returns, asked again after an error of the disk or the network.

    Raises:
        DataError: D135, all attempts failed with such an error; any other error of the first one.
    """
    for attempt in range(READ_ATTEMPTS):
        try:
            return read()
        except DataError as error:
            if not _may_pass(error):
                raise
            if attempt + 1 == READ_ATTEMPTS:
                raise DataError(
                    "D135",
                    f"{error.message} ({READ_ATTEMPTS} attempts)",
                    "check the disk or the network, then continue with `pixelwise resume`",
                ) from error
            time.sleep(RETRY_SECONDS * 2**attempt)
    raise AssertionError  # the loop returns or raises


def _may_pass(error: DataError) -> bool:
    """Whether an error is one that disks and network file systems recover from."""
    cause = error.__cause__
    return isinstance(cause, OSError) and cause.errno in (errno.EIO, errno.ESTALE, errno.ETIMEDOUT)


def loader_processes(recipe: Recipe, device: torch.device) -> int:
    """Number of processes that load the data: `data.workers`, or one that suits the device; 0 loads in this process."""
    if recipe.data.workers is not None:
        return recipe.data.workers
    # On the CPU the network needs every core; a GPU leaves them to the data.
    return 0 if device.type == "cpu" else min(8, own_cores())


def training_batches(
    pairs: TrainingPairs,
    recipe: Recipe,
    *,
    start: int,
    steps: int,
    workers: int,
    warn: Warn,
    pin: bool = False,
    division: Division = ALL,
) -> Generator[Batch]:
    """Yield the batches of optimizer steps `start` to `steps` - 1, `sampling.accumulate` for each.

    Worker processes that die are replaced up to three times, and the batches continue where they stopped, with the
    same data.

    Args:
        pairs: The training pairs.
        recipe: Its `sampling` decides the order.
        start: First step whose batches are loaded.
        steps: Total number of steps.
        workers: Number of loader processes; 0 loads in this process.
        warn: Called with code and message (W603) when workers were replaced.
        pin: Whether batches are put into page-locked memory, from which they are copied to a GPU asynchronously.
        division: This process's part of every step; of whole batches it gets fewer than `sampling.accumulate`.

    Raises:
        DataError: A file cannot be read or is faulty; the message names it.
        RecipeError: R210, images of different sizes in one batch.
        ResourceError: S603, workers keep dying; the message names the files they were working on.
    """
    plan = BatchPlan(len(pairs), recipe.sampling, start, steps, division)
    deaths = 0
    while plan.remaining:
        try:
            for batch in _loader(pairs, plan, workers, pin):
                if isinstance(batch, PixelwiseError):
                    raise batch
                plan.advance()
                yield batch
        except (RuntimeError, *_LOST) as error:
            # A process that dies while it hands over a batch breaks the connection before PyTorch notices its death.
            if not (workers and isinstance(error, _LOST)) and not WORKER_DEATH.search(str(error)):
                raise
            deaths += 1
            in_work = itertools.islice(plan, max(workers, 1) * PREFETCH_FACTOR)
            _handle_worker_death(deaths, [index for keys in in_work for _, index in keys], pairs, error, warn)


def collate(items: Sequence[Item | PixelwiseError], *, needs_classes: bool = False) -> Batch | PixelwiseError:
    """Stack pairs into a `Batch`, or return the first error among them.

    Args:
        items: Pairs of the batch, or the errors that took their places.
        needs_classes: Whether the batch has to list the classes of each image.
    """
    pairs = []
    for item in items:
        if isinstance(item, PixelwiseError):
            return item
        pairs.append(item)
    sizes = sorted({image.shape[:2] for image, _, _, _ in pairs})
    if len(sizes) > 1:
        return RecipeError(
            "R210",
            f"a batch would hold images of different sizes: {', '.join(f'{h}x{w}' for h, w in sizes[:4])} (HxW)",
            "set augment.crop=[height, width] (or augment.resize), or sampling.batch_size=1",
        )
    known = items if isinstance(items, Items) else Items()
    images, masks, colors, ids = zip(*pairs, strict=True)
    labels = torch.from_numpy(np.stack(masks))
    return Batch(
        torch.from_numpy(np.stack(images)),
        labels,
        None if colors[0] is None else torch.from_numpy(np.stack(colors)),
        list(ids),
        labelled_classes(labels) if needs_classes else None,
        known.repeated,
        known.total,
    )


def _loader(pairs: TrainingPairs, batches: BatchPlan, workers: int, pin: bool) -> Iterator[Batch | PixelwiseError]:
    if workers == 0:
        return (pairs.collate(pairs.__getitems__(keys)) for keys in batches)
    loader = DataLoader(
        pairs,  # type: ignore[arg-type]
        batch_sampler=batches,
        num_workers=workers,
        collate_fn=pairs.collate,
        prefetch_factor=PREFETCH_FACTOR,
        pin_memory=pin,
        worker_init_fn=_begin_worker,
        # The loader draws a seed for its workers; drawing it from the global generator would change dropout.
        generator=torch.Generator(),
        multiprocessing_context=pairs.start_method,
    )
    # PyTorch's own handler raises wherever the main thread happens to be, for example in the middle of a
    # training step. Without it the loader notices a dead worker when it waits for the next batch.
    # A thread of OpenCV's pool may hold a lock at the moment of a fork, and the child would wait for it forever.
    # One thread ends the pool; zero would leave its threads waiting.
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    with own_child_handler():
        started = iter(loader)
    cv2.setNumThreads(threads)
    return started


def _begin_worker(_: int) -> None:
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    leave_signals_to_parent()
    # The lock of the parent must not outlive it.
    release_inherited_locks()


def _handle_worker_death(deaths: int, indices: list[int], pairs: TrainingPairs, error: Exception, warn: Warn) -> None:
    names = [printable(pairs.samples[index].image_path) for index in indices]
    facts = f"a data loading process died ({error}) while working on {some(names)}"
    if deaths > WORKER_RESTARTS:
        raise ResourceError(
            "S603",
            f"{facts}; it was replaced {WORKER_RESTARTS} times",
            "memory has probably run out: lower data.workers, or set data.workers=0 and data.cache=off; "
            "if the same file is named every time, inspect that file"
            + ("" if FORKS and not pairs.far else f"; a script that trains needs `{GUARD}` around its calls"),
        ) from error
    warn("W603", f"{facts}; replaced ({deaths} of {WORKER_RESTARTS})")
