from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from videos import av, read_video, write_video

from pixelwise.prediction.videos import encoding
from pixelwise.prediction.videos.encoding import OVERLAYS
from pixelwise.prediction.videos.outputs import Drawn, Outputs, Plane, mask_name, write_masks
from pixelwise.prediction.videos.reading import Video

IDS = [np.full((16, 16), number, np.uint8) for number in range(4)]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    images = [np.repeat(60 * ids[..., None], 3, axis=2) for ids in IDS]
    return write_video(tmp_path / "a.mkv", images, [7, 8, 30, 31], Fraction(1, 1000))


def written(source: Path, folder: Path, overlay: Path | None, stop_at: int = 99, *, as_video: bool = False) -> Video:
    """Write a video's frames as their own masks and overlay; fail before the frame `stop_at`."""
    planes = [Plane(folder, lambda labels: labels)]
    with Video(source) as video, Outputs(av, video, planes, overlay, as_video=as_video) as outputs:
        for frame in video.frames():
            if frame.number == stop_at:
                raise KeyboardInterrupt
            ids = IDS[frame.number]
            if not as_video:
                write_masks(planes, frame.number, ids)
            outputs.add(Drawn(frame, (ids,) if as_video else (), frame.pixels))
    assert outputs.frames == 4
    assert {folder / "frames.csv", folder} <= set(outputs.files)
    return video


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_the_table_lists_the_exact_times(source: Path, tmp_path: Path):
    written(source, tmp_path / "out", None)
    assert (tmp_path / "out" / "frames.csv").read_text() == (
        "index,seconds,pts,time_base\n"
        "0,0.007,7,1/1000\n1,0.008,8,1/1000\n2,0.03,30,1/1000\n3,0.031,31,1/1000\n"
    )  # fmt: skip
    assert names(tmp_path / "out") == [*(mask_name(number) for number in range(4)), "frames.csv"]


@pytest.mark.parametrize("as_video", [False, True])
def test_nothing_but_single_masks_has_its_name_before_the_end(source: Path, tmp_path: Path, as_video: bool):
    folder, overlay = tmp_path / "out", tmp_path / "overlays" / "a.mp4"
    written(source, folder, overlay, as_video=as_video)
    before = overlay.read_bytes()
    with pytest.raises(KeyboardInterrupt):
        written(source, folder, overlay, 2, as_video=as_video)
    assert "frames.csv" not in names(folder)
    # What was complete before stays complete; no part of a file is left.
    assert overlay.read_bytes() == before
    assert [name for name in names(tmp_path) if ".pixelwise-tmp-" in name] == []


def test_masks_of_an_earlier_version_go_and_other_files_stay(source: Path, tmp_path: Path):
    folder = tmp_path / "out"
    folder.mkdir()
    for name in ("000099.png", "1234567.png", "notes.txt", "photo.png"):
        (folder / name).write_bytes(b"earlier")
    written(source, folder, None)
    masks = [mask_name(number) for number in range(4)]
    assert names(folder) == [*masks, "frames.csv", "notes.txt", "photo.png"]
    written(source, folder, None, as_video=True)
    assert names(folder) == ["frames.csv", "masks.mkv", "notes.txt", "photo.png"]
    written(source, folder, None)
    assert names(folder) == [*masks, "frames.csv", "notes.txt", "photo.png"]


def test_another_encoder_than_h264_is_said(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(encoding, "OVERLAYS", tuple(one for one in OVERLAYS if one.title == "VP9"))
    video = written(source, tmp_path / "out", tmp_path / "a.mp4")
    assert video.remarks == {"W287": "it is VP9, by libvpx-vp9"}
    assert "vp9" in read_video(tmp_path / "a.mp4").codec


def test_without_any_encoder_there_are_masks_and_no_overlay(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(encoding, "OVERLAYS", ())
    video = written(source, tmp_path / "out", tmp_path / "a.mp4")
    assert "no overlay" in video.remarks["W287"]
    assert not (tmp_path / "a.mp4").exists()
    assert len(names(tmp_path / "out")) == 5


def test_a_begin_before_zero_moves_the_overlay_and_not_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    source = write_video(tmp_path / "a.mkv", [np.zeros((16, 16, 3), np.uint8)] * 4, [0, 40, 80, 120], Fraction(1, 1000))
    stamp = Video.frames

    def earlier(self: Video, every: int = 1):
        return (frame._replace(pts=frame.pts - 40) for frame in stamp(self, every))

    monkeypatch.setattr(Video, "frames", earlier)
    video = written(source, tmp_path / "out", tmp_path / "b.mp4")
    assert (tmp_path / "out" / "frames.csv").read_text().splitlines()[1] == "0,-0.04,-40,1/1000"
    assert read_video(tmp_path / "b.mp4").times == [Fraction(time, 25) for time in range(4)]
    assert video.remarks == {"W285": "its times begin before 0"}
