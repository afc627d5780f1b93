"""Faults of files and images (rows A of the fault list): what `pixelwise check` and the reader say.

Every test is named after its row. Prediction has tests of its own for the same rows.
"""

import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import unicodedata
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pixelwise.datasets.opening import open_dataset
from pixelwise.datasets.reading.images import read_image
from pixelwise.datasets.reading.pairs import read_pair
from pixelwise.datasets.samples import Reading
from pixelwise.errors import DataError
from pixelwise.recipes.schema.recipe import Data

MASK = np.array([[0, 0, 1, 1]] * 6 + [[1, 0, 0, 255]] * 6, np.uint8).repeat(4, axis=1)
Check = Callable[..., tuple[int, dict[str, dict[str, Any]], str]]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A clean folder: three training pairs and one for validation, 12x16."""
    rng = np.random.default_rng(0)
    for key in ("train/a", "train/b", "train/c", "val/d"):
        for kind in ("images", "masks"):
            (tmp_path / "data" / kind / key).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (*MASK.shape, 3), np.uint8)).save(tmp_path / f"data/images/{key}.png")
        Image.fromarray(MASK).save(tmp_path / f"data/masks/{key}.png")
    return tmp_path / "data"


@pytest.fixture
def check(run_cli: Callable[..., Any]) -> Check:
    """`pixelwise check` -> exit status, findings by code, and everything it printed."""

    def run(root: Path, *arguments: str) -> tuple[int, dict[str, dict[str, Any]], str]:
        done = run_cli(["check", root, "--json", *arguments])
        findings = json.loads(done.stdout)["findings"] if done.stdout.startswith("{") else []
        # Every one of these folders has few images (W260).
        named = {finding["code"]: finding for finding in findings if finding["code"] != "W260"}
        return done.code, named, done.stdout + done.stderr

    return run


def image(root: Path, name: str = "b.png") -> Path:
    return root / "images" / "train" / name


def test_the_clean_folder_passes(root: Path, check: Check):
    code, findings, _ = check(root)
    assert (code, findings) == (0, {})


@pytest.mark.filterwarnings("ignore:Truncated File Read")
@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "tiff"])
@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_A1_a_truncated_image_is_d101_with_its_size(root: Path, check: Check, kind: str, share: float):
    path = image(root)
    Image.open(path).save(path, kind)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    code, findings, _ = check(root)
    assert code == 3
    assert findings["D101"]["files"] == ["images/train/b.png"]
    assert f"({int(len(data) * share)} bytes)" in findings["D101"]["message"]


@pytest.mark.parametrize(
    ("content", "says"), [(b"", "0 bytes"), (b"<html>404</html>", "a web page"), (b"junk", "`junk`")]
)
def test_A2_what_is_no_image_is_d102_and_says_how_it_starts(root: Path, check: Check, content: bytes, says: str):
    image(root).write_bytes(content)
    code, findings, _ = check(root)
    assert code == 3
    assert findings["D102"]["files"] == ["images/train/b.png"]
    assert says in findings["D102"]["message"]


def test_A2_files_of_the_system_are_ignored_in_silence(root: Path, check: Check):
    for name in (".DS_Store", "Thumbs.db", "._b.png", "desktop.ini"):
        image(root, name).write_bytes(b"junk")
    code, findings, _ = check(root)
    assert (code, findings) == (0, {})


def test_A3_a_wrong_ending_is_read_by_content_with_a_warning(root: Path, check: Check):
    Image.open(image(root)).save(image(root), "BMP")
    code, findings, _ = check(root)
    assert code == 0
    assert findings["W102"]["files"] == ["images/train/b.png"]


def test_A4_bit_rot_is_d103_when_looked_at_afresh(root: Path, check: Check):
    for path in root.rglob("*.png"):
        os.utime(path, (1_700_000_000, 1_700_000_000))
    assert check(root)[0] == 0
    data = bytearray(image(root).read_bytes())
    data[-1] ^= 1
    image(root).write_bytes(data)
    os.utime(image(root), (1_700_000_000, 1_700_000_000))
    code, findings, _ = check(root, "--fresh")
    assert code == 3
    assert findings["D103"]["files"] == ["images/train/b.png"]


def test_A5_sixteen_bits_are_d104_until_a_range_is_given(root: Path, check: Check):
    ramp = np.linspace(0, 65535, MASK.size).astype(np.uint16).reshape(MASK.shape)
    Image.fromarray(ramp).save(image(root))
    code, findings, _ = check(root)
    assert code == 3
    assert findings["D104"]["files"] == ["images/train/b.png"]
    assert "data.input_range" in findings["D104"]["fix"]
    assert check(root, "data.input_range=[0, 65535]")[0] == 0
    assert abs(read_image(image(root), Reading(input_range=(0, 65535))).mean() - 127.5) < 0.6


def test_A5_floats_are_d104_and_single_bits_are_black_and_white(root: Path, check: Check):
    Image.fromarray(MASK > 0).save(image(root, "a.png"))
    assert set(np.unique(read_image(image(root, "a.png"), Reading())).tolist()) == {0, 255}
    Image.fromarray(MASK.astype(np.float32)).save(image(root), "TIFF")
    code, findings, _ = check(root)
    assert code == 3
    assert findings["D104"]["files"] == ["images/train/b.png"]


def test_A6_transparency_is_a_warning_and_black_on_request(root: Path, check: Check):
    Image.fromarray(np.full((*MASK.shape, 4), (9, 9, 9, 0), np.uint8)).save(image(root))
    code, findings, _ = check(root)
    assert code == 0
    assert findings["W106"]["files"] == ["images/train/b.png"]
    assert read_image(image(root), Reading()).max() == 9
    assert read_image(image(root), Reading(alpha="black")).max() == 0


@pytest.mark.parametrize(("mode", "kind"), [("CMYK", "jpeg"), ("L", "png"), ("P", "png"), ("LA", "png")])
def test_A7_other_colour_modes_are_converted(root: Path, check: Check, mode: str, kind: str):
    image(root).unlink()
    Image.open(image(root, "a.png")).convert(mode).save(image(root, f"b.{kind}"))
    code, findings, _ = check(root)
    assert (code, findings) == (0, {})


@pytest.mark.parametrize("kind", ["gif", "tiff"])
def test_A7_the_first_frame_is_taken_with_a_warning(root: Path, check: Check, kind: str):
    image(root).unlink()
    frames = [Image.new("RGB", MASK.shape[::-1], color) for color in ("red", "blue")]
    frames[0].save(image(root, f"b.{kind}"), save_all=True, append_images=frames[1:])
    code, findings, _ = check(root)
    assert code == 0
    assert findings["W107"]["files"] == [f"images/train/b.{kind}"]


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_A8_a_mask_of_the_unrotated_photo_is_d110(root: Path, check: Check, orientation: int):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.open(image(root)).save(image(root), exif=exif)
    code, findings, _ = check(root)
    assert code == 3
    assert findings["D110"]["files"] == ["images/train/b.png"]
    assert findings["D110"]["fix"] == "set data.exif=ignore"
    assert check(root, "data.exif=ignore")[0] == 0


@pytest.mark.parametrize("orientation", range(2, 9))
def test_A8_a_mask_of_the_upright_photo_fits_pixel_by_pixel(root: Path, check: Check, orientation: int):
    # How each orientation is stored: undo it on an image whose pixels are its own mask.
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[orientation]
    upright = np.repeat(MASK[..., None], 3, axis=2)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(upright).transpose(Image.Transpose(undo)).save(image(root), exif=exif)
    assert check(root)[0] == 0
    dataset = open_dataset(Data(classes=("a", "b")), root)
    pixels, labels = read_pair(dataset.samples("train")[1], dataset)
    assert np.array_equal(pixels[..., 0], labels)


def bomb(side: int) -> bytes:
    """A valid black 1-bit PNG, some hundred KB for a billion pixels, made without its pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    deflate = zlib.compressobj(9)
    row = bytes(1 + (side + 7) // 8)
    rows = b"".join(deflate.compress(row) for _ in range(side)) + deflate.flush()
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.heavy
def test_A9_a_decompression_bomb_is_d120(root: Path, check: Check):
    image(root).write_bytes(bomb(30000))
    assert image(root).stat().st_size < 200_000
    code, findings, _ = check(root)
    assert code == 3
    assert findings["D120"]["files"] == ["images/train/b.png"]
    assert "30000x30000" in findings["D120"]["message"]


@pytest.mark.heavy
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak memory is read from /proc")
def test_A9_a_decompression_bomb_takes_little_memory(root: Path):
    image(root).write_bytes(bomb(30000))
    script = (
        "import sys, pathlib; from pixelwise.datasets.auditing.audit import audit, raise_for_errors; "
        "from pixelwise.datasets.opening import open_dataset; from pixelwise.recipes.schema.recipe import Data; "
        "found = audit(open_dataset(Data(), pathlib.Path(sys.argv[1]))); "
        "peak = [line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')]; "
        "print(found.errors[0].code, *peak)"
    )
    done = subprocess.run([sys.executable, "-c", script, root], capture_output=True, text=True, check=True)
    code, peak_kilobytes = done.stdout.split()
    assert code == "D120"
    assert int(peak_kilobytes) < 300_000


@pytest.mark.parametrize(
    "name",
    [
        "two words",
        "line\nbreak",
        "-leading-dash",
        "[bold]markup[red]",
        "<script>",
        unicodedata.normalize("NFD", "Stra\u00dfe_\u00fc"),
        "x" * 251,
        os.fsdecode(b"\xff\xfe"),
    ],
)
def test_A11_odd_names_work_and_are_printable(root: Path, check: Check, name: str):
    for kind in ("images", "masks"):
        (root / kind / "train" / "b.png").rename(root / kind / "train" / f"{name}.png")
    code, findings, _ = check(root)
    assert (code, findings) == (0, {})
    image(root, f"{name}.png").write_bytes(b"")
    code, findings, printed = check(root)
    assert code == 3
    (file,) = findings["D102"]["files"]
    assert file.isprintable()
    printed.encode("utf-8")


def test_A11_an_image_and_its_mask_may_differ_in_unicode_form(root: Path, check: Check):
    image(root).rename(image(root, unicodedata.normalize("NFD", "\u00fc.png")))
    (root / "masks/train/b.png").rename(root / "masks/train" / unicodedata.normalize("NFC", "\u00fc.png"))
    code, findings, _ = check(root)
    assert (code, findings) == (0, {})


def test_A11_two_unicode_forms_of_one_name_are_d130(root: Path, check: Check):
    for form in ("NFC", "NFD"):
        shutil.copy(image(root), image(root, unicodedata.normalize(form, "\u00fc.png")))
    shutil.copy(root / "masks/train/b.png", root / "masks/train/\u00fc.png")
    code, findings, _ = check(root)
    assert code == 3
    assert len(findings["D130"]["files"]) == 2


def test_A12_two_endings_of_one_name_are_d130(root: Path, check: Check):
    Image.open(image(root)).save(image(root, "b.jpg"))
    code, findings, _ = check(root)
    assert code == 3
    assert findings["D130"]["files"] == ["images/train/b.jpg", "images/train/b.png"]


def test_A12_names_that_differ_in_case_only_are_d130(root: Path, check: Check):
    for kind in ("images", "masks"):
        shutil.copy(root / kind / "train" / "b.png", root / kind / "train" / "B.png")
    code, findings, _ = check(root)
    assert code == 3
    assert {Path(name).name for name in findings["D130"]["files"]} == {"b.png", "B.png"}


def test_A12_the_same_image_in_two_splits_is_d133(root: Path, check: Check):
    shutil.copy(image(root), root / "images/val/d.png")
    code, findings, _ = check(root)
    assert code == 3
    assert findings["D133"]["files"] == ["images/train/b.png", "images/val/d.png"]


@pytest.mark.timeout(60)
def test_A13_links_pipes_and_sockets_are_d131_and_nothing_hangs(root: Path, check: Check, tmp_path: Path):
    folder = root / "images" / "train"
    (folder / "loop").symlink_to(".")
    (folder / "self.png").symlink_to("self.png")
    (folder / "dangling.png").symlink_to("nowhere.png")
    os.mkfifo(folder / "pipe.png")
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.getcwd()
        os.chdir(folder)  # a socket's path may have 107 bytes only
        try:
            listener.bind("socket.png")
        finally:
            os.chdir(here)
        done, _, printed = check(root)
    assert done == 3
    for name in ("loop", "self.png", "dangling.png", "pipe.png", "socket.png"):
        assert f"images/train/{name}" in printed


def test_A13_permission_denied_is_d131(root: Path, check: Check, monkeypatch: pytest.MonkeyPatch):
    from pixelwise.datasets.reading import files

    def guarded(path: Path, mode: str):
        if path.name == "b.png" and "images" in path.parts:
            raise PermissionError(13, "Permission denied")
        return open(path, mode)

    # As root, a file without permissions still opens.
    monkeypatch.setattr(files, "open", guarded, raising=False)
    code, findings, _ = check(root)
    assert code == 3
    assert findings["D131"]["files"] == ["images/train/b.png"]
    assert "Permission denied" in findings["D131"]["message"]


_watched: list[str] = []
_written: list[tuple[str, str]] = []


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if not _watched or not arguments or not isinstance(arguments[0], (str, bytes, os.PathLike)):
        return
    path = os.fsdecode(arguments[0])
    writes = event in (
        "os.mkdir",
        "os.rename",
        "os.remove",
        "os.rmdir",
        "os.link",
        "os.symlink",
        "os.chmod",
        "os.utime",
    )
    if event == "open":
        writes = bool(arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
    if writes and path.startswith(_watched[0]):
        _written.append((event, path))


@pytest.fixture
def writes_below(root: Path) -> Iterator[list[tuple[str, str]]]:
    """What is written below `root` while the test runs. An audit hook stays for ever, so it is idle after."""
    if not hasattr(_watch, "installed"):
        sys.addaudithook(_watch)
        _watch.installed = True  # type: ignore[attr-defined]
    _watched[:], _written[:] = [str(root)], []
    yield _written
    _watched.clear()


def test_A14_nothing_is_ever_written_into_the_folder_of_the_data(
    root: Path, check: Check, writes_below: list[tuple[str, str]]
):
    code, _, _ = check(root)
    dataset = open_dataset(Data(), root)
    read_pair(dataset.samples("train")[0], dataset)
    assert code == 0
    assert writes_below == []


def test_A14_the_watch_sees_a_write(root: Path, writes_below: list[tuple[str, str]]):
    (root / "note.txt").write_text("x")
    assert [event for event, _ in writes_below] == ["open"]


def test_A15_a_file_that_vanishes_after_the_check_is_d131_by_name(root: Path):
    dataset = open_dataset(Data(classes=("a", "b")), root)
    image(root).unlink()
    with pytest.raises(DataError, match=r"b\.png") as caught:
        read_pair(dataset.samples("train")[1], dataset)
    assert (caught.value.code, caught.value.exit_code) == ("D131", 3)
