from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from videos import Coded, write_sound, write_video

from pixelwise.datasets.reading.foreign import VIDEO_SUFFIXES
from pixelwise.errors import DataError, RecipeError
from pixelwise.prediction.options import PredictOptions
from pixelwise.prediction.videos import recognising
from pixelwise.prediction.videos.recognising import (
    holds_video,
    named_like_video,
    named_videos,
    refuse_into_tars,
    require_video,
    takes_videos,
)

GREY = [np.full((48, 64, 3), 90, np.uint8)] * 3
WRITTEN = {
    "a.mp4": Coded("mpeg4", "yuv420p"),
    "a.mov": Coded("mjpeg", "yuvj420p"),
    "a.mkv": Coded(),
    "a.webm": Coded("libvpx-vp9", "yuv420p"),
    "a.avi": Coded("mpeg4", "yuv420p"),
    "a.ts": Coded("mpeg2video", "yuv420p"),
    "a.mpg": Coded("mpeg1video", "yuv420p"),
    "a.flv": Coded("flv1", "yuv420p"),
    "a.wmv": Coded("wmv2", "yuv420p"),
    "a.mxf": Coded("mpeg2video", "yuv420p"),
    "a.3gp": Coded("mpeg4", "yuv420p"),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_videos_are_known_by_their_content_whatever_they_are_called(name: str, tmp_path: Path):
    path = write_video(tmp_path / name, GREY, coded=WRITTEN[name])
    assert named_like_video(path)
    renamed = path.rename(tmp_path / "photo.jpg")
    assert holds_video(renamed)
    assert not named_like_video(renamed)


def test_a_picture_is_no_video_whatever_it_is_called(tmp_path: Path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    path = (tmp_path / "a.png").rename(tmp_path / "a.mp4")
    assert not holds_video(path)
    with pytest.raises(DataError) as caught:
        require_video(path)
    assert caught.value.code == "D102"


def test_an_animated_gif_stays_an_image(tmp_path: Path):
    frames = [Image.new("P", (8, 8), number) for number in range(3)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert not named_like_video(tmp_path / "a.gif")
    assert not holds_video(tmp_path / "a.gif")


def test_a_sound_may_begin_like_a_video(tmp_path: Path):
    assert holds_video(write_sound(tmp_path / "a.mp4"))


def test_extensions_are_those_of_no_image():
    assert not {".gif", ".webp", ".png", ".tif"} & set(VIDEO_SUFFIXES)


def test_named_videos_are_files_and_patterns_but_no_folders(tmp_path: Path):
    (tmp_path / "folder.mp4").mkdir()
    given = ["a.MP4", "clips/*.mkv", "photos", str(tmp_path / "folder.mp4")]
    assert named_videos(given) == ["a.MP4", "clips/*.mkv"]


def test_without_pyav_a_named_video_is_refused_with_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "av", None)
    monkeypatch.setattr(recognising, "has_pyav", lambda: False)
    with pytest.raises(RecipeError) as caught:
        takes_videos(["clip.mp4"], PredictOptions())
    assert caught.value.code == "R240"
    assert "pip install 'pixelwise[video]'" in caught.value.help
    assert takes_videos(["photos"], PredictOptions()) is False


@pytest.mark.parametrize("changes", [{"polygons": "labelme"}, {"probabilities": True}])
def test_what_videos_do_not_have_is_refused_for_named_ones_alone(changes: dict):
    options = PredictOptions(**changes)
    with pytest.raises(RecipeError) as caught:
        takes_videos(["photos", "clip.mp4"], options)
    assert caught.value.code == "R251"
    assert takes_videos(["photos"], options) is False
    assert takes_videos(["photos"], PredictOptions()) is True


def test_videos_do_not_go_into_tars():
    refuse_into_tars(["photos"])
    with pytest.raises(DataError) as caught:
        refuse_into_tars(["photos", "clip.mp4"])
    assert caught.value.code == "D285"
