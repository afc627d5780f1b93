"""Mosaics: files of GDAL (`.vrt`) that say which parts of which images lie where.

Read is what `gdalbuildvrt` writes, and `gdal_translate` where it cuts out or selects bands: parts of images at their
own resolution. Whatever else the format has (functions of pixels, warped images, other resolutions, scaled values) is
refused, never approximated.

A mosaic names files, so its maker decides which images of this machine are read. Only regular files are, which have to
be images: no addresses, no archives, no drivers of GDAL, no further mosaics.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from xml.etree.ElementTree import Element

import numpy as np

from pixelwise.errors import DataError
from pixelwise.storage import printable, sha256_bytes
from pixelwise.storage.documents import DocumentError, read_xml, whole_number
from pixelwise.storage.stores.members import state_of

MOSAIC_SUFFIX = ".vrt"
LARGEST = 64 * 1024**2
"""Largest size of a mosaic's file in bytes: about 140,000 sources, which take ten times as much memory for a moment."""
_TYPES = {
    **{"Byte": "uint8", "Int8": "int8", "UInt16": "uint16", "Int16": "int16", "UInt32": "uint32", "Int32": "int32"},
    **{"UInt64": "uint64", "Int64": "int64", "Float32": "float32", "Float64": "float64"},
}
_MOST_BANDS, _LARGEST_SIDE = 4096, 1 << 31
_SHIFT = 0.01
"""Share of a pixel by which sources may lie beside the pixels of the mosaic: what is left of rounding."""
_ELSEWHERE = re.compile(r"/vsi|[A-Za-z][A-Za-z0-9+.-]*://|[\\/]{2}|[A-Za-z0-9_]{2,}:|\s*<", re.IGNORECASE)
"""How names begin that are none of files: addresses, archives, shares, drivers of GDAL, mosaics in the text."""
_SOURCES = ("SimpleSource", "ComplexSource")
_UNSUPPORTED = ("LUT", "Exponent", "ColorTableComponent", "OpenOptions")


class Layer(NamedTuple):
    """What a source gives to a band of the mosaic.

    Attributes:
        band: Number of the mosaic's band, from 0.
        channel: Number of the source's channel, from 0.
        nodata: Value of the source that is left out; None to take every value.
        masked: Whether what the source itself marks as missing or transparent is left out.
        constant: Value in place of those of the source; None for those.
    """

    band: int
    channel: int
    nodata: float | None = None
    masked: bool = False
    constant: float | None = None


class Piece(NamedTuple):
    """A part of a source, and where it lies in the mosaic.

    Attributes:
        file: Number of the file.
        source: (top, left) in the source.
        target: (top, left) in the mosaic.
        size: (height, width); None for all of the source.
        layers: What it gives to the bands.
    """

    file: int
    source: tuple[int, int]
    target: tuple[int, int]
    size: tuple[int, int] | None
    layers: tuple[Layer, ...]


class Band(NamedTuple):
    """A band of a mosaic.

    Attributes:
        color: GDAL's name of its colour, such as `Red`, `Alpha`, `Palette`; empty if there is none.
        fill: Value where no source lies.
        nodata: Value of missing data; None if there is none.
        palette: uint8 (n, 3) colours of the values; None if there are none.
    """

    color: str
    fill: float = 0.0
    nodata: float | None = None
    palette: np.ndarray | None = None


class Mosaic(NamedTuple):
    """The content of a mosaic's file.

    Attributes:
        size: (height, width).
        dtype: Type of the values of all bands.
        bands: The bands.
        files: The files of the sources.
        pieces: Parts of the sources; later ones lie over earlier ones.
        affine: GDAL's six numbers of the position; None if there is none.
        system: The coordinate system as WKT; empty if there is none.
    """

    size: tuple[int, int]
    dtype: np.dtype
    bands: tuple[Band, ...]
    files: tuple[Path, ...]
    pieces: tuple[Piece, ...]
    affine: tuple[float, ...] | None = None
    system: str = ""


def is_mosaic(path: Path) -> bool:
    """Whether a file is taken for a mosaic: by its name, since looking into every image would take time."""
    return path.suffix.lower() == MOSAIC_SUFFIX


def read_mosaic(path: Path) -> Mosaic:
    """Read the file of a mosaic. The sources are not opened.

    Raises:
        DataError: D101, it is damaged; D102, it is not a mosaic of GDAL; D122, it holds what is not supported, or
            sources that are not read.
    """
    try:
        root = read_xml(path, LARGEST)
    except DocumentError as error:
        raise DataError("D101", f"{printable(path)}: not a mosaic: it {error.reason}", _AGAIN) from error
    if root.tag != "VRTDataset":
        raise DataError(
            "D102", f"{printable(path)}: not a mosaic of GDAL: its root is {printable(root.tag)[:80]}", _AGAIN
        )
    return _Reader(path).mosaic(root)


