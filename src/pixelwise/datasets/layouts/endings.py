"""Names the files of a folder that are no images, by their endings, and says what to do with them."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

from pixelwise.datasets.layouts.listing import is_hidden
from pixelwise.datasets.reading.bands import ARRAY_SUFFIX
from pixelwise.datasets.reading.decoding import SUFFIXES
from pixelwise.storage import printable

_ARCHIVE = "unpack it"
_ADVICE = {
    **dict.fromkeys((".zip", ".tar", ".tgz", ".gz", ".7z", ".rar", ".bz2", ".xz", ".zst"), _ARCHIVE),
    ".mat": "MATLAB: save the labels as PNG files of class ids (scipy.io.loadmat reads them)",
    **dict.fromkeys((".npz", ".pkl", ".pickle", ".pt", ".pth"), "save each array as a .npy file of class ids"),
    **dict.fromkeys((".h5", ".hdf5", ".lmdb", ".mdb", ".tfrecord", ".parquet"), "export the images and masks as files"),
    **dict.fromkeys((".dcm", ".nii", ".mha", ".nrrd"), "medical images: export slices as PNG or TIFF"),
    **dict.fromkeys((".heic", ".heif", ".avif", ".jxl"), "convert them to PNG or JPEG"),
    **dict.fromkeys((".mp4", ".avi", ".mov", ".mkv", ".webm"), "videos: extract the frames as images"),
    **dict.fromkeys((".psd", ".xcf", ".svg", ".ai", ".eps", ".pdf"), "export them as PNG"),
    **dict.fromkeys((".shp", ".geojson", ".gpkg", ".kml"), "outlines on a map: rasterise them to masks"),
}
_SHOWN = 3


def endings_in(folder: Path) -> Counter[str]:
    """Lower-case ending -> number of files directly in `folder` that are no images; empty if it cannot be listed."""
    try:
        names = [entry.name for entry in os.scandir(folder) if entry.is_file()]
    except OSError:
        return Counter()
    endings = (os.path.splitext(name)[1].lower() for name in names if not is_hidden(name))
    return Counter(ending for ending in endings if ending not in (*SUFFIXES, ARRAY_SUFFIX))


def other_files(folder: Path) -> tuple[str, str]:
    """`118 .mat` for the files of a folder that are no images, and what to do with them; both may be empty."""
    found = [(ending or "without an ending", number) for ending, number in endings_in(folder).most_common(_SHOWN)]
    words = ", ".join(f"{number} {printable(ending)}" for ending, number in found)
    advice = dict.fromkeys(f"{ending}: {_ADVICE[ending]}" for ending, _ in found if ending in _ADVICE)
    return words, "; ".join(advice)
