"""Recognises data that Pixelwise does not read: exports of other tools, boxes, volumes, databases.

Asked only where nothing was found, so that a folder gets a sentence of its own instead of a list of all formats.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pixelwise.datasets.layouts.listing import is_hidden
from pixelwise.errors import DataError
from pixelwise.storage import printable
from pixelwise.storage.documents import peek

_DEPTH = 4
_MOST_FILES = 5000
_PEEKED = 5
_LENGTH = 2**18


class _Sign(NamedTuple):
    """What gives data away: every one of these texts at the beginning of a file with one of these endings.

    For tables, the texts are names of columns.
    """

    title: str
    endings: tuple[str, ...]
    texts: tuple[bytes, ...]
    help: str


_COCO = "export it as COCO with polygons or run lengths instead"
_DATUM = "run `datum convert -if datumaro -i DIR -f coco -o OUT -- --save-media`"
_NO_OUTLINES = "boxes have no outlines: export segmentations (COCO, or masks as PNG) instead"
_JSON, _TABLE = (".json", ".geojson", ".ndjson", ".jsonl"), (".csv", ".tsv")
# The first that fits is told: the special ones come before the general ones.
_SIGNS = (
    _Sign("a V7 Darwin export", _JSON, (b"darwin", b'"annotations"'), f"in V7, {_COCO}"),
    _Sign("a V7 Darwin export", _JSON, (b'"workview_url"',), f"in V7, {_COCO}"),
    _Sign("a project of VIA 3 (VGG Image Annotator)", _JSON, (b'"xy"', b'"vid"', b'"metadata"'),
          "in VIA 3, export as COCO instead, or annotate with version 2"),
    _Sign("a Hasty export", _JSON, (b'"label_classes"', b'"export_format_version"'),
          "in Hasty (CloudFactory), export as COCO, or as semantic segmentation with PNG masks"),
    _Sign("an Encord export", _JSON, (b'"data_units"',), f"in Encord, {_COCO}"),
    _Sign("a Labelbox export", _JSON, (b'"data_row"',), "download the masks of the labels as PNG files into masks/"),
    _Sign("a Segments.ai release", _JSON, (b'"segmentation_bitmap"',),
          "export it with the SDK: `segments.utils.export_dataset(dataset, 'semantic')` writes masks as PNG"),
    _Sign("a Kili export", _JSON, (b'"jsonResponse"',), f"in Kili, {_COCO}"),
    _Sign("a SuperAnnotate export", _JSON, (b'"className"', b'"instances"'), f"with SuperAnnotate's SDK, {_COCO}"),
    _Sign("a labelU export", _JSON, (b'"polygonTool"',), f"in labelU, {_COCO}"),
    _Sign("annotations of ISAT", _JSON, (b'"ISAT"', b'"objects"'), "in ISAT, convert them to LabelMe or COCO"),
    _Sign("texts for a vision-language model (PaliGemma)", _JSON, (b'"prefix"', b'"suffix"'), _NO_OUTLINES),
    _Sign("a Datumaro data set", _JSON, (b'"dm_format_version"',), _DATUM),
    _Sign("a Datumaro data set", _JSON, (b'"items"', b'"categories"', b'"label"'), _DATUM),
    _Sign("a Scalabel export (BDD100K)", _JSON, (b'"poly2d"',),
          "convert it with `python -m bdd100k.label.to_mask`, or download the masks"),
    _Sign("outlines of Cityscapes without its masks", _JSON, (b'"imgHeight"', b'"objects"', b'"polygon"'),
          "run `csCreateTrainIdLabelImgs` of cityscapesscripts, which draws *_labelTrainIds.png"),
    _Sign("GeoJSON, as QuPath or a geographic system writes it", _JSON, (b'"Feature"', b'"geometry"'),
          "rasterise it: in QuPath with a LabeledImageServer as PNG, in QGIS with `Rasterize`"),
    _Sign("CreateML annotations", _JSON, (b'"coordinates"', b'"annotations"', b'"image"'), _NO_OUTLINES),
    _Sign("a manifest of SageMaker Ground Truth", (".manifest", *_JSON), (b'"source-ref"', b"-ref"),
          "download the images of `source-ref` into images/ and the masks of the other `-ref` into masks/"),
    _Sign("a CSV export of Label Studio", _TABLE, (b"annotation_id", b"annotator"),
          "in Label Studio, export as JSON or JSON-MIN instead"),
    _Sign("run lengths in a table, as in competitions of Kaggle", _TABLE, (b"encodedpixels",),
          "draw each row as a mask first: pixels are counted down the columns from 1, as pairs of start and length"),
    _Sign("run lengths in a table, as in competitions of Kaggle", _TABLE, (b"rle",),
          "draw each row as a mask first; the competition says in which order pixels are counted"),
    _Sign("Open Images", _TABLE, (b"maskpath", b"imageid", b"labelname"),
          "each mask belongs to one object: put those of an image into a folder of its name, masks/IMAGE/*.png"),
    _Sign("a table of boxes", _TABLE, (b"xmin", b"ymin", b"xmax", b"ymax"), _NO_OUTLINES),
    _Sign("Pascal VOC annotations of boxes", (".xml",), (b"<annotation", b"<bndbox>"), _NO_OUTLINES),
    _Sign("annotations of LabelMe's web page", (".xml",), (b"<annotation", b"<polygon>"),
          "download them as masks, or convert each polygon to a JSON file of the desktop tool"),
)  # fmt: skip

_VIA_TABLE = (b"filename", b"region_shape_attributes")
_SLICES = "Pixelwise segments two-dimensional images: write slices as PNG or TIFF files, with masks of the same names"
_FILES = "export images and masks as files into images/ and masks/, with the same names"
_ENDINGS = {
    **dict.fromkeys((".nii", ".nii.gz", ".nrrd", ".mha", ".mhd"), ("medical volumes", _SLICES)),
    **dict.fromkeys((".dcm", ".dicom"), ("DICOM files", f"convert them, for example with pydicom. {_SLICES}")),
    ".mat": (
        "MATLAB files",
        "save their labels as PNG files of class ids; for example `scipy.io.loadmat(FILE)['groundTruth'][0, 0]"
        "['Segmentation']` holds those of CrackForest",
    ),
    **dict.fromkeys((".tfrecord", ".tfrecords"), ("TFRecord files", _FILES)),
    **dict.fromkeys((".parquet", ".arrow"), ("a data set of Hugging Face or of another table store", _FILES)),
    **dict.fromkeys((".h5", ".hdf5"), ("HDF5 files", _FILES)),
    **dict.fromkeys((".zarr", ".n5"), ("Zarr arrays", _FILES)),
    **dict.fromkeys((".lmdb", ".mdb"), ("an LMDB database", _FILES)),
    ".npz": ("archives of NumPy arrays", "save each array as a file of its own: images/a.npy or .png, and masks/a.npy"),
}


def near_miss(root: Path) -> DataError | None:
    """The error that names what a folder holds and what to do with it; None if it looks like nothing known.

    Args:
        root: A folder in which no image with a mask was found.

    Returns:
        D243, with the first file that gave the data away.
    """
    peeked: dict[str, int] = {}
    by_ending: dict[str, list[Path]] = {}
    found: list[tuple[int, Path]] = []
    for path in _paths(root):
        ending = next((one for one in _ENDINGS if path.name.lower().endswith(one)), None)
        if ending is not None:
            by_ending.setdefault(ending, []).append(path)
        suffix = path.suffix.lower()
        signs = [number for number, sign in enumerate(_SIGNS) if suffix in sign.endings]
        if signs and peeked.get(suffix, 0) < _PEEKED:
            peeked[suffix] = peeked.get(suffix, 0) + 1
            content = _columns(path) if suffix in _TABLE else peek(path, _LENGTH)
            found += [(number, path) for number in signs if all(text in content for text in _SIGNS[number].texts)]
    if found:
        number, path = min(found)
        return _error(root, path, _SIGNS[number].title, _SIGNS[number].help)
    if by_ending:
        ending, paths = max(by_ending.items(), key=lambda pair: len(pair[1]))
        return _error(root, paths[0], *_ENDINGS[ending])
    return None


def is_foreign_table(path: Path) -> bool:
    """Whether the columns of a CSV file are those of another tool or of a competition, and not those of a list."""
    columns = _columns(path)
    signs = [sign.texts for sign in _SIGNS if path.suffix.lower() in sign.endings]
    return b"mask" not in columns and any(columns.issuperset(texts) for texts in (*signs, _VIA_TABLE))


def _columns(path: Path) -> set[bytes]:
    """Names of the columns of a table in lower case, by its first line."""
    header = peek(path, _LENGTH).partition(b"\n")[0].lower()
    return {cell.strip().strip(b'"') for cell in re.split(rb"[,;\t]", header)}


def _error(root: Path, path: Path, title: str, help: str) -> DataError:
    name = printable(path.relative_to(root).as_posix())
    return DataError("D243", f"{printable(root)}: holds {title} ({name}), which Pixelwise does not read", help)


def _paths(root: Path) -> Iterator[Path]:
    """Files, and folders with an ending that says what they hold; sorted by name, at most some thousands."""
    left = _MOST_FILES

    def walk(folder: Path, depth: int) -> Iterator[Path]:
        nonlocal left
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError:
            return
        for entry in entries:
            if left <= 0 or is_hidden(entry.name):
                continue
            left -= 1
            path = folder / entry.name
            if entry.is_file() or path.suffix.lower() in _ENDINGS:
                yield path
            elif depth and entry.is_dir():
                yield from walk(path, depth - 1)

    return walk(root, _DEPTH)
