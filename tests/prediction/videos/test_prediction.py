from __future__ import annotations

import csv
import functools
import gc
import json
import weakref
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from evaluation.color_model import CLASSES, PALETTE, GreyModel, image_of
from PIL import Image
from videos import H264, read_video, write_sound, write_video

from pixelwise.errors import DataError, RecipeError, ResourceError
from pixelwise.prediction.engine.engine import Engine
from pixelwise.prediction.predict import predict_paths
from pixelwise.prediction.segmenter import Segmenter
from pixelwise.prediction.videos import outputs as outputs_module
from pixelwise.prediction.videos.prediction import predicted_frames
from pixelwise.prediction.videos.reading import Frame, Video

LABELS = np.kron(np.array([[0, 1, 2], [2, 3, 1]], np.uint8), np.ones((9, 11), np.uint8))
TIMES = [0, 40, 41, 100, 1000, 1033]


def labels_of(number: int) -> np.ndarray:
    return ((LABELS + number % 4) % 4).astype(np.uint8)


def clip(path: Path, frames: int = 6) -> Path:
    """A video whose predictions are `labels_of`, at `TIMES` in milliseconds."""
    times = TIMES if frames == len(TIMES) else [40 * number for number in range(frames)]
    return write_video(path, [image_of(labels_of(number)) for number in range(frames)], times, Fraction(1, 1000))


@pytest.fixture
def segmenter() -> Segmenter:
    return Segmenter(GreyModel(), palette=PALETTE)


def written(output: Path) -> list[str]:
    names = (path.relative_to(output).as_posix() for path in output.rglob("*") if path.is_file())
    return sorted(name for name in names if not name.startswith(".receipts/"))


