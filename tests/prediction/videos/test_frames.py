from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from evaluation.color_model import GreyModel, image_of
from videos import write_sound, write_video

from pixelwise.errors import DataError
from pixelwise.prediction.deviations import Once
from pixelwise.prediction.segmenter import Segmenter
from pixelwise.prediction.videos.reading import Frame, Video

LABELS = np.kron(np.array([[0, 1], [2, 3]], np.uint8), np.ones((8, 8), np.uint8))


def labels_of(number: int) -> np.ndarray:
    return ((LABELS + number % 4) % 4).astype(np.uint8)


def clip(path: Path, frames: int) -> Path:
    images = [image_of(labels_of(number)) for number in range(frames)]
    return write_video(path, images, [3 * number for number in range(frames)], Fraction(1, 100))


@pytest.fixture
def segmenter() -> Segmenter:
    return Segmenter(GreyModel())


def test_frames_come_with_their_times_and_predictions(segmenter: Segmenter, tmp_path: Path):
    path = clip(tmp_path / "a.mkv", 40)
    frames = list(segmenter.predict_video(path))
    assert [frame.index for frame in frames] == list(range(40))
    assert [frame.seconds for frame in frames] == [3 * number / 100 for number in range(40)]
    for frame in frames:
        assert np.array_equal(frame.prediction.labels, labels_of(frame.index))
        assert np.array_equal(frame.prediction.image, image_of(labels_of(frame.index)))
    assert frames[0].prediction.name == "a.mkv"
    assert frames[0].prediction.scores is None


def test_scores_and_every_third_frame(segmenter: Segmenter, tmp_path: Path):
    frames = list(segmenter.predict_video(clip(tmp_path / "a.mkv", 8), scores=True, every=3))
    assert [(frame.index, frame.seconds) for frame in frames] == [(0, 0.0), (3, 0.09), (6, 0.18)]
    scores = frames[1].prediction.scores
    assert scores is not None
    assert np.array_equal(scores.argmax(0), labels_of(3))


def test_what_is_to_be_said_of_a_video_is_a_warning(segmenter: Segmenter, tmp_path: Path):
    said: list[tuple[str, str]] = []
    segmenter.warn = Once(lambda code, message: said.append((code, message)))
    path = clip(tmp_path / "a.mkv", 40)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    frames = list(segmenter.predict_video(path))
    assert 5 < len(frames) < 40
    assert [code for code, _ in said] == ["W281"]
    reached = float(said[0][1].rpartition("(")[2].split(" s of ")[0])
    assert frames[-1].seconds < reached <= frames[-1].seconds + 0.04


def test_errors_are_raised_as_the_first_frame_is_asked_for(segmenter: Segmenter, tmp_path: Path):
    with pytest.raises(DataError) as caught:
        next(iter(segmenter.predict_video(write_sound(tmp_path / "a.mp4"))))
    assert caught.value.code == "D281"
    with pytest.raises(ValueError, match="every is 0"):
        segmenter.predict_video(tmp_path / "a.mp4", every=0)


def test_no_frame_is_kept(segmenter: Segmenter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    alive: set[int] = set()
    most, decode = 0, Video.frames

    def watched(self: Video, every: int = 1) -> Iterator[Frame]:
        nonlocal most
        for frame in decode(self, every):
            alive.add(frame.number)
            weakref.finalize(frame.pixels, alive.discard, frame.number)
            most = max(most, len(alive))
            yield frame
            del frame

    monkeypatch.setattr(Video, "frames", watched)
    for frame in segmenter.predict_video(clip(tmp_path / "a.mkv", 150)):
        del frame
    gc.collect()
    assert alive == set()
    assert most <= 32 + 32 + 2  # two windows of images


def test_a_video_is_closed_when_nobody_asks_on(segmenter: Segmenter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    closed = []
    close = Video.__exit__

    def watched(self: Video, *error: object) -> None:
        closed.append(self.path)
        close(self, *error)

    monkeypatch.setattr(Video, "__exit__", watched)
    frames = segmenter.predict_video(clip(tmp_path / "a.mkv", 40))
    next(iter(frames))
    assert closed == []
    frames.close()  # type: ignore[attr-defined]
    assert closed == [tmp_path / "a.mkv"]
