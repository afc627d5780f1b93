"""Frames of a video file, decoded one after the other: upright, 8 bits per channel, with exact time stamps."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from pixelwise.datasets.reading.images import from_pillow
from pixelwise.datasets.samples import Reading
from pixelwise.errors import DataError
from pixelwise.machine.stalls import reads
from pixelwise.machine.threads import default_threads
from pixelwise.prediction.videos import remarks
from pixelwise.prediction.videos.orientation import UPRIGHT, orientation_of
from pixelwise.prediction.videos.recognising import pyav, require_video
from pixelwise.prediction.videos.times import Clock
from pixelwise.prediction.videos.tones import NAMES, standard_range
from pixelwise.storage import printable

RGB = 3
_EXACT = 0x4 | 0x2000 | 0x40000
"""How FFmpeg converts colours, by the numbers of libswscale's `SWS_BICUBIC`, `SWS_FULL_CHR_H_INT` and
`SWS_ACCURATE_RND`; by default values of 10 bits come out by up to two too dark."""
_EXTRACT = "extract its frames as images, for example `ffmpeg -i FILE frame-%06d.png`, and give their folder"
_AGAIN = (
    "copy the file again; if its recording was not ended properly, a program that repairs videos may help, such as "
    "untrunc for MP4 files"
)


class Frame(NamedTuple):
    """A frame of a video.

    Attributes:
        number: Number of the frame among those that were decoded, from 0.
        pts: Time stamp, in units of the time base of the video.
        duration: How long it is shown, in the same units; 0 if the file does not say.
        pixels: uint8 (H, W, C), upright, as the network takes it.
    """

    number: int
    pts: int
    duration: int
    pixels: np.ndarray


class Video:
    """A video file that is being read; a context manager.

    Args:
        path: The file.
        reading: Rules for reading images, of which `exif`, `max_pixels`, `input_range` and `channels` apply.
        channels: Number of channels that the network receives.

    Attributes:
        time_base: Seconds of a unit of time stamps, exactly.
        rate: Frames per second, on average, as the file says; 25 if it does not.
        frames_expected: Number of frames, as the file says or as its duration suggests; None if it is unknown.
        remarks: Code -> what is to be said of the video; complete after the last frame.
        aspect: Width of a pixel divided by its height, of upright frames; known from the first frame on.

    Raises:
        DataError: D102, it is something else; D120, its frames are larger than `data.max_pixels`; D131, it is
            unreadable; D223, there is no such file; D280, it cannot be opened; D281, it holds no
            video.
        RecipeError: R240, PyAV is not installed.
    """

    def __init__(self, path: Path, reading: Reading = Reading(), channels: int = RGB) -> None:  # noqa: B008 (immutable)
        require_video(path)
        self._av: Any = pyav(path)
        self.path, self._reading, self._channels = path, reading, channels
        self.remarks: dict[str, str] = {}
        try:
            with reads(path):
                self._container = open_local(self._av, path)
        except (self._av.error.FFmpegError, OSError) as error:
            raise _damaged(path, error) from error
        try:
            self._stream = self._chosen()
            self._require_size()
        except BaseException:
            self._container.close()
            raise
        stream = self._stream
        stream.thread_type, stream.thread_count = "AUTO", default_threads()
        self.rate = Fraction(stream.average_rate or stream.guessed_rate or 25)
        self.time_base = Fraction(stream.time_base or 1 / self.rate)
        self.frames_expected = self._expected()
        self._orientation, self.aspect = UPRIGHT, Fraction(1)
        self._damages = 0
        self._clock = Clock(self.time_base, self.rate)

    def __enter__(self) -> Video:
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    def frames(self, every: int = 1) -> Generator[Frame, None, None]:
        """The frames in the order in which they are shown, each decoded when it is asked for.

        A file that is damaged or cut short gives the frames that can be decoded, and a remark.

        Args:
            every: Give every n-th frame only, beginning with the first.

        Raises:
            DataError: D282, there is none; D283, one has another size than those before it; D284, the network does not
                take its channels.
        """
        first: tuple[int, int] | None = None
        index = -1
        for index, frame in enumerate(self._decoded()):
            size = (frame.width, frame.height)
            if first is None:
                first = size
                self._begin(frame)
            pts, duration = self._clock.stamp(frame)
            if size != first:
                raise self._resized(first, size, pts)
            if frame.interlaced_frame:
                self.remarks.setdefault(remarks.INTERLACED, f"from {self._at(pts)} on")
            if index % every == 0:
                yield Frame(index, pts, duration, self._pixels(frame))
        if index < 0:
            raise DataError(
                "D282",
                f"{printable(self.path)}: none of its frames can be decoded ({self._stream.codec_context.name}"
                + (f", {self._damages} damaged)" if self._damages else ")"),
                _AGAIN,
            )
        self._end()

    def seconds(self, pts: int) -> float:
        """A time stamp in seconds."""
        return float(pts * self.time_base)

    def _chosen(self) -> Any:
        """The stream that is predicted: what FFmpeg takes for the main one; cover pictures of sounds are none."""
        attached = self._av.stream.Disposition.attached_pic
        streams = [one for one in self._container.streams.video if not one.disposition & attached]
        if not streams:
            kinds = sorted({one.type for one in self._container.streams})
            raise DataError(
                "D281",
                f"{printable(self.path)}: no video in this file; it holds {' and '.join(kinds) or 'nothing'}",
                "give a file that shows something, or leave this one out",
            )
        if len(streams) > 1:
            self.remarks[remarks.SEVERAL] = f"{len(streams)} of them"
        best = self._container.streams.best("video")
        found = best if best in streams else streams[0]
        if found.codec_context is None:
            raise DataError(
                "D280", f"{printable(self.path)}: FFmpeg has no decoder for this video", f"convert it, or {_EXTRACT}"
            )
        return found

    def _require_size(self) -> None:
        width, height = self._stream.width or 0, self._stream.height or 0
        if width * height > self._reading.max_pixels:
            raise DataError(
                "D120",
                f"{printable(self.path)}: frames of {width}x{height} (WxH) are {width * height / 1e6:.1f} million "
                f"pixels; data.max_pixels allows {self._reading.max_pixels / 1e6:.1f} million",
                f"if they are meant to be this large, set data.max_pixels={width * height}",
            )

    def _expected(self) -> int | None:
        if self._stream.frames:
            return int(self._stream.frames)
        duration = self._declared()
        return None if duration is None else max(1, round(duration[0] * self.rate))

    def _declared(self) -> tuple[Fraction, Fraction] | None:
        """Seconds that the video lasts as the file says, and by how much the last frame may fall short of it."""
        few = 2 / self.rate
        if self._stream.duration:
            return self._stream.duration * self.time_base, few
        text = self._stream.metadata.get("DURATION", "")
        with contextlib.suppress(ValueError):
            hours, minutes, seconds = text.strip("\0").split(":")
            return 3600 * int(hours) + 60 * int(minutes) + Fraction(seconds), few
        if not self._container.duration:
            return None
        # That of the longest stream: sound may go on after the last frame.
        slack = Fraction(1) if len(self._container.streams.audio) else few
        return Fraction(self._container.duration, self._av.time_base), slack

    def _decoded(self) -> Iterator[Any]:
        """Frames as PyAV gives them; what is damaged is skipped and counted."""
        errors = self._av.error.FFmpegError
        packets = self._container.demux(self._stream)
        while True:
            try:
                with reads(self.path):
                    packet = next(packets)
            except StopIteration:
                return
            except errors:
                self._damage()
                packet = None  # what the decoder still holds
            if packet is not None and packet.is_corrupt:
                self._damage()
            try:
                decoded = self._stream.codec_context.decode(packet)
            except errors as error:
                if not isinstance(error, EOFError):
                    self._damage()
                decoded = []
            for frame in decoded:
                if frame.is_corrupt:
                    self._damage()
                yield frame
            if packet is None:
                return

    def _damage(self) -> None:
        self._damages += 1
        self.remarks.setdefault(remarks.DAMAGED, f"the first after {self._at(self._clock.last)}")

    def _at(self, pts: int | None) -> str:
        return f"{0.0 if pts is None else self.seconds(pts):.3f} s"

    def _begin(self, frame: Any) -> None:
        """Note what the first frame says of all."""
        kind = self._av.sidedata.sidedata.Type.DISPLAYMATRIX
        matrix = next((bytes(one) for one in frame.side_data if one.type == kind), None)
        if self._reading.exif == "apply":
            self._orientation = orientation_of(matrix)
        shape = Fraction(self._stream.sample_aspect_ratio or 1)
        shape = shape if shape > 0 else Fraction(1)
        self.aspect = 1 / shape if self._orientation.transposed else shape
        depth = max(component.bits for component in frame.format.components)
        if frame.color_trc in NAMES:
            self.remarks[remarks.HIGH_RANGE] = f"{NAMES[frame.color_trc]}, {depth} bits"
        elif depth > 8:
            self.remarks[remarks.DEPTH] = f"{depth} bits"

    def _pixels(self, frame: Any) -> np.ndarray:
        if frame.color_trc in NAMES:
            image = standard_range(self._converted(frame, "rgb48le"), frame.color_trc, frame.color_primaries)
        else:
            image = self._converted(frame, "rgb24")
        image = self._orientation.upright(image)
        if self._channels == RGB and self._reading.channels is None:
            return image
        try:
            found = from_pillow(Image.fromarray(image), self._reading)
        except DataError as error:
            raise self._unsuitable(error.message) from error
        if found.shape[2] != self._channels:
            raise self._unsuitable(f"read as images they have {found.shape[2]}")
        return found

    def _converted(self, frame: Any, pixels: str) -> np.ndarray:
        """A frame in RGB; the matrix and range that it states apply, or those of BT.601 if it states none."""
        return frame.to_ndarray(format=pixels, interpolation=_EXACT)

    def _unsuitable(self, reason: str) -> DataError:
        return DataError(
            "D284",
            f"{printable(self.path)}: frames are RGB, and the network takes {self._channels} other channels: {reason}",
            "predict images of the channels that it was trained with, or videos with a network for RGB",
        )

    def _resized(self, first: tuple[int, int], size: tuple[int, int], pts: int) -> DataError:
        (width, height), (other_width, other_height) = first, size
        return DataError(
            "D283",
            f"{printable(self.path)}: frames are {width}x{height}, and {other_width}x{other_height} from "
            f"{self._at(pts)} on; expected one size",
            f"bring them to one size, for example with `ffmpeg -i FILE -vf scale={width}:{height} COPY.mkv`",
        )

    def _end(self) -> None:
        """Note what is known only after the last frame."""
        if text := self._clock.in_words():
            self.remarks[remarks.TIMES] = text
        declared = self._declared()
        if declared is None or self._clock.first is None:
            return
        duration, slack = declared
        reached = (self._clock.end - self._clock.first) * self.time_base
        if reached + slack < duration:
            self.remarks[remarks.CUT_SHORT] = f"{float(reached):.3f} s of {float(duration):.3f} s"


def open_local(av: Any, path: Path) -> Any:
    """Open a file with PyAV, from which nothing can make FFmpeg open another file or address.

    Args:
        av: PyAV.
        path: The file.
    """
    # With the protocol in front, a colon in the name does not begin one.
    return av.open(f"file:{os.path.abspath(path)}", options={"protocol_whitelist": "file"}, metadata_errors="replace")


def _damaged(path: Path, error: BaseException) -> DataError:
    reason = getattr(error, "strerror", None) or str(error)
    return DataError("D280", f"{printable(path)}: damaged or cut short, so that it cannot be opened: {reason}", _AGAIN)
