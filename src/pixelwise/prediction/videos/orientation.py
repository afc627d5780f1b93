"""How frames are turned upright, as the display matrix of a video says."""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np


class Orientation(NamedTuple):
    """How the stored frame becomes the upright one.

    Attributes:
        transposed: Whether rows become columns, first of all.
        mirrored: Whether left and right are exchanged.
        flipped: Whether top and bottom are exchanged.
    """

    transposed: bool = False
    mirrored: bool = False
    flipped: bool = False

    def upright(self, frame: np.ndarray) -> np.ndarray:
        """A frame (H, W, C) turned upright."""
        if self.transposed:
            frame = frame.transpose(1, 0, 2)
        if self.mirrored:
            frame = frame[:, ::-1]
        if self.flipped:
            frame = frame[::-1]
        return np.ascontiguousarray(frame)


UPRIGHT = Orientation()


def orientation_of(matrix: bytes | None) -> Orientation:
    """The orientation that a display matrix states; angles between right ones are left as they are stored.

    Args:
        matrix: Nine 32-bit integers as FFmpeg keeps them, of which the first, second, fourth and fifth (a, b, c, d)
            place the pixel at column p and row q at column a p + c q and row b p + d q; None if there is none.

    Reference: ISO/IEC 14496-12:2015, 6.2.2.
    """
    if matrix is None or len(matrix) < 36:
        return UPRIGHT
    a, b, _, c, d, *_ = struct.unpack("=9i", matrix[:36])
    if b == c == 0 and a and d:
        return Orientation(False, a < 0, d < 0)
    if a == d == 0 and b and c:
        return Orientation(True, c < 0, b < 0)
    return UPRIGHT
