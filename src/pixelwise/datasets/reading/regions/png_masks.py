"""PNG masks of which rectangles are read: they are stored in tiles once, in the user's cache folder.

A PNG file can only be read from the top, so that a crop at the bottom would take decoding all of it. What is stored
depends on the content of the file alone, by whose hash it is found.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec
import numpy as np

from pixelwise.datasets.reading.files import errors_explained, open_regular, opened_regular, refuse_irregular
from pixelwise.datasets.reading.georeference import Georeference, MissingPixels
from pixelwise.datasets.reading.limits import require_pixels, require_room
from pixelwise.datasets.reading.mask_values import stored_png
from pixelwise.datasets.reading.orientation import png_orientation, upright_size
from pixelwise.datasets.reading.regions.png_passes import strip_files
from pixelwise.datasets.reading.regions.png_strips import (
    DAMAGED,
    SIGNATURE,
    PngHeader,
    read_header,
    require_pixel_data,
)
from pixelwise.datasets.reading.regions.rasters import TiffRaster, Values
from pixelwise.datasets.reading.regions.segments import Rectangle, SegmentCache
from pixelwise.datasets.reading.tiff import StoredTiff
from pixelwise.datasets.samples import Reading
from pixelwise.machine.processes import after_fork
from pixelwise.recipes.sizes import Size
from pixelwise.storage.cache_kinds import TILED_MASKS
from pixelwise.storage.caches import building_entry, entry_path, intact_entry, make_way, subject_of
from pixelwise.storage.documents import read_json
from pixelwise.storage.hashing import sha256_bytes, sha256_file
from pixelwise.storage.json_text import json_text
from pixelwise.storage.locks import writing_alone
from pixelwise.storage.stores.members import Member, in_memory

TILE = 256
"""Height and width of a tile."""
_TILES, _FACTS, _PASSES = "mask.tif", "facts.json", "passes"
_KEY = 40
# Rows are held as they are stored, restored, as small files, and decoded, by Pillow with four bytes for a pixel.
_COPIES = 4
_SETTLED_SECONDS = 2.0
_MOST_DIGESTS = 65536

_digests: dict[tuple[Path, int, int], str] = {}
"""SHA-256 of files by path, size and modification time."""
_converting = threading.Lock()


class _Facts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a PNG file says of its values, which its tiles do not."""

    photometric: int
    alpha: bool
    bits: int
    palette: list[tuple[int, int, int]] | None
    orientation: int
    animated: bool


class PngRaster:
    """A PNG mask as it is stored; see `Raster`.

    Args:
        path: The PNG file.
        cache: Decoded tiles.
        closing: Closes the file.
        from_alpha: Whether the transparency of a palette is read; otherwise it says nothing that the indices do not.
        file: Number of the file among those that share the cache.

    Raises:
        DataError: D101 damaged, D131 unreadable, D151 no memory for its rows; D205, colours of more than 8 bits that
            cannot be read.
        ResourceError: S601, the disk of the cache folder is full; S606, the cache folder cannot be written.
    """

    def __init__(
        self, path: Path, cache: SegmentCache, closing: contextlib.ExitStack, *, from_alpha: bool, file: int = 0
    ) -> None:
        folder = _in_tiles(path)
        self._facts = read_json(folder / _FACTS, _Facts)
        self._tiles = TiffRaster(folder / _TILES, cache, closing, chosen=None, file=file)
        self._drops_alpha = self._facts.alpha and self._facts.palette is not None and not from_alpha
        self.size, self.part, self.dtype = self._tiles.size, self._tiles.part, self._tiles.dtype
        self.bands = self._tiles.bands - self._drops_alpha
        self.orientation, self.animated = self._facts.orientation, self._facts.animated

    def read(self, where: Rectangle) -> Values:
        """Stored values of a rectangle within the mask."""
        return Values(self._tiles.read(where).values[..., : self.bands])

    def is_stored(self, where: Rectangle) -> bool:
        """Whether any pixel of a rectangle is stored, which all are."""
        return True

    def described(self, values: np.ndarray) -> StoredTiff:
        """Stored values (h, w, C) with what the file says about them."""
        facts = self._facts
        return StoredTiff(
            values=values,
            photometric=facts.photometric,
            alpha="straight" if facts.alpha and not self._drops_alpha else "none",
            bits=facts.bits,
            palette=None if facts.palette is None else np.array(facts.palette, np.uint8).reshape(-1, 3),
            orientation=facts.orientation,
            further=None,
            is_lossy=False,
            format="PNG",
        )

    def place(self) -> tuple[Georeference | None, MissingPixels | None]:
        """Position on the map, which masks do not have."""
        return None, None


def is_png(path: Path) -> bool:
    """Whether a file begins like a PNG file.

    Raises:
        DataError: D131, it cannot be read.
    """
    with open_regular(path) as stream:
        return stream.read(len(SIGNATURE)) == SIGNATURE


def stated_size(path: Path, reading: Reading) -> Size | None:
    """(height, width) that a PNG mask states, upright unless `reading.exif` is `ignore`.

    None for other files, and for masks in shards that are stored in tiles already, whose content need not be asked for.

    Raises:
        DataError: D101 damaged, D131 unreadable.
    """
    if is_kept(path):
        return None
    with errors_explained(path, DAMAGED), open_regular(path) as stream:
        if stream.read(len(SIGNATURE)) != SIGNATURE:
            return None
        stream.seek(0)
        size = read_header(stream).size
        return upright_size(size, png_orientation(stream) if reading.exif == "apply" else 1)


