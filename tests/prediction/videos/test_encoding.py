from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from videos import av, read_video

from pixelwise.prediction.videos import encoding
from pixelwise.prediction.videos.encoding import OVERLAYS, Coding, IdVideo, OverlayVideo, Timing, overlay_coding

TIMES = (Fraction(1, 25), Fraction(1, 1000), Fraction(1, 90_000), Fraction(1001, 30_000), Fraction(1, 12_800))
PTS = (0, 1, 3, 7, 8, 15)


def overlay(path: Path, pictures: list[np.ndarray], pts: tuple[int, ...], timing: Timing, coding: Coding) -> None:
    video = OverlayVideo(av, path, (pictures[0].shape[0], pictures[0].shape[1]), timing, coding)
    for picture, time in zip(pictures, pts, strict=True):
        video.add(picture, time, 0)
    video.finish()


@pytest.mark.parametrize("begin", [0, 5, 131_072])
@pytest.mark.parametrize("time_base", TIMES, ids=str)
def test_overlays_have_exactly_the_times_that_were_given(time_base: Fraction, begin: int, tmp_path: Path):
    pictures = [np.full((32, 48, 3), 40 * number, np.uint8) for number in range(len(PTS))]
    pts = tuple(begin + time for time in PTS)
    coding = overlay_coding(av, time_base)
    assert coding is not None
    overlay(tmp_path / "a.mp4", pictures, pts, Timing(time_base, Fraction(25), Fraction(4, 3)), coding)
    found = read_video(tmp_path / "a.mp4")
    assert found.times == [time * time_base for time in pts]
    assert (found.codec, found.aspect) == ("h264", Fraction(4, 3))


@pytest.mark.parametrize("coding", OVERLAYS, ids=lambda coding: coding.encoder)
def test_every_encoder_keeps_times_and_colours(coding: Coding, tmp_path: Path):
    try:
        av.codec.Codec(coding.encoder, "w")
    except ValueError:
        pytest.skip(f"FFmpeg has no {coding.encoder} here")
    colors = np.array([[200, 30, 30], [30, 160, 60], [40, 60, 220]], np.uint8)
    pictures = [np.broadcast_to(color, (64, 64, 3)) for color in colors]
    overlay(tmp_path / "a.mp4", pictures, (0, 2, 9), Timing(Fraction(1, 25), Fraction(25)), coding)
    found = read_video(tmp_path / "a.mp4")
    assert found.times == [Fraction(0), Fraction(2, 25), Fraction(9, 25)]
    for frame, color in zip(found.frames, colors, strict=True):
        assert np.abs(frame.reshape(-1, 3).mean(0) - color).max() < 6


def test_an_odd_side_is_one_pixel_longer(tmp_path: Path):
    picture = np.full((31, 47, 3), 90, np.uint8)
    picture[-1], picture[:, -1] = 200, 200
    overlay(tmp_path / "a.mp4", [picture], (0,), Timing(Fraction(1, 25), Fraction(25)), OVERLAYS[0])
    (found,) = read_video(tmp_path / "a.mp4").frames
    assert found.shape == (32, 48, 3)
    assert np.abs(found[-1].astype(int) - 200).max() < 12


def test_without_h264_the_next_encoder_is_taken_and_none_that_changes_times(monkeypatch: pytest.MonkeyPatch):
    others = tuple(coding for coding in OVERLAYS if coding.title != "H.264")
    monkeypatch.setattr(encoding, "OVERLAYS", (Coding("no-such-encoder", "H.264", {}), *others))
    found = overlay_coding(av, Fraction(1, 25))
    assert found is not None
    assert found.title == "VP9"
    monkeypatch.setattr(encoding, "OVERLAYS", others[-1:])
    # MPEG-4 part 2 counts up to 65,535 units per second.
    assert overlay_coding(av, Fraction(1, 90_000)) is None
    assert overlay_coding(av, Fraction(1, 30_000)) == others[-1]


@pytest.mark.parametrize("size", [(1, 1), (47, 65), (64, 48)])
def test_class_ids_are_decoded_exactly(size: tuple[int, int], tmp_path: Path):
    random = np.random.default_rng(0)
    ids = [random.integers(0, 256, size).astype(np.uint8) for _ in range(5)]
    video = IdVideo(av, tmp_path / "a.mkv", size, Timing(Fraction(1, 90_000), Fraction(25)))
    for number, values in enumerate(ids):
        video.add(values, 90 * number, 90)
    video.finish()
    found = read_video(tmp_path / "a.mkv", "gray")
    assert found.codec == "ffv1"
    assert found.times == [Fraction(number, 1000) for number in range(5)]
    assert all(np.array_equal(*pair) for pair in zip(found.frames, ids, strict=True))


def test_a_file_that_is_given_up_can_be_given_up_twice(tmp_path: Path):
    video = IdVideo(av, tmp_path / "a.mkv", (8, 8), Timing(Fraction(1, 25), Fraction(25)))
    video.abandon()
    video.abandon()
