from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from videos import H264, RGB_MP4, Coded, av, read_video, turn, write_sound, write_video

from pixelwise.datasets.samples import Reading
from pixelwise.errors import DataError
from pixelwise.prediction.videos.reading import Frame, Video


def noise(count: int = 4, height: int = 47, width: int = 65) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [random.integers(0, 256, (height, width, 3)).astype(np.uint8) for _ in range(count)]


def frames_of(path: Path, reading: Reading = Reading(), every: int = 1) -> tuple[list[Frame], Video]:  # noqa: B008
    with Video(path, reading) as video:
        return list(video.frames(every)), video


def error_of(path: Path, reading: Reading = Reading()) -> DataError:  # noqa: B008
    with pytest.raises(DataError) as caught:
        frames_of(path, reading)
    return caught.value


def test_pixels_and_times_are_those_that_were_written(tmp_path: Path):
    images = noise()
    path = write_video(tmp_path / "a.mkv", images, [0, 40, 55, 1000], Fraction(1, 1000))

    frames, video = frames_of(path)

    assert [frame.number for frame in frames] == [0, 1, 2, 3]
    assert [frame.pts * video.time_base for frame in frames] == [0, Fraction(1, 25), Fraction(11, 200), 1]
    assert all(np.array_equal(frame.pixels, image) for frame, image in zip(frames, images, strict=True))
    assert video.remarks == {}


def test_every_third_frame_keeps_its_number_and_time(tmp_path: Path):
    images = noise(8)
    frames, _ = frames_of(write_video(tmp_path / "a.mkv", images, time_base=Fraction(1, 1000)), every=3)
    assert [(frame.number, frame.pts) for frame in frames] == [(0, 0), (3, 3), (6, 6)]
    assert np.array_equal(frames[2].pixels, images[6])


@pytest.mark.parametrize(("matrix", "quarters"), [((0, 1, -1, 0), -1), ((-1, 0, 0, -1), 2), ((0, -1, 1, 0), 1)])
def test_frames_are_turned_upright_and_so_is_the_shape_of_their_pixels(matrix, quarters: int, tmp_path: Path):
    images = noise()
    path = write_video(tmp_path / "a.mp4", images, coded=RGB_MP4._replace(aspect=Fraction(4, 3)))
    turn(path, matrix)

    frames, video = frames_of(path)
    stored, as_stored = frames_of(path, Reading(exif="ignore"))

    assert all(np.array_equal(one.pixels, np.rot90(image, quarters)) for one, image in zip(frames, images, strict=True))
    assert video.aspect == (Fraction(4, 3) if quarters == 2 else Fraction(3, 4))
    assert np.array_equal(stored[0].pixels, images[0])
    assert as_stored.aspect == Fraction(4, 3)


def test_interlaced_frames_are_said(tmp_path: Path):
    coded = Coded("libx264", "yuv420p", {"x264-params": "interlaced=1"})
    _, video = frames_of(write_video(tmp_path / "a.mp4", noise(3, 64, 64), coded=coded))
    assert video.remarks == {"W283": "from 0.000 s on"}