def mask(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


def table(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_every_frame_has_a_mask_and_the_table_its_exact_time(segmenter: Segmenter, tmp_path: Path):
    summary = predict_paths(segmenter, [clip(tmp_path / "clip.mkv")], tmp_path / "out")

    assert (summary.ok, summary.failed, summary.videos, summary.frames) == (1, 0, 1, 6)
    assert summary.warnings == ()
    names = [f"masks/clip/{number:06d}.png" for number in range(6)]
    assert written(tmp_path / "out") == ["classes.json", *names, "masks/clip/frames.csv", "overlays/clip.mp4"]
    for number, name in enumerate(names):
        assert np.array_equal(mask(tmp_path / "out" / name), labels_of(number))
    rows = table(tmp_path / "out" / "masks" / "clip" / "frames.csv")
    assert [int(row["index"]) for row in rows] == list(range(6))
    assert [int(row["pts"]) * Fraction(row["time_base"]) for row in rows] == [Fraction(time, 1000) for time in TIMES]
    assert [float(row["seconds"]) for row in rows] == [time / 1000 for time in TIMES]


def test_the_overlay_has_the_same_times_and_the_colours_of_the_classes(segmenter: Segmenter, tmp_path: Path):
    source = clip(tmp_path / "clip.mkv")
    predict_paths(segmenter, [source], tmp_path / "out", alpha=1.0)
    found = read_video(tmp_path / "out" / "overlays" / "clip.mp4")
    assert (found.codec, found.times) == ("h264", read_video(source).times)
    # 18 x 33 pixels: the odd width is one longer.
    assert found.frames[0].shape == (18, 34, 3)
    for number, frame in enumerate(found.frames):
        (top, left) = (4, 5)
        assert np.abs(frame[top, left].astype(int) - PALETTE[labels_of(number)[top, left]]).max() < 25


def test_a_video_of_masks_decodes_to_the_class_ids(segmenter: Segmenter, tmp_path: Path):
    predict_paths(segmenter, [clip(tmp_path / "clip.mkv")], tmp_path / "out", video_masks="ffv1")
    assert written(tmp_path / "out") == [
        "classes.json", "masks/clip/frames.csv", "masks/clip/masks.mkv", "overlays/clip.mp4",
    ]  # fmt: skip
    found = read_video(tmp_path / "out" / "masks" / "clip" / "masks.mkv", "gray")
    assert found.times == [Fraction(time, 1000) for time in TIMES]
    assert all(np.array_equal(frame, labels_of(number)) for number, frame in enumerate(found.frames))


class SeveralAtOnce(GreyModel):
    """Class k is present where a pixel is brighter than k times the step between greys."""

    multilabel = True

    def head_logits(self, images):
        grey = images.mean(1, keepdim=True)
        return (grey - (self.centres - self.centres[:, 1:2] / 2),)


@pytest.mark.parametrize("video_masks", ["png", "ffv1"])
def test_a_multi_label_network_has_a_mask_of_each_class(video_masks: str, tmp_path: Path):
    predict_paths(Segmenter(SeveralAtOnce()), [clip(tmp_path / "clip.mkv")], tmp_path / "out", video_masks=video_masks)
    for class_id, name in enumerate(CLASSES):
        folder = tmp_path / "out" / "masks" / name / "clip"
        if video_masks == "png":
            found = [mask(folder / f"{number:06d}.png") for number in range(6)]
        else:
            found = read_video(folder / "masks.mkv", "gray").frames
        for number, plane in enumerate(found):
            assert np.array_equal(plane, 255 * (labels_of(number) >= class_id))
        assert len(table(folder / "frames.csv")) == 6


def test_values_of_benchmarks_are_in_both_kinds_of_masks(tmp_path: Path):
    segmenter = Segmenter(GreyModel(), palette=PALETTE)
    segmenter.label_table = None
    for kind in ("png", "ffv1"):
        with pytest.raises(RecipeError) as caught:
            predict_paths(segmenter, [clip(tmp_path / "a.mkv")], tmp_path / kind, mask_format="voc", video_masks=kind)
        assert caught.value.code == "R222"  # of other classes
        assert not (tmp_path / kind).exists()


def test_a_legend_names_all_classes_so_that_pictures_have_one_size(segmenter: Segmenter, tmp_path: Path):
    images = [image_of(np.full((48, 64), number % 4, np.uint8)) for number in range(5)]
    write_video(tmp_path / "clip.mkv", images)
    predict_paths(segmenter, [tmp_path / "clip.mkv"], tmp_path / "out", legend=True)
    found = read_video(tmp_path / "out" / "overlays" / "clip.mp4")
    assert len(found.frames) == 5
    assert found.frames[0].shape[0] > 48


def test_every_second_frame(segmenter: Segmenter, tmp_path: Path):
    source = clip(tmp_path / "clip.mkv")
    predict_paths(segmenter, [source], tmp_path / "out")
    summary = predict_paths(segmenter, [source], tmp_path / "out", every=2)
    assert summary.frames == 3
    folder = tmp_path / "out" / "masks" / "clip"
    # The masks of the others are gone, since the table does not list them.
    assert sorted(path.name for path in folder.iterdir()) == ["000000.png", "000002.png", "000004.png", "frames.csv"]
    assert [row["index"] for row in table(folder / "frames.csv")] == ["0", "2", "4"]
    times = read_video(tmp_path / "out" / "overlays" / "clip.mp4").times
    assert times == [0, Fraction(41, 1000), Fraction(1)]


def test_without_overlays_there_are_masks_alone(segmenter: Segmenter, tmp_path: Path):
    predict_paths(segmenter, [clip(tmp_path / "clip.mkv", 2)], tmp_path / "out", overlay=False)
    assert written(tmp_path / "out")[1:] == ["masks/clip/000000.png", "masks/clip/000001.png", "masks/clip/frames.csv"]


def test_sound_goes_into_the_overlay(segmenter: Segmenter, tmp_path: Path):
    write_video(tmp_path / "clip.mkv", [image_of(LABELS)] * 3, sound="libmp3lame")
    write_video(tmp_path / "other.avi", [image_of(LABELS)] * 3, sound="pcm_u8")
    summary = predict_paths(segmenter, [tmp_path / "clip.mkv", tmp_path / "other.avi"], tmp_path / "out")
    assert read_video(tmp_path / "out" / "overlays" / "clip.mp4").sounds == ["mp3float"]
    assert read_video(tmp_path / "out" / "overlays" / "other.mp4").sounds == []
    (warning,) = summary.warnings
    assert (warning.code, warning.files) == ("W285", (str(tmp_path / "other.avi"),))


def test_videos_in_folders_stand_beside_images(segmenter: Segmenter, tmp_path: Path):
    photos = tmp_path / "photos"
    clip(photos / "day" / "clip.mkv", 2)
    clip(photos / "b.mp4.mkv", 2)
    Image.fromarray(image_of(LABELS)).save(photos / "a.png")
    # Frames that were extracted beside their video, whose masks have the names of its own.
    (photos / "day" / "clip").mkdir()
    Image.fromarray(image_of(labels_of(3))).save(photos / "day" / "clip" / "000001.png")

    summary = predict_paths(segmenter, [photos], tmp_path / "out", overlay=False)

    assert (summary.ok, summary.videos, summary.frames) == (4, 2, 4)
    assert [name for name in written(tmp_path / "out") if name.endswith(".png")] == [
        "masks/a.png",
        "masks/b.mp4/000000.png", "masks/b.mp4/000001.png",
        "masks/day/clip.mkv/000000.png", "masks/day/clip.mkv/000001.png",
        "masks/day/clip/000001.png",
    ]  # fmt: skip
    assert np.array_equal(mask(tmp_path / "out" / "masks" / "day" / "clip" / "000001.png"), labels_of(3))


def test_a_pattern_of_videos(segmenter: Segmenter, tmp_path: Path):
    for name in ("a.mkv", "b.mkv"):
        clip(tmp_path / "clips" / name, 2)
    summary = predict_paths(segmenter, [str(tmp_path / "clips" / "*.mkv")], tmp_path / "out")
    assert (summary.ok, summary.videos) == (2, 2)


def test_what_is_done_is_not_done_again_unless_a_file_changed(segmenter: Segmenter, tmp_path: Path):
    source, output = clip(tmp_path / "clip.mkv"), tmp_path / "out"
    predict = functools.partial(predict_paths, segmenter, [source], output)
    assert predict().kept == 0
    again = predict()
    assert (again.kept, again.videos, again.frames) == (1, 1, 6)
    (output / "masks" / "clip" / ".DS_Store").write_bytes(b"of a program that shows folders")
    assert predict().kept == 1
    (output / "masks" / "clip" / "000003.png").unlink()
    assert predict().kept == 0
    assert (output / "masks" / "clip" / "000003.png").is_file()
    clip(source, 3)
    assert predict().kept == 0
    # A shorter version leaves no mask of the longer one.
    assert [path.name for path in sorted((output / "masks" / "clip").glob("*.png"))] == [
        "000000.png", "000001.png", "000002.png",
    ]  # fmt: skip
    assert predict(video_masks="ffv1").kept == 0
    assert not list((output / "masks" / "clip").glob("*.png"))
    assert predict().kept == 0
    assert not (output / "masks" / "clip" / "masks.mkv").exists()


def test_an_interrupted_prediction_leaves_no_table_and_no_overlay(
    segmenter: Segmenter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    source, output = clip(tmp_path / "clip.mkv"), tmp_path / "out"
    predict_paths(segmenter, [source], output)
    before = {path: path.read_bytes() for path in sorted(output.rglob("*.png"))}
    calls = []

    def full(self: object, drawn: object) -> None:
        calls.append(drawn)
        if len(calls) == 4:
            raise ResourceError("S601", "full", "free some space")
        add(self, drawn)  # type: ignore[arg-type]

    add = outputs_module.Outputs.add
    monkeypatch.setattr(outputs_module.Outputs, "add", full)
    with pytest.raises(ResourceError):
        predict_paths(segmenter, [source], output, again=True)
    assert not (output / "masks" / "clip" / "frames.csv").exists()
    assert not list(output.rglob(".pixelwise-tmp-*"))

    monkeypatch.setattr(outputs_module.Outputs, "add", add)
    assert predict_paths(segmenter, [source], output).kept == 0
    assert {path: path.read_bytes() for path in sorted(output.rglob("*.png"))} == before
    assert len(read_video(output / "overlays" / "clip.mp4").frames) == 6


def test_damaged_videos_are_problems_and_the_others_are_predicted(segmenter: Segmenter, tmp_path: Path):
    folder = tmp_path / "clips"
    clip(folder / "good.mkv", 3)
    write_sound(folder / "sound.mp4")
    long = write_video(folder / "cut.mkv", [image_of(labels_of(number)) for number in range(40)])
    long.write_bytes(long.read_bytes()[: long.stat().st_size * 6 // 10])
    broken = write_video(folder / "broken.mp4", [np.zeros((64, 64, 3), np.uint8)] * 3, coded=H264)
    broken.write_bytes(broken.read_bytes()[:500])
    (folder / "text.mp4").write_text("no video")

    summary = predict_paths(segmenter, [folder], tmp_path / "out")

    assert (summary.ok, summary.failed, summary.videos) == (2, 3, 2)
    problems = [json.loads(line) for line in (tmp_path / "out" / "problems.jsonl").read_text().splitlines()]
    assert {Path(one["file"]).name: one["code"] for one in problems} == {
        "broken.mp4": "D280", "sound.mp4": "D281", "text.mp4": "D102",
    }  # fmt: skip
    assert {Path(warning.files[0]).name: warning.code for warning in summary.warnings} == {"cut.mkv": "W281"}
    masks = sorted((tmp_path / "out" / "masks" / "cut").glob("*.png"))
    assert 10 < len(masks) < 40
    assert np.array_equal(mask(masks[-1]), labels_of(len(masks) - 1))
    assert written(tmp_path / "out" / "masks") == sorted(
        [f"cut/{path.name}" for path in masks]
        + ["cut/frames.csv", "good/000000.png", "good/000001.png", "good/000002.png", "good/frames.csv"]
    )


def test_strict_stops_at_the_first_bad_video(segmenter: Segmenter, tmp_path: Path):
    with pytest.raises(DataError) as caught:
        predict_paths(segmenter, [write_sound(tmp_path / "a.mp4")], tmp_path / "out", strict=True)
    assert caught.value.code == "D281"


def test_a_video_with_the_name_of_an_image_is_predicted_as_what_it_is(segmenter: Segmenter, tmp_path: Path):
    clip(tmp_path / "clip.mkv", 2).rename(tmp_path / "photo.jpg")
    assert predict_paths(segmenter, [tmp_path / "photo.jpg"], tmp_path / "out").frames == 2


def test_jobs_of_an_array_take_whole_videos(segmenter: Segmenter, tmp_path: Path):
    for name in ("a.mkv", "b.mkv", "c.mkv"):
        clip(tmp_path / "clips" / name, 2)
    counts = [
        predict_paths(segmenter, [tmp_path / "clips"], tmp_path / "out", shard=f"{number}/2").videos
        for number in range(2)
    ]
    assert sorted(counts) == [1, 2]
    assert len(list((tmp_path / "out" / "masks").glob("*/frames.csv"))) == 3


def most_frames_alive(length: int, path: Path, monkeypatch: pytest.MonkeyPatch, segmenter: Segmenter) -> int:
    """The largest number of decoded frames that existed at a time while a video of that length was predicted."""
    alive: set[int] = set()
    most = 0
    decode = Video.frames

    def watched(self: Video, every: int = 1) -> Iterator[Frame]:
        nonlocal most
        for frame in decode(self, every):
            alive.add(frame.number)
            weakref.finalize(frame.pixels, alive.discard, frame.number)
            most = max(most, len(alive))
            yield frame
            del frame

    monkeypatch.setattr(Video, "frames", watched)
    predict_paths(segmenter, [clip(path, length)], path.parent / "out", overlay=False, video_masks="ffv1")
    gc.collect()
    assert alive == set()
    return most


@pytest.mark.parametrize("large", [False, True])
def test_the_number_of_frames_in_memory_does_not_grow_with_the_video(
    large: bool, segmenter: Segmenter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    counts = []
    for length in (120, 240):
        with monkeypatch.context() as patched:
            if large:  # predicted one by one, as frames of more than a million pixels are
                patched.setattr(Engine, "shares", lambda self, size: False)
            counts.append(most_frames_alive(length, tmp_path / str(length) / "clip.mkv", patched, segmenter))
    # A window of 32 frames, three batches of 16 before and in the network, and a few that are drawn and written.
    assert max(counts) <= (8 if large else 90)


def test_frames_come_in_their_order_whether_they_share_batches_or_not(segmenter: Segmenter, tmp_path: Path):
    path = clip(tmp_path / "clip.mkv", 40)
    for engine in (Engine(segmenter), Engine(segmenter, 1)):
        with Video(path) as video:
            for number, one in enumerate(predicted_frames(engine, video)):
                assert one.frame.number == number
                assert one.prediction is not None
                assert np.array_equal(one.prediction.labels, labels_of(number))
