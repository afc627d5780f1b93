"""Files of what networks that never change say of views of training images: one file per view, one row per image.

View v of an image is the image as epoch v augments it. With N views, epoch e trains on view e mod N.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from torch import Tensor

from pixelwise.errors import PixelwiseError, ResourceError
from pixelwise.machine.thread_pools import thread_pool
from pixelwise.machine.threads import reading_threads
from pixelwise.observer import Observer
from pixelwise.storage.arrays import ArrayFile, DamagedArrayError, write_arrays
from pixelwise.storage.atomic import remove_leftovers, require_space
from pixelwise.storage.cache_kinds import FEATURES, TAUGHT, VIEW_FILE
from pixelwise.storage.caches import drop_superseded, entry_path, make_way
from pixelwise.storage.locks import work_lock
from pixelwise.training.batches import Batch, TrainingPairs, collate

Row = tuple[np.ndarray, ...]
_PROBED = 4
"""Number of images whose rows are computed to estimate the size of all of them."""
_MARGIN = 1.1
KINDS = {"features": FEATURES, "teachers' answers": TAUGHT}
"""Rows in words -> kind of their cache entries."""
_LARGEST = float(np.finfo(np.float16).max)


class Kept(NamedTuple):
    """What is kept of the views.

    Attributes:
        what: The rows in words, one of `KINDS`.
        field: Field of the recipe that says how many views are kept.
        split: Name of the training split.
        number: Number of views.
    """

    what: str
    field: str
    split: str
    number: int

    @property
    def help(self) -> str:
        """What to do where there is no room."""
        return f"free some space, point XDG_CACHE_HOME to a larger disk, or lower {self.field} (0 keeps no {self.what})"


def keep_views(
    kept: Kept,
    key: str,
    subject: str,
    pairs: TrainingPairs,
    compute: Callable[[int, Sequence[int]], Iterator[Row]],
    observer: Observer,
) -> list[Path]:
    """The files of the views, of which those are computed that the cache does not have.

    If several processes need the same ones, one computes them and the others wait. A view is a file of its own, so
    that a process that was killed computes at most one again, and more views keep those that are there.

    Args:
        kept: What is kept.
        key: Hash of everything that the rows depend on.
        subject: Hash that says what they are about; entries about it with another key are removed.
        pairs: The training pairs.
        compute: Makes the rows of a view and of indices.
        observer: Receives phases and progress.

    Raises:
        DataError: A pair cannot be read.
        ResourceError: S601 or S602, there is not enough disk space for the cache.
    """
    kind = KINDS[kept.what]
    folder = entry_path(kind, key, subject=subject)
    files = [folder / VIEW_FILE.format(view) for view in range(kept.number)]
    make_way(folder, folder=True)
    with work_lock(folder, lambda: observer.phase(f"waiting for another process that computes the {kept.what}")):
        missing = {path: view for view, path in enumerate(files) if not _is_whole(path, len(pairs))}
        if missing:
            remove_leftovers(folder)
            _write(kept, compute, missing, pairs, observer)
            drop_superseded(kind, folder, subject=subject)
    return files


def opened(path: Path, rows: int) -> ArrayFile:
    """The file of a view.

    Raises:
        ValueError: It is damaged, or has another number of rows.
        OSError: It cannot be read.
    """
    file = ArrayFile(path)
    if len(file) != rows:
        raise ValueError(f"{path} holds {len(file)} rows; expected {rows}")
    return file


def batches_of_one(pairs: TrainingPairs, view: int, indices: Sequence[int]) -> Iterator[Batch]:
    """Each of some images as a view shows it, in a batch of its own: the rounding of a batch depends on what is in it.

    Images are read ahead by threads.

    Raises:
        DataError: A pair cannot be read.
    """
    threads = reading_threads()
    with thread_pool(threads) as pool:
        for start in range(0, len(indices), 4 * threads):
            keys = [(view, index) for index in indices[start : start + 4 * threads]]
            for item in pool.map(pairs.__getitem__, keys):
                batch = collate([item])
                if isinstance(batch, PixelwiseError):
                    raise batch
                yield batch


def stored(values: Tensor) -> np.ndarray:
    """Values as the cache holds them: float16, or float32 where that has no room for them."""
    values = values.cpu()
    return values.float().numpy() if float(values.abs().max()) > _LARGEST else values.half().numpy()


def _write(
    kept: Kept,
    compute: Callable[[int, Sequence[int]], Iterator[Row]],
    views: dict[Path, int],
    pairs: TrainingPairs,
    observer: Observer,
) -> None:
    """Write the files of views, given by their numbers, from the rows that `compute` makes of a view and of indices."""
    observer.phase(f"computing the {kept.what}")
    probed = range(0, len(pairs), max(1, len(pairs) // _PROBED))
    first = next(iter(views.values()))
    sizes = [sum(array.nbytes for array in row) for row in compute(first, probed)]
    needed = int(_MARGIN * sum(sizes) / len(sizes) * len(pairs) * len(views))
    observer.phase(f"keeping the {kept.what} takes about {needed / 1e6:.1f} MB of the disk")
    folder = next(iter(views)).parent
    require_space(folder, needed, f"keeping the {kept.what} of {len(pairs)} images ({kept.field})", kept.help)
    done, total = 0, len(views) * len(pairs)

    def counted(rows: Iterator[Row]) -> Iterator[Row]:
        nonlocal done
        for row in rows:
            yield row
            done += 1
            observer.progress(done, total)

    for path, view in views.items():
        make_way(path, folder=False)
        about = {"dataset": pairs.dataset.name, "split": kept.split, "pairs": len(pairs), "view": view}
        try:
            write_arrays(path, counted(compute(view, range(len(pairs)))), about)
        except ResourceError as error:
            raise ResourceError(error.code, error.message, kept.help) from error


def _is_whole(path: Path, rows: int) -> bool:
    """Whether a file has that many rows, all of them undamaged."""
    try:
        file = opened(path, rows)
        for row in range(rows):
            file[row]
    except (OSError, ValueError, msgspec.MsgspecError, DamagedArrayError):
        return False
    return True
