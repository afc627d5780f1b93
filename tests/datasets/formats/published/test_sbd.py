"""SBD masks; the tests write MATLAB files by the published description of the format."""

import struct
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import scipy.sparse
from observing import Listener
from PIL import Image

from pixelwise.datasets.formats.published.sbd import read_segmentation, write_augmented
from pixelwise.errors import DataError, RecipeError

MASK = np.array([[0, 0, 5], [0, 15, 255]], np.uint8)


def element(kind: int, data: bytes, order: str = "<") -> bytes:
    if 0 < len(data) <= 4:
        return struct.pack(f"{order}I", len(data) << 16 | kind) + data.ljust(4, b"\0")
    return struct.pack(f"{order}II", kind, len(data)) + data + b"\0" * (-len(data) % 8)


def matrix(name: str, kind: int, shape: tuple[int, ...], parts: bytes, order: str = "<") -> bytes:
    head = element(6, struct.pack(f"{order}II", kind, 0), order)
    head += element(5, struct.pack(f"{order}{len(shape)}i", *shape), order)
    return element(14, head + element(1, name.encode(), order) + parts, order)


def mat_file(mask: np.ndarray, *, order: str = "<", packed: bool = True, name: str = "GTcls") -> bytes:
    """A structure like SBD's, with Boundaries (a cell), Segmentation and CategoriesPresent."""
    names = b"".join(text.ljust(32, b"\0") for text in (b"Boundaries", b"Segmentation", b"CategoriesPresent"))
    pixels = mask.astype(mask.dtype.newbyteorder(order)).tobytes(order="F")
    kind, stored = {"uint8": (9, 2), "float64": (6, 9)}[mask.dtype.name]
    fields = matrix("", 1, (1, 1), matrix("", 6, (0, 0), element(9, b"", order), order), order)
    fields += matrix("", kind, mask.shape, element(stored, pixels, order), order)
    fields += matrix("", 6, (1, 1), element(9, struct.pack(f"{order}d", 5.0), order), order)
    whole = matrix(
        name, 2, (1, 1), element(5, struct.pack(f"{order}i", 32), order) + element(1, names, order) + fields, order
    )
    if packed:
        content = zlib.compress(whole)
        whole = struct.pack(f"{order}II", 15, len(content)) + content
    mark = b"IM" if order == "<" else b"MI"
    return b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack(f"{order}H", 0x0100) + mark + whole


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("dtype", [np.uint8, np.float64])
def test_a_mask_is_read(tmp_path: Path, order: str, packed: bool, dtype: type):
    (tmp_path / "a.mat").write_bytes(mat_file(MASK.astype(dtype), order=order, packed=packed))
    found = read_segmentation(tmp_path / "a.mat")
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, MASK)


@pytest.mark.parametrize("seed", range(5))
def test_masks_of_any_size_are_read(tmp_path: Path, seed: int):
    rng = np.random.default_rng(seed)
    mask = rng.integers(0, 21, rng.integers(1, 40, 2)).astype(np.uint8)
    (tmp_path / "a.mat").write_bytes(mat_file(mask))
    np.testing.assert_array_equal(read_segmentation(tmp_path / "a.mat"), mask)


@pytest.mark.parametrize("packed", [True, False])
def test_a_file_with_outlines_and_other_variables_is_read(tmp_path: Path, packed: bool):
    outlines = np.empty((20, 1), object)
    for number in range(20):
        outlines[number, 0] = scipy.sparse.csc_matrix(np.eye(5) * (number % 3))
    fields = {"Boundaries": outlines, "Segmentation": MASK, "CategoriesPresent": np.array([[5.0, 15.0]])}
    variables = {"before": outlines, "GTcls": fields, "after": np.ones((2, 3))}
    scipy.io.savemat(tmp_path / "a.mat", variables, do_compression=packed)
    np.testing.assert_array_equal(read_segmentation(tmp_path / "a.mat"), MASK)


@pytest.mark.parametrize(
    "content",
    [b"", b"x" * 500, mat_file(MASK, name="GTinst"), mat_file(np.full((2, 2), 21, np.uint8)), mat_file(MASK)[:150]],
)
def test_anything_else_is_refused(tmp_path: Path, content: bytes):
    (tmp_path / "a.mat").write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_segmentation(tmp_path / "a.mat")
    assert caught.value.code == "D226"


def test_damage_never_ends_in_another_error(tmp_path: Path):
    whole = mat_file(MASK, packed=False)
    for place in range(120, len(whole)):
        for value in (0, 255):
            (tmp_path / "a.mat").write_bytes(whole[:place] + bytes([value]) + whole[place + 1 :])
            try:
                read_segmentation(tmp_path / "a.mat")
            except DataError as error:
                assert error.code == "D226"  # noqa: PT017


def nested(levels: int) -> bytes:
    inner = matrix("", 9, (1, 1), element(2, b"\1"))
    for _ in range(levels):
        inner = matrix("", 1, (1, 1), inner)
    return inner