def write_grey(path: Path, value: int, transfer: int, primaries: int) -> None:
    """A grey frame of 10 bits; 64 is black and 940 white."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=25, options={"crf": "0"})
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p10le"
        context = stream.codec_context
        context.color_trc, context.color_primaries, context.colorspace = transfer, primaries, primaries
        context.color_range = 1
        frame = av.VideoFrame(64, 64, "yuv420p10le")
        for plane, sample in zip(frame.planes, (value, 512, 512), strict=True):
            plane.update(np.full(plane.buffer_size // 2, sample, np.uint16).tobytes())
        frame.pts = 0
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))


def test_frames_of_ten_bits_are_rounded_and_it_is_said(tmp_path: Path):
    write_grey(tmp_path / "a.mkv", 64 + 219 * 4 * 51 // 255, 1, 1)
    (frame,), video = frames_of(tmp_path / "a.mkv")
    assert video.remarks == {"W288": "10 bits"}
    assert np.abs(frame.pixels.astype(int) - 51).max() <= 1


def test_a_high_dynamic_range_is_mapped_and_it_is_said(tmp_path: Path):
    """A signal of a half in PQ is 92 cd/m2 (BT.2100), 0.454 of the white of graphics, whose sRGB value is 180."""
    write_grey(tmp_path / "a.mkv", 64 + 876 // 2, 16, 9)
    (frame,), video = frames_of(tmp_path / "a.mkv")
    assert video.remarks == {"W284": "PQ, 10 bits"}
    assert np.abs(frame.pixels.astype(int) - 180).max() <= 2


@pytest.mark.parametrize(
    ("name", "coded", "container"),
    [("a.mkv", Coded(), {}), ("a.mp4", H264, {"movflags": "faststart"})],
)
def test_of_a_video_that_is_cut_off_the_beginning_is_kept(name: str, coded: Coded, container: dict, tmp_path: Path):
    path = write_video(tmp_path / name, noise(40, 64, 64), coded=coded, container=container)
    whole = read_video(path).frames
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 6 // 10])

    frames, video = frames_of(path)

    assert 10 < len(frames) < 40
    assert np.array_equal(frames[5].pixels, whole[5])
    assert video.remarks["W281"] == f"{len(frames) / 25:.3f} s of 1.600 s"


def test_a_damaged_place_costs_frames_and_is_said(tmp_path: Path):
    path = write_video(tmp_path / "a.mkv", noise(40, 64, 64))
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    for place in range(middle, middle + 3000):
        content[place] ^= 0x55
    path.write_bytes(content)

    frames, video = frames_of(path)

    assert 30 < len(frames) < 40
    assert set(video.remarks) == {"W282"}


def test_a_video_without_its_index_cannot_be_opened(tmp_path: Path):
    path = write_video(tmp_path / "a.mp4", noise(4, 64, 64), coded=H264)
    path.write_bytes(path.read_bytes()[:2000])
    error = error_of(path)
    assert error.code == "D280"
    assert "Invalid data" in error.message


def test_sound_alone_is_no_video(tmp_path: Path):
    error = error_of(write_sound(tmp_path / "a.mp4"))
    assert (error.code, error.message) == ("D281", f"{tmp_path}/a.mp4: no video in this file; it holds audio")


def test_a_video_without_a_frame_that_can_be_decoded_is_refused(tmp_path: Path):
    path = write_video(tmp_path / "a.mp4", noise(4, 64, 64), coded=H264)
    content = bytearray(path.read_bytes())
    begin = content.index(b"mdat") + 4
    content[begin : content.index(b"moov") - 4] = bytes(content.index(b"moov") - 4 - begin)
    path.write_bytes(content)
    error = error_of(path)
    assert error.code == "D282"
    assert "(h264, 4 damaged)" in error.message


def test_a_header_without_anything_behind_it_cannot_be_opened(tmp_path: Path):
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("ffv1", rate=25)
        stream.width = stream.height = 64
        stream.pix_fmt = "gray"
        file.start_encoding()
    error = error_of(path)
    assert error.code == "D280"
    assert "End of file" in error.message


def test_a_still_image_in_a_container_of_videos_is_a_video_of_one_frame(tmp_path: Path):
    (frame,), video = frames_of(write_video(tmp_path / "a.mp4", noise(1), coded=RGB_MP4))
    assert (frame.number, frame.pts, video.remarks) == (0, 0, {})


def test_frames_of_two_sizes_are_refused_with_the_time(tmp_path: Path):
    # Transport streams may follow each other in one file, as recorders of television do.
    coded = Coded("mpeg2video", "yuv420p")
    first = write_video(tmp_path / "1.ts", noise(10, 64, 64), coded=coded).read_bytes()
    second = write_video(tmp_path / "2.ts", noise(10, 96, 128), coded=coded).read_bytes()
    path = tmp_path / "both.ts"
    path.write_bytes(first + second)
    error = error_of(path)
    assert error.code == "D283"
    assert "frames are 64x64, and 128x96 from" in error.message


def test_frames_larger_than_an_image_may_be_are_refused_before_they_are_decoded(tmp_path: Path):
    error = error_of(write_video(tmp_path / "a.mkv", noise(1)), Reading(max_pixels=3000))
    assert error.code == "D120"
    assert "65x47" in error.message
    assert "data.max_pixels=3055" in error.help


def test_a_network_of_other_channels_does_not_take_videos(tmp_path: Path):
    path = write_video(tmp_path / "a.mkv", noise(1))
    with pytest.raises(DataError) as caught, Video(path, Reading(channels=(0, 1, 2, 3, 4)), channels=5) as video:
        list(video.frames())
    assert caught.value.code == "D284"


def test_channels_of_a_network_for_two_of_three_are_chosen(tmp_path: Path):
    images = noise(1)
    with Video(write_video(tmp_path / "a.mkv", images), Reading(channels=(2, 0)), channels=2) as video:
        (frame,) = video.frames()
    assert np.array_equal(frame.pixels, images[0][..., [2, 0]])


def test_what_is_no_video_or_missing_is_refused(tmp_path: Path):
    assert error_of(tmp_path / "none.mp4").code == "D223"
    # A list of other files, which FFmpeg would open.
    (tmp_path / "list.mp4").write_text("#EXTM3U\n#EXTINF:1\nhttp://127.0.0.1:1/a.ts\n")
    assert error_of(tmp_path / "list.mp4").code == "D102"


def test_a_name_with_signs_of_addresses_is_the_name_of_a_file(tmp_path: Path):
    path = write_video(tmp_path / "a.mkv", noise(1))
    odd = path.rename(tmp_path / "http:a%b?c#d.mkv")
    assert len(frames_of(odd)[0]) == 1
