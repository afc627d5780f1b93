"""Opens BMP files with grey palettes, whose bits per pixel Pillow takes from the palette instead of the header.

A palette of black and white makes it read single bits, and one of equal index and grey value makes it read bytes,
whatever the header says: pixels of another width come out as noise, without an error.
"""

from __future__ import annotations

import struct
from typing import IO

from PIL import ImagePalette
from PIL.BmpImagePlugin import BmpImageFile

_FILE_HEADER = 14
_OLDEST = 12
# Pillow's names of indices of so many bits.
_INDICES = {1: "P;1", 4: "P;4", 8: "P"}
_SHORT_CUTS = {"1": 1, "L": 8}


class BitmapFile(BmpImageFile):
    """A BMP file, read with the number of bits that its header states."""

    def _open(self) -> None:
        super()._open()
        if self.fp is None:
            return
        bits, size, colors = _palette_layout(self.fp)
        if bits not in _INDICES or _SHORT_CUTS.get(self.mode, bits) == bits:
            return
        self.fp.seek(_FILE_HEADER + size)
        entry = 3 if size == _OLDEST else 4
        self._mode = "P"
        self.palette = ImagePalette.raw("BGR" if entry == 3 else "BGRX", self.fp.read(entry * colors))
        tile = self.tile[0]
        self.tile = [tile._replace(args=(_INDICES[bits], *(tile.args or ())[1:]))]


def _palette_layout(stream: IO[bytes]) -> tuple[int, int, int]:
    """Bits per pixel, length of the header and number of colours in the palette."""
    stream.seek(_FILE_HEADER)
    size = struct.unpack("<I", stream.read(4))[0]
    header = stream.read(size - 4)
    if size == _OLDEST:
        bits = struct.unpack_from("<H", header, 6)[0]
        return bits, size, 1 << bits
    bits = struct.unpack_from("<H", header, 10)[0]
    used = struct.unpack_from("<I", header, 28)[0]
    return bits, size, used or 1 << bits