def is_kept(path: Path) -> bool:
    """Whether a mask in a shard is stored in tiles already, so that its content need not be asked for."""
    if not isinstance(path, Member) or path.place is None:
        return False
    return intact_entry(entry_path(TILED_MASKS, _key(path), subject=subject_of(path.absolute())))


def _in_tiles(path: Path) -> Path:
    """The folder of the cache that holds a mask in tiles, made if it is missing or damaged."""
    subject = subject_of(path.absolute())
    folder = entry_path(TILED_MASKS, _key(path), subject=subject)
    if intact_entry(folder):
        return folder
    # One thread of one process makes it, and the others wait: all loader processes begin at the same time.
    folder.parent.mkdir(exist_ok=True)
    with _converting, writing_alone(folder, wait=True):
        if not intact_entry(folder):
            make_way(folder, folder=True)
            with building_entry(TILED_MASKS, folder, subject=subject) as unfinished:
                _convert(path, unfinished)
    return folder


def _key(path: Path) -> str:
    """What changes with the content of a file: its SHA-256, for which it is read once as long as it does not change."""
    with errors_explained(path, DAMAGED):
        place = path.place if isinstance(path, Member) else None
        if place is not None:
            about = b"" if place.exact else os.fsencode(path.absolute())
            return (sha256_bytes(about + place.sha256) if about else place.sha256.hex())[:_KEY]
        facts = path.stat()
        state = (path, facts.st_size, facts.st_mtime_ns)
        known = _digests.get(state)
        if known is not None:
            return known
        refuse_irregular(path)
        digest = sha256_file(path)[:_KEY]
    if time.time() - facts.st_mtime > _SETTLED_SECONDS:  # a younger file may change again within its time stamp
        while len(_digests) >= _MOST_DIGESTS:
            _digests.pop(next(iter(_digests)), None)
        _digests[state] = digest
    return digest


def _convert(path: Path, folder: Path) -> None:
    """Write a mask in tiles, with what its file says of them."""
    with errors_explained(path, DAMAGED):
        opened = opened_regular(path)
    # What goes wrong with the cache folder is no fault of the mask.
    with opened as stream:
        with errors_explained(path, DAMAGED):
            header, orientation = read_header(stream), png_orientation(stream)
            require_pixels(path, header.size)
            stream.seek(0)
            read_header(stream)
            require_pixel_data(stream, header)
        require_room(path, _COPIES * (TILE + 1) * (header.row_bytes + 4 * header.size[1]))
        with contextlib.closing(_strips(path, header, stream, folder / _PASSES)) as strips:
            first = _write(folder / _TILES, header.size, strips)
    (folder / _PASSES).unlink(missing_ok=True)
    facts = _Facts(
        first.photometric,
        first.alpha != "none",
        first.bits,
        None if first.palette is None else [(r, g, b) for r, g, b in first.palette.tolist()],
        orientation,
        header.frames > 1,
    )
    (folder / _FACTS).write_bytes(json_text(facts).encode())


def _write(path: Path, size: Size, strips: Iterator[StoredTiff]) -> StoredTiff:
    """Write strips of a mask in tiles; returns the first one."""
    import tifffile

    first = next(strips)
    values, channels = first.values, first.values.shape[2]
    tifffile.imwrite(
        path,
        _tiles(first, strips),
        shape=(*size, channels) if channels > 1 else size,
        dtype=values.dtype,
        tile=(TILE, TILE),
        photometric="minisblack",
        planarconfig="contig" if channels > 1 else None,
        compression="zstd",
        metadata=None,
        # No more tiles are asked for than are compressed at once.
        buffersize=values.nbytes,
        maxworkers=1,
    )
    return first


def _strips(path: Path, header: PngHeader, stream: BinaryIO, scratch: Path) -> Generator[StoredTiff]:
    """The rows of a mask, as many at a time as a tile has; `scratch` holds the passes of an interlaced one meanwhile.

    Raises:
        DataError: As `PngRaster`.
    """
    with contextlib.ExitStack() as closing:
        passes = closing.enter_context(open(scratch, "w+b")) if header.interlaced else None
        for one in strip_files(path, stream, header, TILE, passes):
            with errors_explained(path, DAMAGED):
                strip = stored_png(in_memory(path, one), TILE * header.size[1])
            yield strip


def _tiles(first: StoredTiff, others: Iterator[StoredTiff]) -> Iterator[np.ndarray]:
    """The tiles of strips, from left to right and from top to bottom, filled up with 0."""
    strip: StoredTiff | None = first
    while strip is not None:
        values = strip.values
        for left in range(0, values.shape[1], TILE):
            cut = values[:, left : left + TILE]
            tile = np.zeros((TILE, TILE, values.shape[2]), values.dtype)
            tile[: cut.shape[0], : cut.shape[1]] = cut
            yield tile
        strip = next(others, None)


def _note_fork() -> None:
    global _converting
    _converting = threading.Lock()


after_fork(_note_fork)
