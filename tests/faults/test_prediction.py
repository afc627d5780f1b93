"""Rows A of the fault list, on the way from files to masks.

A bad file never ends a batch and is never silent: it is skipped and written down, the others are
predicted, and the exit status is 3. First the function, then the same through the command line.
"""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
import sys
import unicodedata
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from evaluation.color_model import PALETTE, GreyModel, image_of
from PIL import Image

from pixelwise.datasets.samples import Reading
from pixelwise.errors import DataError
from pixelwise.prediction.predict import predict_paths
from pixelwise.prediction.receipts.summaries import PredictSummary
from pixelwise.prediction.segmenter import Segmenter

LABELS = np.kron(np.array([[0, 1], [2, 3]], np.uint8), np.ones((16, 24), np.uint8))
ORIENTATION = 0x0112


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Photos to predict; the first one is fine."""
    photos = tmp_path / "photos"
    photos.mkdir()
    photo().save(photos / "fine.png")
    return photos


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "out"


def photo(labels: np.ndarray = LABELS) -> Image.Image:
    return Image.fromarray(image_of(labels))


def encoded(kind: str) -> bytes:
    # Noise compresses badly: every part of the file carries pixels, so every cut loses some.
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noise).save(stream, kind)
    return stream.getvalue()


def predict(folder: Path, output: Path, **reading) -> PredictSummary:
    segmenter = Segmenter(GreyModel(), palette=PALETTE, reading=Reading(**reading))
    return predict_paths(segmenter, [folder], output)


def mask(output: Path, name: str) -> np.ndarray:
    return np.asarray(Image.open(output / "masks" / f"{name}.png"))


def problems(output: Path) -> dict[str, dict[str, str]]:
    path = output / "problems.jsonl"
    records = [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []
    return {record["file"].rpartition("/")[2]: record for record in records}


def assert_only(bad: dict[str, str], output: Path, code: int, fine: str = "fine") -> None:
    """The bad files are written down with their codes, the fine one has a mask, and the status is 3."""
    assert {name: record["code"] for name, record in problems(output).items()} == bad
    assert all(name in record["message"] and record["help"] for name, record in problems(output).items())
    assert (output / "masks" / f"{fine}.png").is_file()
    assert code == 3


@pytest.mark.parametrize(("kind", "ending"), [("JPEG", "jpg"), ("PNG", "png"), ("WEBP", "webp"), ("TIFF", "tif")])
def test_A1_truncated_images_are_skipped_with_their_size(kind: str, ending: str, folder: Path, output: Path):
    whole = encoded(kind)
    for tenths in (1, 3, 5, 7, 9):
        (folder / f"cut{tenths}.{ending}").write_bytes(whole[: len(whole) * tenths // 10])

    summary = predict(folder, output)

    assert (summary.ok, summary.failed) == (1, 5)
    for tenths in (1, 3, 5, 7, 9):
        record = problems(output)[f"cut{tenths}.{ending}"]
        assert record["code"] == "D101"
        assert f"({len(whole) * tenths // 10} bytes)" in record["message"]


def test_A1_truncated_image_on_the_command_line(run_cli: Callable, tiny_run: Path, folder: Path, output: Path):
    (folder / "cut.jpg").write_bytes(encoded("JPEG")[:500])

    code, stdout, _ = run_cli(["predict", tiny_run, folder, "--output", output])

    assert_only({"cut.jpg": "D101"}, output, code)
    assert "2 images, 1 ok, 1 failed" in stdout
    assert "problems.jsonl" in stdout


def test_A1_strict_stops_at_the_first_bad_file(run_cli: Callable, tiny_run: Path, folder: Path, output: Path):
    (folder / "cut.jpg").write_bytes(encoded("JPEG")[:500])

    code, _, stderr = run_cli(["predict", tiny_run, folder, "--output", output, "--strict"])

    assert code == 3
    assert "error[D101]" in stderr
    assert "cut.jpg" in stderr


def write_non_images(folder: Path) -> None:
    (folder / "empty.png").write_bytes(b"")
    (folder / "page.jpg").write_bytes(b"<html><body>404 Not Found</body></html>")
    for hidden in (".DS_Store", "Thumbs.db", "._x.png", ".trash.jpg"):
        (folder / hidden).write_bytes(b"\0\5\x16\7")


def test_A2_files_that_are_no_images_are_reported_and_hidden_files_are_not(folder: Path, output: Path):
    write_non_images(folder)

    summary = predict(folder, output)

    assert (summary.ok, summary.failed) == (1, 2)
    assert "0 bytes" in problems(output)["empty.png"]["message"]
    assert "a web page" in problems(output)["page.jpg"]["message"]


def test_A2_no_image_on_the_command_line(run_cli: Callable, tiny_run: Path, folder: Path, output: Path):
    write_non_images(folder)

    code, _, _ = run_cli(["predict", tiny_run, folder, "--output", output])

    assert_only({"empty.png": "D102", "page.jpg": "D102"}, output, code)


def test_A3_a_wrong_ending_is_no_reason_to_refuse(folder: Path, output: Path):
    photo().save(folder / "really-bmp.jpg", "BMP")

    summary = predict(folder, output)

    assert summary.failed == 0
    assert np.array_equal(mask(output, "really-bmp"), LABELS)


def test_A3_a_wrong_ending_on_the_command_line(run_cli: Callable, tiny_run: Path, folder: Path, output: Path):
    photo().save(folder / "really-jpeg.png", "JPEG")

    code, stdout, _ = run_cli(["predict", tiny_run, folder, "--output", output])

    assert code == 0
    assert "2 ok, 0 failed" in stdout


def test_A5_16_bit_images_are_never_clipped(folder: Path, output: Path):
    ramp = np.linspace(0, 65535, 256 * 256).reshape(256, 256).astype(np.uint16)
    Image.fromarray(ramp).save(folder / "ramp.png")

    refused = predict(folder, output)
    accepted = predict(folder, output, input_range=(0, 65535))

    assert [problem.code for problem in refused.problems] == ["D104"]
    assert "0..65535" in refused.problems[0].message
    assert accepted.failed == 0
    seen = Segmenter(GreyModel(), reading=Reading(input_range=(0, 65535))).predict(folder / "ramp.png").image
    assert abs(seen.mean() - 127.5) < 0.5


def test_A5_a_1_bit_image_is_black_and_white(folder: Path, output: Path):
    Image.fromarray(LABELS >= 2).save(folder / "line-art.png")

    assert predict(folder, output).failed == 0
    # White (255) is nearest to the grey value of the last class.
    assert np.array_equal(mask(output, "line-art"), np.where(LABELS >= 2, 3, 0))


def test_A5_16_bit_on_the_command_line(run_cli: Callable, tiny_run: Path, folder: Path, output: Path):
    Image.fromarray(np.full((8, 8), 40_000, np.uint16)).save(folder / "deep.png")

    code, _, _ = run_cli(["predict", tiny_run, folder, "--output", output])

    assert_only({"deep.png": "D104"}, output, code)
    assert "input_range" in problems(output)["deep.png"]["help"]


def test_A6_transparency_is_dropped_or_blended_as_asked(folder: Path, tmp_path: Path):
    rgba = np.concatenate([image_of(np.full((8, 8), 2, np.uint8)), np.full((8, 8, 1), 255, np.uint8)], 2)
    rgba[:4, :, 3] = 0
    Image.fromarray(rgba).save(folder / "glass.png")

    predict(folder, tmp_path / "dropped", alpha="drop")
    predict(folder, tmp_path / "blended", alpha="black")

    assert (mask(tmp_path / "dropped", "glass") == 2).all()
    assert (mask(tmp_path / "blended", "glass")[:4] == 0).all()
    assert (mask(tmp_path / "blended", "glass")[4:] == 2).all()


def write_unusual_images(folder: Path) -> None:
    other = photo((LABELS + 1) % 4)
    photo().convert("CMYK").save(folder / "print.tif")
    photo().convert("L").save(folder / "grey.png")
    photo().quantize(16, dither=Image.Dither.NONE).save(folder / "palette.png")
    photo().save(folder / "moving.gif", save_all=True, append_images=[other])
    photo().save(folder / "pages.tiff", save_all=True, append_images=[other])
    photo().convert("RGBA").save(folder / "opaque.webp", lossless=True)


def test_A7_every_common_kind_of_image_is_converted_and_the_first_frame_taken(folder: Path, output: Path):
    write_unusual_images(folder)

    summary = predict(folder, output)

    assert summary.failed == 0
    for name in ("print", "grey", "palette", "moving", "pages", "opaque"):
        assert np.array_equal(mask(output, name), LABELS), name


def test_A7_unusual_images_on_the_command_line(run_cli: Callable, tiny_run: Path, folder: Path, output: Path):
    write_unusual_images(folder)

    code, stdout, _ = run_cli(["predict", tiny_run, folder, "--output", output])

    assert code == 0
    assert "7 ok, 0 failed" in stdout


# What each orientation asks of a viewer, as array operations.
UPRIGHT = {
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a),
}


@pytest.mark.parametrize("orientation", sorted(UPRIGHT))
def test_A8_masks_and_overlays_are_upright(orientation: int, folder: Path, output: Path):
    marked = LABELS.copy()
    marked[:3, :3] = 3  # a corner that tells every orientation from every other
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    photo(marked).save(folder / "phone.png", exif=exif)

    predict(folder, output)

    upright = UPRIGHT[orientation](marked)
    assert np.array_equal(mask(output, "phone"), upright)
    assert Image.open(output / "overlays" / "phone.jpg").size == upright.shape[::-1]


def test_A8_the_orientation_can_be_ignored(folder: Path, output: Path):
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    photo().save(folder / "phone.png", exif=exif)

    predict(folder, output, exif="ignore")

    assert np.array_equal(mask(output, "phone"), LABELS)


@pytest.mark.heavy
def test_A8_exif_on_the_command_line(run_cli: Callable, tiny_run: Path, folder: Path, output: Path):
    exif = Image.Exif()
    exif[ORIENTATION] = 8
    photo().save(folder / "phone.jpg", exif=exif)

    code, _, _ = run_cli(["predict", tiny_run, folder, "--output", output])

    assert code == 0
    assert mask(output, "phone").shape == LABELS.shape[::-1]


def bomb(side: int = 30_000) -> bytes:
    """A 1-bit PNG of 900 million pixels in about 110 KB."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    header = side.to_bytes(4, "big") * 2 + bytes([1, 0, 0, 0, 0])
    compressor = zlib.compressobj(9)
    row = bytes(1 + -(-side // 8))
    data = b"".join([compressor.compress(row) for _ in range(side)]) + compressor.flush()
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


BOMB_PROGRAM = """
import resource, sys
from pathlib import Path
from pixelwise.datasets.reading.images import read_image
from pixelwise.datasets.samples import Reading
from pixelwise.errors import DataError
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    read_image(Path(sys.argv[1]), Reading())
except DataError as error:
    print(error.code, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.heavy
def test_A9_a_decompression_bomb_is_refused_before_it_is_decoded(tmp_path: Path):
    (tmp_path / "bomb.png").write_bytes(bomb())
    assert (tmp_path / "bomb.png").stat().st_size < 200_000

    done = subprocess.run(
        [sys.executable, "-c", BOMB_PROGRAM, tmp_path / "bomb.png"],
        capture_output=True,
        text=True,
        check=True,
    )

    code, kilobytes = done.stdout.split()
    assert code == "D120"
    assert int(kilobytes) < 50_000


def test_A9_a_bomb_on_the_command_line(run_cli: Callable, tiny_run: Path, folder: Path, output: Path):
    (folder / "bomb.png").write_bytes(bomb(12_000))

    code, _, _ = run_cli(["predict", tiny_run, folder, "--output", output])

    assert_only({"bomb.png": "D120"}, output, code)
    assert "12000x12000" in problems(output)["bomb.png"]["message"]


ODD_NAMES = {
    unicodedata.normalize("NFC", "stra\u00dfe \u00e4.png"): None,
    unicodedata.normalize("NFD", "stra\u00dfe \u00f6.png"): None,
    "two words.png": None,
    "line\nbreak.png": "line_break.png",
    "-dash.png": None,
    "percent%s{}.png": None,
    "<b>bold</b>".replace("/", "") + ".png": "_b_bold_b_.png",
    "x" * 251 + ".png": None,
    os.fsdecode(b"latin-\xff.png"): "latin-_.png",
}
"""Name of an image -> name of its mask, where that is another one because some system has no such names."""
MASK_NAMES = sorted(mask or image for image, mask in ODD_NAMES.items())


def test_A11_odd_names_keep_their_masks_apart(folder: Path, output: Path):
    for name in ODD_NAMES:
        photo().save(folder / name, "PNG")

    summary = predict(folder, output)

    assert (summary.ok, summary.failed) == (len(ODD_NAMES) + 1, 0)
    assert sorted(os.listdir(output / "masks")) == sorted(["fine.png", *MASK_NAMES])


def test_A11_a_bad_file_of_an_odd_name_is_written_down_in_plain_text(folder: Path, output: Path):
    for name in ODD_NAMES:
        (folder / name).write_bytes(b"")

    summary = predict(folder, output)

    assert summary.failed == len(ODD_NAMES)
    text = (output / "problems.jsonl").read_bytes().decode("utf-8")
    assert len(text.splitlines()) == len(ODD_NAMES)
    assert "latin-\\\\xff.png" in text
    assert all(line.isprintable() for line in text.splitlines())


def test_A11_odd_names_on_the_command_line(
    run_cli: Callable, tiny_run: Path, folder: Path, output: Path, monkeypatch: pytest.MonkeyPatch
):
    for name in ODD_NAMES:
        photo().save(folder / name, "PNG")
    monkeypatch.chdir(folder)

    code, stdout, _ = run_cli(["predict", "--output", output, "--", tiny_run, *ODD_NAMES])

    assert code == 0
    assert f"{len(ODD_NAMES)} ok, 0 failed" in stdout
    assert sorted(os.listdir(output / "masks")) == MASK_NAMES


def write_odd_entries(folder: Path) -> None:
    (folder / "loop").symlink_to(folder)
    (folder / "dangling.png").symlink_to(folder / "gone.png")
    (folder / "linked.png").symlink_to(folder / "fine.png")
    os.mkfifo(folder / "pipe.png")
    with socket.socket(socket.AF_UNIX) as endpoint:
        # A socket's path may have 107 bytes only, so it is bound from within its folder.
        before = Path.cwd()
        os.chdir(folder)
        try:
            endpoint.bind("socket.png")
        finally:
            os.chdir(before)


def test_A13_odd_entries_neither_hang_nor_stop_anything(folder: Path, output: Path):
    write_odd_entries(folder)

    summary = predict(folder, output)

    assert summary.ok == 2
    assert np.array_equal(mask(output, "linked"), LABELS)
    found = {name: record["code"] for name, record in problems(output).items()}
    assert found == {"loop": "D131", "dangling.png": "D131", "pipe.png": "D131", "socket.png": "D131"}
    assert "named pipe" in problems(output)["pipe.png"]["message"]


def test_A13_a_file_without_permission_is_skipped(folder: Path, output: Path, monkeypatch: pytest.MonkeyPatch):
    photo().save(folder / "secret.png")
    import builtins

    original = builtins.open

    def guarded(file, *arguments, **options):
        if str(file).endswith("secret.png") and "photos" in str(file):
            raise PermissionError(13, "Permission denied", str(file))
        return original(file, *arguments, **options)

    monkeypatch.setattr(builtins, "open", guarded)  # chmod means nothing to root

    summary = predict(folder, output)

    assert summary.ok == 1
    assert problems(output)["secret.png"]["code"] == "D131"
    assert "Permission denied" in problems(output)["secret.png"]["message"]


def test_A13_odd_entries_on_the_command_line(run_cli: Callable, tiny_run: Path, folder: Path, output: Path):
    write_odd_entries(folder)

    code, _, _ = run_cli(["predict", tiny_run, folder, "--output", output])

    assert_only({"loop": "D131", "dangling.png": "D131", "pipe.png": "D131", "socket.png": "D131"}, output, code)


class Writes:
    """Watches what this process opens for writing, creates, renames or removes below a folder."""

    EVENTS = (
        "os.mkdir",
        "os.rename",
        "os.remove",
        "os.rmdir",
        "os.link",
        "os.symlink",
        "os.truncate",
        "os.chmod",
    )

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder)
        self.seen: list[tuple] = []
        self.watching = False
        # A hook cannot be removed; when nothing is watched it does nothing.
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple) -> None:
        if not self.watching or not any(str(value).startswith(self.folder) for value in arguments[:2]):
            return
        opened = event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if opened or event in self.EVENTS:
            self.seen.append((event, *arguments[:2]))

    def __enter__(self) -> Writes:
        self.watching = True
        return self

    def __exit__(self, *_) -> None:
        self.watching = False


def test_A14_nothing_is_written_beside_the_photos(run_cli: Callable, tiny_run: Path, folder: Path, output: Path):
    (folder / "bad.jpg").write_bytes(b"")
    with Writes(folder) as writes:
        predict(folder, output)
        code, _, _ = run_cli(["predict", tiny_run, folder, "--output", output])

    assert code == 3
    assert writes.seen == []
    (folder / "proof.txt").write_text("not watched any more")
    with writes:
        (folder / "proof.txt").write_text("the hook works")
    assert [event for event, *_ in writes.seen] == ["open"]


def test_a_path_without_images_is_refused_before_any_work(
    run_cli: Callable, tiny_run: Path, folder: Path, output: Path
):
    code, _, stderr = run_cli(["predict", tiny_run, folder, folder / "missing.png", "--output", output])

    assert code == 3
    assert "error[D223]" in stderr
    assert "missing.png" in stderr
    assert not output.exists()


def test_masks_that_are_not_ours_are_never_written_over(run_cli: Callable, tiny_run: Path, folder: Path, output: Path):
    (output / "masks").mkdir(parents=True)
    (output / "masks" / "fine.png").write_bytes(b"drawn by hand")

    code, _, stderr = run_cli(["predict", tiny_run, folder, "--output", output])

    assert code == 2
    assert "error[R221]" in stderr
    assert (output / "masks" / "fine.png").read_bytes() == b"drawn by hand"


def test_the_message_of_a_skipped_file_is_that_of_reading_it(folder: Path, output: Path):
    (folder / "empty.png").write_bytes(b"")
    with pytest.raises(DataError) as caught:
        Segmenter(GreyModel()).predict(folder / "empty.png")

    predict(folder, output)

    assert problems(output)["empty.png"]["message"] == caught.value.message
