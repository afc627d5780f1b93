"""`Segmenter.predict_video`: predictions of a video's frames with the times at which they are shown."""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from pixelwise.prediction.engine.batching import batches
from pixelwise.prediction.prediction import Prediction
from pixelwise.prediction.segmenter import Segmenter
from pixelwise.prediction.videos.reading import Frame, Video
from pixelwise.prediction.videos.remarks import KINDS
from pixelwise.storage import printable


@dataclass(frozen=True, kw_only=True)
class VideoFrame:
    """A frame of a video and its prediction.

    Attributes:
        index: Number of the frame in the video, from 0.
        seconds: When it is shown, by the time stamps of the video.
        prediction: The prediction; its `image` is the upright frame, uint8 (H, W, C).
    """

    index: int
    seconds: float
    prediction: Prediction


def video_frames(
    segmenter: Segmenter, path: Path, scores: bool = False, every: int = 1
) -> Generator[VideoFrame, None, None]:
    """Predict the frames of a video in the order in which they are shown, as they are asked for.

    Args:
        segmenter: The segmenter.
        path: The video file.
        scores: Whether predictions have scores.
        every: Predict every n-th frame only.

    Raises:
        DataError: As `Video` and `Video.frames`.
        RecipeError: R240, PyAV is not installed.
    """

    def size_of(frame: Frame) -> tuple[int, int]:
        return frame.pixels.shape[0], frame.pixels.shape[1]

    with Video(path, segmenter.reading, segmenter.model.preprocessing.in_channels) as video:
        frames = video.frames(every)
        for batch in batches(
            frames, size_of, lambda frame: math.prod(segmenter.seen_size(size_of(frame))), segmenter.batch_limits
        ):
            segmenter.warn(segmenter.remarks(size_of(batch.items[0])))
            found = segmenter.predict_alike(
                [frame.pixels for frame in batch.items], scores, [str(path)] * len(batch.items)
            )
            for frame, prediction in zip(batch.items, found, strict=True):
                yield VideoFrame(index=frame.number, seconds=video.seconds(frame.pts), prediction=prediction)
        segmenter.warn(
            [(code, f"{printable(path)}: {KINDS[code].about} ({text})") for code, text in video.remarks.items()]
        )
