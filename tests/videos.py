"""Small videos with known frames and times, written by FFmpeg through PyAV."""

from __future__ import annotations

import importlib
import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

av: Any = importlib.import_module("av")


EXACT = 4 + 8192 + 262144
"""Bicubic, chroma of every pixel, rounded: the numbers of libswscale/swscale.h."""


class Coded(NamedTuple):
    """How a video is encoded; by default so that every RGB value is kept."""

    codec: str = "ffv1"
    pixels: str = "bgr0"
    options: dict[str, str] = {}
    aspect: Fraction = Fraction(1)


LOSSLESS = Coded()
H264 = Coded("libx264", "yuv420p", {"bf": "0"})
RGB_MP4 = Coded("libx264rgb", "rgb24", {"crf": "0", "bf": "0"})
"""H.264 that keeps every RGB value, which MP4 files can hold."""


def write_video(
    path: Path,
    images: Sequence[np.ndarray],
    pts: Sequence[int] | None = None,
    time_base: Fraction = Fraction(1, 25),
    coded: Coded = LOSSLESS,
    *,
    sound: str = "",
    container: dict[str, str] | None = None,
) -> Path:
    """Write images uint8 (H, W, 3) as a video, shown at `pts`, with sound of that codec if one is given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rate = 25 if time_base.denominator % 25 else Fraction(1) / time_base if time_base.numerator == 1 else 25
    with av.open(str(path), "w", options=container or {}) as file:
        stream = file.add_stream(coded.codec, rate=min(rate, 50), options=coded.options)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = coded.pixels
        stream.time_base = stream.codec_context.time_base = time_base
        stream.codec_context.sample_aspect_ratio = coded.aspect
        audio = file.add_stream(sound, rate=48_000) if sound else None
        if audio is not None:
            _write_sound(file, audio)
        for time, image in zip(pts if pts is not None else range(len(images)), images, strict=True):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            frame = frame.reformat(format=coded.pixels)
            frame.pts, frame.time_base = time, time_base
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


def _write_sound(file: Any, stream: Any) -> None:
    samples = np.zeros((1, 1024), np.float32)
    for number in range(20):
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 48_000, 1024 * number
        for one in av.AudioResampler(stream.format, stream.layout, stream.rate).resample(frame):
            file.mux(stream.encode(one))
    file.mux(stream.encode(None))


def write_sound(path: Path, codec: str = "aac") -> Path:
    """Write a file that holds nothing but sound."""
    with av.open(str(path), "w") as file:
        _write_sound(file, file.add_stream(codec, rate=48_000))
    return path


class Read(NamedTuple):
    """What another reader finds in a video."""

    codec: str
    times: list[Fraction]
    frames: list[np.ndarray]
    aspect: Fraction | None
    sounds: list[str]


def read_video(path: Path, pixels: str = "rgb24") -> Read:
    """All frames of a video, with their times in seconds."""
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        frames = list(file.decode(stream))
        return Read(
            stream.codec_context.name,
            [frame.pts * stream.time_base for frame in frames],
            [frame.to_ndarray(format=pixels, interpolation=EXACT) for frame in frames],
            stream.sample_aspect_ratio,
            [one.codec_context.name for one in file.streams.audio],
        )


def turn(path: Path, matrix: Sequence[int]) -> None:
    """Write the display matrix (a, b, c, d) into the track header of an MP4 file, by hand.

    ISO/IEC 14496-12, 8.3.2: in version 0 the matrix begins 40 bytes after the version.
    """
    content = bytearray(path.read_bytes())
    place = content.index(b"tkhd") + 4
    if content[place] != 0:
        raise AssertionError
    a, b, c, d = matrix
    one = 1 << 16
    content[place + 40 : place + 76] = struct.pack(">9i", a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
