"""Names files that are not images in a supported format by their first bytes, and says what to do with each."""

from __future__ import annotations

import contextlib
import re
import zlib
from pathlib import Path
from typing import Any

from pixelwise.errors import DataError
from pixelwise.storage import printable

HEAD = 1024
"""Number of first bytes that suffice to recognise a file."""

_CONVERT = "convert it to PNG"
FRAMES = (
    "extract its frames as images, for example `ffmpeg -i FILE frame-%05d.png`; only `pixelwise predict` and "
    "`Segmenter.predict_video` take the video itself"
)
"""What to do with a video where images are needed."""
VIDEO_SUFFIXES = (
    ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".vob", ".wmv", ".asf",
    ".flv", ".ogv", ".3gp", ".3g2", ".mxf",
)  # fmt: skip
"""File extensions of videos."""
_SLICES = "export its slices as PNG or TIFF, one image per file"
_ARRAY = "export the image that it contains as PNG, TIFF or a NumPy array (.npy)"
_UNPACK = "unpack it and use the images inside"
_DEVELOP = "develop it with the camera's or another raw converter, and export it as PNG, TIFF or JPEG"
_EXPORT = "export it as PNG"
_RANGE = "convert it to TIFF with floating-point values, and set data.input_range"

_STARTS: tuple[tuple[bytes, str, str], ...] = (
    (b"version https://git-lfs", "a Git LFS pointer", "run `git lfs pull`"),
    (b"%PDF", "a PDF", "export the page as PNG"),
    (b"%!PS", "a PostScript file", "export the page as PNG"),
    (b"8BPS", "a Photoshop file", _EXPORT),
    (b"gimp xcf", "a GIMP project", _EXPORT),
    (b"\x93NUMPY", "a NumPy array", "rename it to .npy; for an image, set data.channels, which selects its channels"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000", _CONVERT),
    (b"\xff\x4f\xff\x51", "JPEG 2000 (a bare code stream)", _CONVERT),
    (b"\0\0\0\x0cJXL ", "JPEG XL", _CONVERT),
    (b"\xff\x0a", "JPEG XL (a bare code stream)", _CONVERT),
    (b"II\xbc\x01", "JPEG XR", _CONVERT),
    (b"BPG\xfb", "a BPG image", _CONVERT),
    (b"qoif", "a QOI image", _CONVERT),
    (b"\x1aE\xdf\xa3", "a video (Matroska or WebM)", FRAMES),
    (b"FLV\x01", "a video (Flash)", FRAMES),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "a video (WMV)", FRAMES),
    (b"\0\0\x01\xba", "a video (MPEG)", FRAMES),
    (b"\0\0\x01\xb3", "a video (MPEG)", FRAMES),
    (b"OggS", "an Ogg video or sound", FRAMES),
    (b"\x06\x0e\x2b\x34\x02\x05\x01\x01\x0d\x01\x02", "a video (MXF)", FRAMES),
    (b"DKIF", "a video (IVF)", FRAMES),
    (b"YUV4MPEG2 ", "a video (YUV4MPEG2)", FRAMES),
    (b"MATLAB 5.0 MAT-file", "a MATLAB file", _ARRAY),
    (b"MATLAB 7.3 MAT-file", "a MATLAB file (HDF5)", _ARRAY),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file", _ARRAY),
    (b"CDF\x01", "a NetCDF file", _ARRAY),
    (b"CDF\x02", "a NetCDF file", _ARRAY),
    (b"GRIB", "a GRIB file", _ARRAY),
    (b"SIMPLE  =", "a FITS file", _RANGE),
    (b"\x76\x2f\x31\x01", "an OpenEXR image", _RANGE),
    (b"#?RADIANCE", "a Radiance HDR image", _RANGE),
    (b"#?RGBE", "a Radiance HDR image", _RANGE),
    (b"DDS ", "a DirectDraw texture (DDS)", _CONVERT),
    (b"\xabKTX ", "a Khronos texture (KTX)", _CONVERT),
    (b"\0\0\x01\0", "an icon (ICO)", _CONVERT),
    (b"\0\0\x02\0", "a cursor (CUR)", _CONVERT),
    (b"icns", "an icon (ICNS)", _CONVERT),
    (b"PK\x03\x04", "a zip archive", _UNPACK),
    (b"PK\x05\x06", "an empty zip archive", "make it again, or remove it"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", _UNPACK),
    (b"Rar!\x1a\x07", "a RAR archive", _UNPACK),
    (b"BZh", "a bzip2 archive", _UNPACK),
    (b"\xfd7zXZ\0", "an xz archive", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive", _UNPACK),
    (b"FUJIFILMCCD-RAW", "the raw data of a camera (RAF)", _DEVELOP),
    (b"IIRO", "the raw data of a camera (ORF)", _DEVELOP),
    (b"IIRS", "the raw data of a camera (ORF)", _DEVELOP),
    (b"MMOR", "the raw data of a camera (ORF)", _DEVELOP),
    (b"IIU\0", "the raw data of a camera (RW2)", _DEVELOP),
    (b"FOVb", "the raw data of a camera (X3F)", _DEVELOP),
    (b"\0MRM", "the raw data of a camera (MRW)", _DEVELOP),
    (b"II\x1a\0\0\0HEAPCCDR", "the raw data of a camera (CRW)", _DEVELOP),
    (
        b"\0\x05\x16\x07",
        "macOS's notes about another file",
        "remove it; the image is the file without `._` in its name",
    ),
    (b"\x80\x02", "a Python pickle", _ARRAY),
    (b"\x80\x04", "a Python pickle", _ARRAY),
    (b"\x80\x05", "a Python pickle", _ARRAY),
)
_TEXTS: tuple[tuple[bytes, str, str], ...] = (
    (b"{", "JSON text", "give it to the verb as annotations, or remove it from the images"),
    (b"[", "JSON text", "give it to the verb as annotations, or remove it from the images"),
)
_PORTABLE_MAP = re.compile(rb"P[1-7Ff][\s#]")
_HEIF = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1", b"mif2"}
_AVIF = {b"avif", b"avis"}
_SOUNDS = {b"M4A ", b"M4B ", b"F4A "}
# Atoms at the start of QuickTime videos that are older than brands.
_ATOMS = (b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")


def foreign(head: bytes) -> tuple[str, str] | None:
    """What a file that is not an image in a supported format is, and what to do with it; None if it is unknown.

    Args:
        head: The first bytes of the file, at most `HEAD` of them.
    """
    for recognise in (_by_start, _by_brand, _by_place, _by_text):
        found = recognise(head)
        if found is not None:
            return found
    return None


def is_video(head: bytes) -> bool:
    """Whether the first bytes of a file are those of a video, or of a sound that begins like one (Ogg).

    Args:
        head: The first bytes of the file, at most `HEAD` of them.
    """
    found = foreign(head)
    return found is not None and found[1] == FRAMES


def raw_camera_error(path: Path, page: Any) -> DataError | None:
    """D102 if a TIFF file holds the raw data of a camera (DNG, CR2, NEF, ARW, ...), else None.

    Args:
        path: The file, which begins like any TIFF file.
        page: Its first page, a `tifffile.TiffPage`; often a preview, with the raw data in pages of its own.
    """
    candidates = [page, *(page.pages or ())]
    for one in candidates:
        # 32803 is a colour filter array, 34892 its values after interpolation.
        if int(getattr(one, "photometric", 0) or 0) in (32803, 34892):
            break
    else:
        if not _is_cr2(page):
            return None
    make = str(page.tags.valueof(271) or page.tags.valueof(50708) or "").strip("\0 ")
    kind = "DNG" if 50706 in page.tags else printable(make) or "unknown make"
    return DataError(
        "D102", f"{printable(path)}: not an image: the file holds the raw data of a camera ({kind})", _DEVELOP
    )


def _is_cr2(page: Any) -> bool:
    handle = page.parent.filehandle
    handle.seek(8)
    return bytes(handle.read(2)) == b"CR"


def _by_start(head: bytes) -> tuple[str, str] | None:
    if head.startswith(b"\x1f\x8b"):
        return _gzip(head)
    if _PORTABLE_MAP.match(head):
        return "a portable map (PBM, PGM, PPM, PAM or PFM)", _CONVERT
    found = next(((what, to_do) for start, what, to_do in _STARTS if head.startswith(start)), None)
    if found is None and head.startswith(b"RIFF"):
        kind = head[8:12]
        if kind in (b"AVI ", b"AVIX"):
            return "a video (AVI)", FRAMES
        return ("a sound", "remove it") if kind == b"WAVE" else None
    return found


def _by_brand(head: bytes) -> tuple[str, str] | None:
    """Files of the ISO base format: the brand says whether they hold photos or a video."""
    if head[4:8] in _ATOMS:
        return "a video (QuickTime)", FRAMES
    if head[4:8] != b"ftyp":
        return None
    length = min(int.from_bytes(head[:4], "big"), len(head))
    brands = [head[8:12], *(head[start : start + 4] for start in range(16, length - 3, 4))]
    major = printable(brands[0].decode("latin-1").strip())
    if brands[0] in _AVIF or (brands[0] in _HEIF and set(brands) & _AVIF):
        return f"an AVIF photo (brand {major})", f"{_CONVERT} or JPEG"
    if brands[0] in _HEIF:
        return f"a HEIC photo (brand {major})", f"{_CONVERT} or JPEG"
    if brands[0] in (b"jp2 ", b"jpx ", b"jph "):
        return "JPEG 2000", _CONVERT
    if brands[0] == b"crx ":
        return "the raw data of a camera (CR3)", _DEVELOP
    if brands[0] in _SOUNDS:
        return "a sound", "remove it"
    return f"a video (brand {major})", FRAMES


def _by_place(head: bytes) -> tuple[str, str] | None:
    """Files whose signature is not at their start."""
    if head[128:132] == b"DICM":
        return "a DICOM image", _SLICES
    if head[344:348] in (b"n+1\0", b"ni1\0") or head[4:12] in (b"n+2\0\r\n\x1a\n", b"ni2\0\r\n\x1a\n"):
        return "a NIfTI volume", _SLICES
    if head[257:262] == b"ustar":
        return "a tar archive", _UNPACK
    if head[512:520] == b"\x89HDF\r\n\x1a\n":
        return "an HDF5 file", _ARRAY
    packets = [head[start : start + 1] for start in (0, 188, 376)]
    stamped = [head[start : start + 1] for start in (4, 196, 388)]
    if packets == [b"G"] * 3 or stamped == [b"G"] * 3:
        return "a video (MPEG transport stream)", FRAMES
    return None


def _by_text(head: bytes) -> tuple[str, str] | None:
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    found = next(((what, to_do) for start, what, to_do in _TEXTS if text.startswith(start)), None)
    if found is not None and b"\0" not in head:
        return found
    if text.startswith(b"<"):
        lower = text.lower()
        if b"<svg" in lower:
            return "an SVG drawing", _EXPORT
        if lower.startswith(b"<?xml") and b"<html" not in lower:
            return "XML text", "give it to the verb as annotations, or remove it from the images"
        return "a web page or other text with an image's file name", "download the file again"
    return None


def _gzip(head: bytes) -> tuple[str, str]:
    unpacked = b""
    with contextlib.suppress(zlib.error):
        unpacked = zlib.decompressobj(wbits=31).decompress(head, HEAD)
    found = _by_place(unpacked)
    return (f"{found[0]} (gzip)", found[1]) if found else ("a gzip archive", _UNPACK)