def variable(content: bytes) -> bytes:
    return mat_file(MASK)[:128] + content


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(lambda: variable(matrix("GTcls", 1, (2**20, 2**9), b"")), id="a cell of 4 GB"),
        pytest.param(lambda: variable(matrix("GTcls", 2, (2**31 - 1,), b"")), id="a structure of 16 GB"),
        pytest.param(lambda: variable(matrix("GTcls", 1, (2**31 - 1, 2**31 - 1), b"")), id="sizes that overflow"),
        pytest.param(lambda: variable(matrix("GTcls", 2, (-5, 3), b"")), id="a negative size"),
        pytest.param(lambda: variable(matrix("GTcls", 1, (1, 1), nested(5000))), id="cells in cells"),
        pytest.param(lambda: variable(matrix("GTcls", 1, (2,) * 1_000_000, b"")), id="a million dimensions"),
        pytest.param(
            lambda: variable(matrix("GTcls", 9, (1, 1), element(2, b"\1") + bytes(10**7))), id="a million elements"
        ),
        pytest.param(lambda: variable(matrix("GTcls", 6, (1, 1), element(14, b"x" * 8))), id="no type of numbers"),
        pytest.param(
            lambda: variable(matrix("GTcls", 5, (1, 1), element(5, b"x" * 8) + element(250, b"x" * 8))), id="sparse"
        ),
        pytest.param(
            lambda: variable(element(15, zlib.compress(bytes(10**9))).ljust(8)),
            id="a gigabyte in a megabyte",
            marks=pytest.mark.heavy,
        ),
        pytest.param(lambda: variable(b"".join([matrix("a", 9, (1, 1), element(2, b"\1"))] * 50)), id="many variables"),
        pytest.param(lambda: b"\0" + mat_file(MASK)[1:], id="MATLAB 4"),
        pytest.param(lambda: variable(struct.pack("<II", 14, 16) + b"x" * 16), id="half a header"),
        pytest.param(lambda: mat_file(MASK, packed=False) + bytes(20_000_000), id="20 MB"),
    ],
)
def test_a_hostile_file_is_refused_before_scipy_allocates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: Callable[[], bytes]
):
    def never(*_: object, **__: object):
        raise AssertionError("scipy was called")

    monkeypatch.setattr(scipy.io, "loadmat", never)
    (tmp_path / "a.mat").write_bytes(content())
    with pytest.raises(DataError) as caught:
        read_segmentation(tmp_path / "a.mat")
    assert caught.value.code == "D226"
    assert "scipy was called" not in caught.value.message


def test_without_scipy_the_way_out_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    voc, sbd = tree(tmp_path)
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    with pytest.raises(RecipeError) as caught:
        write_augmented(voc, sbd)
    assert (caught.value.code, caught.value.help) == ("R240", "install it: pip install scipy")
    assert not (voc / "ImageSets/Segmentation/trainaug.txt").exists()


def test_without_scipy_masks_that_are_there_already_are_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    voc, sbd = tree(tmp_path)
    write_augmented(voc, sbd)
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    assert write_augmented(voc, sbd) == (2, 2)


def tree(root: Path) -> tuple[Path, Path]:
    """VOC with a and v, SBD with a, b, c and v; v is VOC's val, a its train."""
    voc, sbd = root / "VOCdevkit/VOC2012", root / "benchmark_RELEASE/dataset"
    for folder in (voc / "ImageSets/Segmentation", voc / "SegmentationClass", sbd / "cls"):
        folder.mkdir(parents=True)
    (voc / "ImageSets/Segmentation/train.txt").write_text("a\n")
    (voc / "ImageSets/Segmentation/val.txt").write_text("v\n")
    (sbd / "train.txt").write_text("b\nv\n")
    (sbd / "val.txt").write_text("c\na\n")
    for name in "av":
        Image.fromarray(np.full((2, 3), 1, np.uint8)).save(voc / "SegmentationClass" / f"{name}.png")
    for name in "abcv":
        (sbd / "cls" / f"{name}.mat").write_bytes(mat_file(MASK))
    return voc, sbd


def test_masks_of_both_are_merged_without_the_val_split(tmp_path: Path):
    voc, sbd = tree(tmp_path)
    listener = Listener()
    assert write_augmented(voc, sbd, observer=listener) == (2, 2)
    assert (voc / "ImageSets/Segmentation/trainaug.txt").read_text() == "a\nb\nc\n"
    merged = {path.stem: np.asarray(Image.open(path)) for path in (voc / "SegmentationClassAug").iterdir()}
    assert sorted(merged) == ["a", "b", "c", "v"]
    assert (merged["a"] == 1).all()
    np.testing.assert_array_equal(merged["b"], MASK)
    assert listener.last == (4, 4)


def test_a_damaged_mask_leaves_no_list(tmp_path: Path):
    voc, sbd = tree(tmp_path)
    (sbd / "cls/c.mat").write_bytes(b"")
    with pytest.raises(DataError):
        write_augmented(voc, sbd)
    assert not (voc / "ImageSets/Segmentation/trainaug.txt").exists()