def state_of_image(path: Path) -> str:
    """What changes with the content of an image's file, or with the files of a mosaic; see `state_of`.

    Raises:
        OSError: The file is inaccessible.
    """
    state = state_of(path)
    if not is_mosaic(path):
        return state
    try:
        files = read_mosaic(path).files
    except DataError:  # reading it will say what is wrong
        return state
    states = []
    for file in files:
        try:
            states.append(state_of(file))
        except OSError:
            states.append("")
    return f"{state} {sha256_bytes(repr(states).encode())}"


def unsupported(path: Path, reason: str) -> DataError:
    """D122: the mosaic has something that is not supported."""
    return DataError(
        "D122",
        f"{printable(path)}: a mosaic that cannot be read: {reason}",
        "have GDAL make an image of it, whatever it holds: gdal_translate -co TILED=YES -co COMPRESS=DEFLATE "
        "-co BIGTIFF=YES IN.vrt OUT.tif",
    )


def equal_to(values: np.ndarray, number: float) -> np.ndarray:
    """Where values are equal to a number as it is stored in their type: bool, of their shape."""
    if values.dtype.kind == "f":
        with np.errstate(over="ignore"):
            return np.isnan(values) if math.isnan(number) else values == values.dtype.type(number)
    if not float(number).is_integer() or not np.iinfo(values.dtype).min <= number <= np.iinfo(values.dtype).max:
        return np.zeros(values.shape, bool)
    return values == values.dtype.type(int(number))


_AGAIN = "make it again: gdalbuildvrt MOSAIC.vrt TILES..."
_Sourced = tuple[Piece, Layer]


