from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from videos import av, read_video, write_video

from pixelwise.prediction.videos.encoding import OVERLAYS, OverlayVideo, Timing
from pixelwise.prediction.videos.sound import Sound

PICTURES = [np.full((32, 48, 3), 60 * number, np.uint8) for number in range(4)]


def copied(source: Path, output: Path) -> str:
    """Copy the sound of a video to another one of the same times; what is lost."""
    video = OverlayVideo(av, output, (32, 48), Timing(Fraction(1, 10), Fraction(10)), OVERLAYS[0])
    sound = Sound(av, source, video.container)
    for number, picture in enumerate(PICTURES):
        video.add(picture, number, 1)
        sound.copy(number / 10)
    sound.copy()
    video.finish()
    sound.close()
    return sound.lost


def packets(path: Path) -> list[tuple[Fraction, bytes]]:
    """Time and content of every packet of sound."""
    with av.open(str(path)) as file:
        stream = file.streams.audio[0]
        return [(one.pts * one.time_base, bytes(one)) for one in file.demux(stream) if one.pts is not None]


@pytest.mark.parametrize(("codec", "name"), [("aac", "a.mp4"), ("libmp3lame", "a.mkv"), ("ac3", "a.mkv")])
def test_sound_is_copied_packet_by_packet(codec: str, name: str, tmp_path: Path):
    source = write_video(tmp_path / name, PICTURES, time_base=Fraction(1, 10), sound=codec)
    assert copied(source, tmp_path / "b.mp4") == ""
    expected, found = packets(source), packets(tmp_path / "b.mp4")
    assert [content for _, content in found] == [content for _, content in expected]
    # Matroska rounds to milliseconds.
    assert [float(time) for time, _ in found] == pytest.approx([float(time) for time, _ in expected], abs=0.001)


def test_sound_that_an_mp4_file_cannot_hold_is_named(tmp_path: Path):
    source = write_video(tmp_path / "a.avi", PICTURES, time_base=Fraction(1, 10), sound="pcm_u8")
    assert copied(source, tmp_path / "b.mp4") == "an MP4 file cannot hold sound of the kind pcm_u8"
    assert len(read_video(tmp_path / "b.mp4").frames) == 4
    assert read_video(tmp_path / "b.mp4").sounds == []


def test_a_video_without_sound_has_nothing_to_copy(tmp_path: Path):
    source = write_video(tmp_path / "a.mkv", PICTURES, time_base=Fraction(1, 10))
    assert copied(source, tmp_path / "b.mp4") == ""
    assert read_video(tmp_path / "b.mp4").sounds == []
