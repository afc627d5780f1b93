"""What is no image is named by its first bytes; the signatures are those of the formats' own documents."""

import gzip
import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tifffile
from pictures import png

from pixelwise.datasets.labels import LabelTable
from pixelwise.datasets.reading.decoding import decode
from pixelwise.datasets.reading.foreign import HEAD, foreign
from pixelwise.datasets.reading.images import load_image
from pixelwise.datasets.reading.mask_values import load_mask
from pixelwise.datasets.samples import Reading
from pixelwise.errors import DataError


def brand(name: bytes, *compatible: bytes) -> bytes:
    body = b"ftyp" + name + b"\0\0\0\0" + b"".join(compatible)
    return (4 + len(body)).to_bytes(4, "big") + body


def nifti() -> bytes:
    return (348).to_bytes(4, "little") + bytes(340) + b"n+1\0"


def tar() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a.png"))
    return stream.getvalue()


def zipped() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a.png", b"")
    return stream.getvalue()


TRANSPORT = b"".join(b"G" + bytes(187) for _ in range(4))
FILES = [
    (brand(b"mp42", b"isom"), "a video (brand mp42): extract its frames"),
    (brand(b"qt  "), "a video (brand qt): extract its frames"),
    (brand(b"M4V "), "a video (brand M4V)"),
    (brand(b"isom", b"avc1"), "a video"),
    (brand(b"3gp5"), "a video"),
    (b"\0\0\0\x08wide\0\0\0\0mdat", "a video (QuickTime)"),
    (b"\0\0\0\x10moov", "a video (QuickTime)"),
    (b"RIFF\0\0\0\0AVI LIST", "a video (AVI)"),
    (b"\x1aE\xdf\xa3\x01", "a video (Matroska or WebM)"),
    (TRANSPORT, "a video (MPEG transport stream)"),
    (b"".join(bytes(4) + b"G" + bytes(187) for _ in range(4)), "a video (MPEG transport stream)"),
    (b"\0\0\x01\xba", "a video (MPEG)"),
    (b"FLV\x01", "a video"),
    (brand(b"heic"), "a HEIC photo (brand heic): convert it"),
    (brand(b"mif1", b"heic"), "a HEIC photo (brand mif1)"),
    (brand(b"avif"), "an AVIF photo (brand avif)"),
    (brand(b"mif1", b"avif"), "an AVIF photo (brand mif1)"),
    (brand(b"crx "), "the raw data of a camera (CR3): develop it"),
    (bytes.fromhex("0000000c4a584c200d0a870a"), "JPEG XL"),
    (b"\xff\x0a\xfa", "JPEG XL"),
    (bytes.fromhex("0000000c6a5020200d0a870a"), "JPEG 2000"),
    (bytes.fromhex("ff4fff51"), "JPEG 2000"),
    (bytes(128) + b"DICM", "a DICOM image: export its slices"),
    (nifti(), "a NIfTI volume: export its slices"),
    (gzip.compress(nifti() + bytes(9000)), "a NIfTI volume (gzip)"),
    (gzip.compress(tar()), "a tar archive (gzip): unpack it"),
    (gzip.compress(b"words"), "a gzip archive: unpack it"),
    (zipped(), "a zip archive: unpack it"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (tar(), "a tar archive"),
    (b"Rar!\x1a\x07\x01", "a RAR archive"),
    (b"FUJIFILMCCD-RAW 0201", "the raw data of a camera (RAF)"),
    (b"IIU\0\x18\0\0\0", "the raw data of a camera (RW2)"),
    (b"IIRO\x08\0\0\0", "the raw data of a camera (ORF)"),
    (b"\x76\x2f\x31\x01", "an OpenEXR image"),
    (b"#?RADIANCE\n", "a Radiance HDR image"),
    (b"SIMPLE  =                    T", "a FITS file"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (b"MATLAB 5.0 MAT-file, Platform", "a MATLAB file"),
    (b"MATLAB 7.3 MAT-file, Platform", "a MATLAB file (HDF5)"),
    (bytes(512) + b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (b"8BPS\0\1", "a Photoshop file"),
    (b"%PDF-1.7", "a PDF"),
    (b"DDS |", "a DirectDraw texture"),
    (b"\0\0\1\0\1\0", "an icon"),
    (b"P5\n4 4\n255\n", "a portable map"),
    (b"P6 4 4 255\n", "a portable map"),
    (b'<?xml version="1.0"?>\n<svg xmlns="x">', "an SVG drawing: export it as PNG"),
    (b"<svg>", "an SVG drawing"),
    (b'<?xml version="1.0"?><annotation>', "XML text"),
    (b"\n <!DOCTYPE html><html>", "a web page"),
    (b'{"shapes": []}', "JSON text"),
    (b"version https://git-lfs.github.com/spec/v1", "a Git LFS pointer: run `git lfs pull`"),
    (b"\x93NUMPY\1\0", "a NumPy array"),
    (b"\0\5\x16\7", "macOS's notes"),
]


@pytest.mark.parametrize(("content", "words"), FILES, ids=[words for _, words in FILES])
def test_foreign_files_are_named_with_what_to_do(tmp_path: Path, content: bytes, words: str):
    found = foreign(content[:HEAD])
    assert found is not None
    assert words in ": ".join(found)
    # Text has no zero bytes, most other files have many.
    (tmp_path / "a.jpg").write_bytes(content + (b" " if content[:1] in b"{<\nv" else b"\0") * 600)
    for read in (
        lambda path: load_image(path, Reading()),
        lambda path: load_mask(path, LabelTable(), max_pixels=100),
    ):
        with pytest.raises(DataError) as caught:
            read(tmp_path / "a.jpg")
        assert caught.value.code == "D102"
        assert found[0] in caught.value.message
        assert caught.value.help == f"it is {found[0]}: {found[1]}"


@pytest.mark.parametrize("content", [b"", b"\xff", b"words", b"P5", b"P9\n", b"RIFF\0\0\0\0ABCD", b"\0\1\2"])
def test_what_is_not_known_gets_general_help(content: bytes):
    assert foreign(content) is None


def test_a_damaged_gzip_archive_is_still_one():
    assert "gzip" in str(foreign(b"\x1f\x8b"))


@pytest.mark.parametrize("photometric", [32803, 34892])
@pytest.mark.parametrize("inside", [False, True])
def test_raw_data_of_cameras_is_recognised_inside_tiff_files(tmp_path: Path, photometric: int, inside: bool):
    sensor = np.zeros((16, 16) if photometric == 32803 else (16, 16, 3), np.uint16)
    with tifffile.TiffWriter(tmp_path / "a.dng") as writer:
        make = [(271, 2, 0, "Maker", False)]
        if inside:
            preview = np.zeros((8, 8, 3), np.uint8)
            writer.write(preview, photometric="rgb", subifds=1, subfiletype=1, extratags=make, metadata=None)
        cfa = [(33421, 3, 2, (2, 2), False), (33422, 1, 4, bytes([0, 1, 1, 2]), False)]
        writer.write(sensor, photometric=photometric, extratags=[*cfa, *([] if inside else make)], metadata=None)
    with pytest.raises(DataError, match=r"raw data of a camera \(Maker\)") as caught:
        load_image(tmp_path / "a.dng", Reading())
    assert caught.value.code == "D102"
    assert "develop" in caught.value.help


def test_ordinary_files_are_not_foreign(tmp_path: Path):
    (tmp_path / "a.png").write_bytes(png(np.zeros((2, 2), np.uint8), kind=0))
    assert decode(tmp_path / "a.png", max_pixels=9).format == "PNG"
