"""Videos that are written: overlays as players take them, and class ids that decode to exactly what they were."""

from __future__ import annotations

import contextlib
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

_BT709, _LIMITED, _FULL = 1, 1, 2
"""Codes of ITU-T H.273: matrix, primaries and transfer function of BT.709; ranges as FFmpeg counts them."""
_FINEST = 10_000
"""Smallest number of units per second of an MP4 file as FFmpeg writes it."""
_MPEG4_FINEST = 65_535
"""Largest number of units per second of MPEG-4 part 2."""


class Coding(NamedTuple):
    """How overlays are encoded.

    Attributes:
        encoder: FFmpeg's name of the encoder.
        title: Name of the format, for people.
        options: Options of the encoder. Without frames that refer to later ones, they are written in the order in which
            they are shown.
    """

    encoder: str
    title: str
    options: dict[str, str]


OVERLAYS = (
    Coding("libx264", "H.264", {"crf": "20", "preset": "veryfast", "bf": "0"}),
    Coding("libopenh264", "H.264", {"bf": "0"}),
    Coding("libvpx-vp9", "VP9", {"crf": "28", "b": "0", "deadline": "realtime", "cpu-used": "6"}),
    Coding("mpeg4", "MPEG-4 part 2", {"qmin": "2", "qmax": "5", "b": "20M"}),
)
"""The best first."""


def overlay_coding(av: Any, time_base: Fraction) -> Coding | None:
    """The first of `OVERLAYS` that FFmpeg has here and that keeps the time stamps; None if there is none.

    Args:
        av: PyAV.
        time_base: Seconds of a unit of the time stamps.
    """
    for coding in OVERLAYS:
        if coding.encoder == "mpeg4" and time_base.denominator > _MPEG4_FINEST:
            continue
        try:
            av.codec.Codec(coding.encoder, "w")
        except ValueError:  # `UnknownCodecError`
            continue
        return coding
    return None


class Timing(NamedTuple):
    """When and in which shape frames are shown.

    Attributes:
        time_base: Seconds of a unit of time stamps.
        rate: Frames per second, on average.
        aspect: Width of a pixel divided by its height.
    """

    time_base: Fraction
    rate: Fraction
    aspect: Fraction = Fraction(1)


class _Written:
    """A video file of one stream of pictures that is being written."""

    def __init__(self, av: Any, container: Any, stream: Any, timing: Timing) -> None:
        self._av, self.container, self._stream, self._timing = av, container, stream, timing
        self._open = True

    def _put(self, frame: Any, pts: int, duration: int) -> None:
        frame.pts, frame.time_base, frame.duration = pts, self._timing.time_base, duration
        self.container.mux(self._stream.encode(frame))

    def finish(self) -> None:
        """Write what is left, and close the file."""
        self.container.mux(self._stream.encode(None))
        self._open = False
        self.container.close()

    def abandon(self) -> None:
        """Close the file as it is, if it is open."""
        if self._open:
            self._open = False
            with contextlib.suppress(self._av.error.FFmpegError):  # nobody needs what is left of it
                self.container.close()


class OverlayVideo(_Written):
    """An MP4 file of pictures.

    Args:
        av: PyAV.
        path: The file.
        size: (height, width) of the pictures; an odd side is written one pixel longer, by repeating its last one,
            because H.264 has colours for every second pixel only.
        timing: Time base, rate and aspect of the frames.
        coding: How they are encoded.

    Attributes:
        container: The file, to which other streams may be added before the first picture.
    """

    def __init__(self, av: Any, path: Path, size: tuple[int, int], timing: Timing, coding: Coding) -> None:
        # The times of an MP4 file's beginning have units of their own, by default of milliseconds.
        units = timing.time_base.denominator
        while units < _FINEST:
            units *= 2
        container = av.open(str(path), "w", format="mp4", options={"movie_timescale": str(units)})
        height, width = (side + side % 2 for side in size)
        stream = _added(container, coding.encoder, (height, width), timing, "yuv420p", coding.options)
        context = stream.codec_context
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = _LIMITED
        super().__init__(av, container, stream, timing)
        self._odd = (size[0] % 2, size[1] % 2)

    def add(self, picture: np.ndarray, pts: int, duration: int) -> None:
        """Add a picture uint8 (H, W, 3) at a time in units of the time base, 0 or more."""
        if any(self._odd):
            picture = np.pad(picture, ((0, self._odd[0]), (0, self._odd[1]), (0, 0)), mode="edge")
        frame = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        frame = frame.reformat(format="yuv420p", dst_colorspace=_BT709, dst_color_range=_LIMITED)
        self._put(frame, pts, duration)


class IdVideo(_Written):
    """A Matroska file of FFV1, whose decoded grey values are exactly those that were given.

    Its time stamps are rounded to milliseconds, the unit of Matroska as FFmpeg writes it.

    Args:
        av: PyAV.
        path: The file.
        size: (height, width) of the frames.
        timing: Time base, rate and aspect of the frames.

    Reference: RFC 9043 (FFV1, version 3); every slice has a checksum.
    """

    def __init__(self, av: Any, path: Path, size: tuple[int, int], timing: Timing) -> None:
        container = av.open(str(path), "w", format="matroska")
        stream = _added(container, "ffv1", size, timing, "gray", {"level": "3", "slicecrc": "1", "g": "1"})
        stream.codec_context.color_range = _FULL
        super().__init__(av, container, stream, timing)

    def add(self, values: np.ndarray, pts: int, duration: int) -> None:
        """Add a frame uint8 (H, W) at a time in units of the time base."""
        frame = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(values), format="gray")
        frame.color_range = _FULL
        self._put(frame, pts, duration)


def _added(
    container: Any, encoder: str, size: tuple[int, int], timing: Timing, pixels: str, options: dict[str, str]
) -> Any:
    stream = container.add_stream(encoder, rate=timing.rate, options=options)
    stream.height, stream.width = size
    stream.pix_fmt = pixels
    stream.time_base = stream.codec_context.time_base = timing.time_base
    stream.codec_context.sample_aspect_ratio = timing.aspect
    return stream