class _Reader:
    """Reads the elements of one mosaic."""

    def __init__(self, path: Path) -> None:
        self._path, self._files = path, dict[Path, int]()

    def mosaic(self, root: Element) -> Mosaic:
        """The mosaic of the root element."""
        if root.get("subClass"):
            raise unsupported(self._path, f"it is a {printable(str(root.get('subClass')))[:80]}, not a list of images")
        height, width = (self._whole(root.get(key), key) for key in ("rasterYSize", "rasterXSize"))
        if not (0 < height < _LARGEST_SIDE and 0 < width < _LARGEST_SIDE):
            raise self._damaged(f"its size is {width}x{height}")
        elements = root.findall("VRTRasterBand")
        if not 0 < len(elements) <= _MOST_BANDS:
            raise self._damaged(f"it has {len(elements)} bands")
        types = {element.get("dataType", "Byte") for element in elements}
        if len(types) > 1 or not types <= _TYPES.keys():
            names = ", ".join(sorted(printable(one)[:40] for one in types))
            raise unsupported(self._path, f"its bands are of type {names}; expected one type of real numbers")
        sources = [list(self._sources(element, number)) for number, element in enumerate(elements)]
        for mask in root.findall("MaskBand"):
            self._require_plain_mask(mask, sources)
        return Mosaic(
            size=(height, width),
            dtype=np.dtype(_TYPES[types.pop()]),
            bands=tuple(self._band(element) for element in elements),
            files=tuple(self._files),
            pieces=_merged(sources),
            affine=self._affine(root.findtext("GeoTransform")),
            system=(root.findtext("SRS") or "").strip(),
        )

    def _band(self, element: Element) -> Band:
        nodata = self._number(element.findtext("NoDataValue"))
        hidden = (element.findtext("HideNoDataValue") or "0").strip() not in ("0", "")
        entries = element.findall("ColorTable/Entry")
        palette = None
        if entries:
            colors = [[self._whole(entry.get(key), key) for key in ("c1", "c2", "c3")] for entry in entries]
            palette = np.clip(np.array(colors), 0, 255).astype(np.uint8)
        color = (element.findtext("ColorInterp") or "").strip()
        return Band(color, 0.0 if nodata is None else nodata, None if hidden else nodata, palette)

    def _sources(self, element: Element, band: int) -> Iterator[_Sourced]:
        """The sources of a band, one after another."""
        kind = element.get("subClass", "VRTSourcedRasterBand")
        if kind != "VRTSourcedRasterBand":
            raise unsupported(self._path, f"band {band + 1} is a {printable(kind)[:80]}, not a list of images")
        for source in element:
            if source.tag.endswith("Source"):
                if source.tag not in _SOURCES:
                    raise unsupported(self._path, f"band {band + 1} has a {printable(source.tag)[:80]}")
                yield self._piece(source), self._layer(source, band)

    def _piece(self, source: Element) -> Piece:
        named = source.find("SourceFilename")
        if named is None or not (named.text or "").strip():
            raise self._damaged("a source has no SourceFilename")
        file = self._files.setdefault(self._file(named), len(self._files))
        rectangles = [source.find(tag) for tag in ("SrcRect", "DstRect")]
        if rectangles == [None, None]:
            return Piece(file, (0, 0), (0, 0), None, ())
        here, there = (self._rectangle(one) for one in rectangles)
        if any(abs(one - other) > _SHIFT for one, other in zip(here[2:], there[2:], strict=True)):
            raise unsupported(
                self._path,
                f"{printable(named.text or '')} is shown at another resolution: {here[3]:g}x{here[2]:g} of its pixels "
                f"are {there[3]:g}x{there[2]:g} of the mosaic",
            )
        top, left, height, width = (round(value) for value in here)
        moved = [round(value) for value in there[:2]]
        if any(abs(value - round(value)) > _SHIFT for value in (*here, *there)):
            raise unsupported(self._path, f"{printable(named.text or '')} lies between the pixels of the mosaic")
        return Piece(file, (top, left), (moved[0], moved[1]), (height, width), ())

    def _layer(self, source: Element, band: int) -> Layer:
        number = (source.findtext("SourceBand") or "1").strip()
        masks = re.fullmatch("mask(,[0-9]+)?", number) is not None
        channel = 0 if masks else self._whole(number, "SourceBand") - 1
        if channel < 0:
            raise self._damaged(f"SourceBand is {printable(number)[:40]}")
        found = next((tag for tag in _UNSUPPORTED if source.find(tag) is not None), None)
        offset, ratio = (self._number(source.findtext(tag)) for tag in ("ScaleOffset", "ScaleRatio"))
        constant = None
        if ratio == 0:
            constant = offset or 0.0  # the transparency that -addalpha gives to images without any
        elif offset or ratio not in (None, 1.0):
            found = "ScaleOffset and ScaleRatio"
        if found is not None:
            raise unsupported(self._path, f"a source of band {band + 1} has {found}, which change its values")
        masked = (source.findtext("UseMaskBand") or "").strip().lower() in ("true", "1", "yes")
        if masks and band >= 0:
            raise unsupported(self._path, f"band {band + 1} shows the mask of a source")
        return Layer(band, channel, self._number(source.findtext("NODATA")), masked, constant)

    def _require_plain_mask(self, mask: Element, sources: list[list[_Sourced]]) -> None:
        """Refuse a mask that is not made of those of the sources, which sources leave out by themselves."""
        found = [[self._piece(source) for source in band if source.tag in _SOURCES] for band in mask]
        masks = [(text or "").strip().startswith("mask") for text in (one.text for one in mask.iter("SourceBand"))]
        own = [[piece for piece, layer in band if layer.masked] for band in sources]
        if not all(masks) or len(found) != 1 or any(pieces != found[0] for pieces in own):
            raise unsupported(self._path, "it has a mask of its own, other than those of its images")

    def _file(self, named: Element) -> Path:
        text = (named.text or "").strip()
        drive = re.match(r"[A-Za-z]:[\\/]", text)
        if "\0" in text or (drive is None and _ELSEWHERE.match(text)):
            raise unsupported(
                self._path, f"the source {printable(text)[:200]} is not a file of this machine, or needs GDAL"
            )
        if Path(text).suffix.lower() == MOSAIC_SUFFIX:
            raise unsupported(self._path, f"the source {printable(text)[:200]} is a mosaic itself")
        relative = (named.get("relativeToVRT") or "0").strip() == "1"
        return self._path.parent / text if relative else Path(text)

    def _rectangle(self, element: Element | None) -> tuple[float, float, float, float]:
        """Top, left, height and width."""
        if element is None:
            raise self._damaged("a source has only one of SrcRect and DstRect")
        top, left, height, width = (self._number(element.get(key)) for key in ("yOff", "xOff", "ySize", "xSize"))
        if top is None or left is None or height is None or width is None:
            raise self._damaged(f"a {element.tag} lacks a number")
        if not all(abs(value) < _LARGEST_SIDE for value in (top, left, height, width)) or min(height, width) <= 0:
            raise self._damaged(f"a {element.tag} is {width:g}x{height:g} at {left:g}, {top:g}")
        return top, left, height, width

    def _affine(self, text: str | None) -> tuple[float, ...] | None:
        if text is None or not text.strip():
            return None
        found = tuple(self._number(part) for part in text.split(","))
        numbers = tuple(value for value in found if value is not None and math.isfinite(value))
        if len(found) != 6 or len(numbers) != 6:
            raise self._damaged("its GeoTransform is not six numbers")
        return numbers

    def _number(self, text: str | None) -> float | None:
        if text is None or not text.strip():
            return None
        try:
            return float(text.strip()[:100])
        except ValueError:
            raise self._damaged(f"{printable(text)[:80]!r} is not a number") from None

    def _whole(self, text: str | None, name: str) -> int:
        found = whole_number((text or "").strip())
        if found is None:
            raise self._damaged(f"{name} is {printable(text or 'missing')[:40]}; expected a whole number")
        return found

    def _damaged(self, reason: str) -> DataError:
        return DataError("D101", f"{printable(self._path)}: a damaged mosaic: {reason}", _AGAIN)


def _merged(sources: list[list[_Sourced]]) -> tuple[Piece, ...]:
    """The parts of all bands; those of bands with the same parts are read together."""
    first = [piece for piece, _ in sources[0]]
    if all([piece for piece, _ in band] == first for band in sources[1:]):
        return tuple(
            piece._replace(layers=tuple(band[number][1] for band in sources)) for number, piece in enumerate(first)
        )
    return tuple(piece._replace(layers=(layer,)) for band in sources for piece, layer in band)
