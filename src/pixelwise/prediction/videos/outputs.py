"""What is written for a video: masks of every frame, a table of their times, and the overlay."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pixelwise.prediction.overlays import png_of
from pixelwise.prediction.videos import remarks
from pixelwise.prediction.videos.encoding import IdVideo, OverlayVideo, Timing, overlay_coding
from pixelwise.prediction.videos.reading import Frame, Video
from pixelwise.prediction.videos.sound import Sound
from pixelwise.storage import write_bytes
from pixelwise.storage.atomic import writing

TABLE = "frames.csv"
"""Times of the frames; the last file that is written, so that the others are complete where it is."""
ID_VIDEO = "masks.mkv"
OVERLAY_ENDING = ".mp4"
_COLUMNS = "index,seconds,pts,time_base\n"
_MASK = re.compile(r"(\d{6,})\.png")


class Plane(NamedTuple):
    """A mask of every frame.

    Attributes:
        folder: Folder of the masks.
        values: Class ids of a prediction -> pixel values uint8 (H, W), or what else the mask format holds.
        colors: uint8 (256, 3) colour of each value in PNG files, for display only; None if there is no palette.
    """

    folder: Path
    values: Callable[[np.ndarray], np.ndarray]
    colors: np.ndarray | None = None


class Drawn(NamedTuple):
    """A frame that was predicted.

    Attributes:
        frame: The frame.
        masks: What goes into a video of masks, one array for each plane; empty if they were written as PNG files.
        picture: The overlay uint8 (H, W, 3), if there is one.
    """

    frame: Frame
    masks: tuple[np.ndarray, ...] = ()
    picture: np.ndarray | None = None


def mask_name(index: int) -> str:
    """Name of the mask of a frame."""
    return f"{index:06d}.png"


def write_masks(planes: Sequence[Plane], index: int, labels: np.ndarray) -> None:
    """Write the masks of a frame as PNG files."""
    for plane in planes:
        write_bytes(plane.folder / mask_name(index), png_of(plane.values(labels), plane.colors))


class Outputs:
    """The files of a video, of which none has its final name before all frames are there, but masks as PNG files.

    A context manager: without an error in its block, files get their names at its end, the tables last.

    Args:
        av: PyAV.
        video: The video, which is being read.
        planes: The masks.
        overlay: File of the overlay; None to write none.
        as_video: Whether masks are written as videos.
        every: Every how many frames there is one.

    Attributes:
        frames: Number of frames that were added.
    """

    def __init__(
        self,
        av: Any,
        video: Video,
        planes: Sequence[Plane],
        overlay: Path | None,
        *,
        as_video: bool = False,
        every: int = 1,
    ) -> None:
        self._av, self._video, self._planes = av, video, planes
        self._overlay_path, self._as_video, self._every = overlay, as_video, every
        self._closing = contextlib.ExitStack()
        self._tables: list[io.TextIOWrapper] = []
        self._masks: list[IdVideo] = []
        self._overlay: OverlayVideo | None = None
        self._sound: Sound | None = None
        self._shift, self._last = 0, -1
        self.frames = 0

    def __enter__(self) -> Outputs:
        with contextlib.ExitStack() as closing:
            for plane in self._planes:
                # An older table would say that the masks are complete.
                (plane.folder / TABLE).unlink(missing_ok=True)
                temporary = closing.enter_context(writing(plane.folder / TABLE))
                table = closing.enter_context(open(temporary, "w", encoding="utf-8", newline=""))
                table.write(_COLUMNS)
                self._tables.append(table)
            self._closing = closing.pop_all()
        return self

    def __exit__(self, *error: Any) -> None:
        if error[0] is None:
            try:
                self._complete()
            except BaseException as failure:
                self._closing.__exit__(type(failure), failure, failure.__traceback__)
                raise
        self._closing.__exit__(*error)

    @property
    def files(self) -> list[Path]:
        """What is written: folders of masks, tables, and the overlay."""
        overlay = [] if self._overlay_path is None else [self._overlay_path]
        masks = [plane.folder / ID_VIDEO for plane in self._planes] if self._as_video else []
        return [path for plane in self._planes for path in (plane.folder, plane.folder / TABLE)] + masks + overlay

    def add(self, drawn: Drawn) -> None:
        """Add the next frame."""
        frame = drawn.frame
        if self._last < 0:
            self._begin(drawn)
        row = f"{frame.number},{self._video.seconds(frame.pts)!r},{frame.pts},{self._video.time_base}\n"
        for table in self._tables:
            table.write(row)
        for video, values in zip(self._masks, drawn.masks, strict=True):
            video.add(values, frame.pts, frame.duration)
        if self._overlay is not None and drawn.picture is not None:
            self._overlay.add(drawn.picture, frame.pts + self._shift, frame.duration)
            if self._sound is not None:
                self._sound.copy(self._video.seconds(frame.pts))
        self._last = frame.number
        self.frames += 1

    def _begin(self, drawn: Drawn) -> None:
        """Open the videos, whose size and shape are known with the first frame."""
        video = self._video
        timing = Timing(video.time_base, video.rate, video.aspect)
        for plane, values in zip(self._planes, drawn.masks, strict=False):
            path = self._closing.enter_context(writing(plane.folder / ID_VIDEO))
            self._masks.append(IdVideo(self._av, path, (values.shape[0], values.shape[1]), timing))
            self._closing.callback(self._masks[-1].abandon)
        picture = drawn.picture
        if picture is None or self._overlay_path is None:
            return
        coding = overlay_coding(self._av, video.time_base)
        if coding is None:
            video.remarks[remarks.CODEC] = "there is no other encoder either, so there is no overlay"
            self._overlay_path = None
            return
        if coding.title != "H.264":
            video.remarks[remarks.CODEC] = f"it is {coding.title}, by {coding.encoder}"
        path = self._closing.enter_context(writing(self._overlay_path))
        self._overlay = OverlayVideo(self._av, path, (picture.shape[0], picture.shape[1]), timing, coding)
        self._closing.callback(self._overlay.abandon)
        self._shift = max(0, -drawn.frame.pts)
        if self._shift:
            # What lies before 0 has no place in the overlay, and sound would no longer belong to its frame.
            video.remarks[remarks.NO_SOUND] = "its times begin before 0"
            return
        self._sound = Sound(self._av, video.path, self._overlay.container)
        self._closing.callback(self._sound.close)
        if self._sound.lost:
            video.remarks[remarks.NO_SOUND] = self._sound.lost

    def _complete(self) -> None:
        if self._sound is not None:
            self._sound.copy()
        for video in (*self._masks, *([] if self._overlay is None else [self._overlay])):
            video.finish()
        for table in self._tables:
            table.close()
        for plane in self._planes:
            self._remove_others(plane.folder)

    def _remove_others(self, folder: Path) -> None:
        """Remove masks that an earlier prediction of another version of the video, or of other frames of it, left."""
        for path in folder.iterdir():
            found = _MASK.fullmatch(path.name)
            if found and not self._is_own(int(found[1])):
                path.unlink(missing_ok=True)
        if not self._as_video:
            (folder / ID_VIDEO).unlink(missing_ok=True)

    def _is_own(self, index: int) -> bool:
        return not self._as_video and index <= self._last and index % self._every == 0
