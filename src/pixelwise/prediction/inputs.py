"""Input images from files, folders and patterns, and the names of the files predicted from them.

Output names depend on the inputs alone. They mirror the structure of the given folders; two images that would share a
name (`a.jpg`, `a.png`) keep their extensions (`a.jpg.png`, `a.png.png`).
"""

from __future__ import annotations

import glob
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from pixelwise.datasets.findings import Finding
from pixelwise.datasets.layouts.listing import describe_endings, list_images
from pixelwise.datasets.reading.decoding import SUFFIXES
from pixelwise.datasets.reading.regions.mosaics import MOSAIC_SUFFIX, is_mosaic
from pixelwise.datasets.shards.foreign.loose import image_at, images_below, is_image_address
from pixelwise.datasets.shards.layout import is_sharded, sharded_layout
from pixelwise.errors import DataError, RecipeError
from pixelwise.prediction.videos.recognising import named_like_video
from pixelwise.storage import printable
from pixelwise.storage.names import distinct, folded
from pixelwise.storage.stores.addresses import address_of, place_of
from pixelwise.storage.stores.braces import has_braces
from pixelwise.storage.stores.containers import names_containers

ENDINGS = (".png", ".jpg", ".tif", ".pgw", ".prj", ".mp4")
"""File extensions of outputs."""


class Input(NamedTuple):
    """An image and the name of its outputs.

    Attributes:
        path: Path of the image file.
        name: Path of the output below `masks/` or `overlays/`, without its extension.
    """

    path: Path
    name: Path


class Inputs(NamedTuple):
    """All inputs of a call.

    Attributes:
        images: Images in the given order, those of folders sorted.
        problems: Entries of folders that cannot be read (D131).
        left_out: Files of folders and patterns that are not taken for images because of their extensions.
    """

    images: list[Input]
    problems: list[Finding]
    left_out: list[Path]


def find_inputs(paths: Sequence[str | os.PathLike[str]], outputs: Sequence[Path], *, videos: bool = False) -> Inputs:
    """All images given by `paths`, and videos if they are asked for.

    Args:
        paths: Image files (with any name), folders (searched with their subfolders, without hidden files and without
            following loops of links), folders and addresses of data in shards, tars and tables of other programs,
            addresses of images and of folders of images, and patterns such as `photos/**/*.jpg`. Mosaics (`.vrt`) of a
            folder count only if it holds no other images. A path that exists is never treated as a pattern.
        outputs: Folders to which predictions are written; files inside them are not inputs.
        videos: Whether files of folders and patterns with the extension of a video are inputs, too.

    Raises:
        DataError: D223, one of `paths` yields no image; D222, D270, D272, D273 or D274, an address or shards cannot be
            read; D285, an address is that of a video.
        RecipeError: R220, one of `paths` is inside an output folder.
    """
    written = [os.path.realpath(folder) for folder in outputs]
    found: dict[str, tuple[Path, Path]] = {}
    problems: list[Finding] = []
    left_out: dict[str, Path] = {}
    for given in paths:
        path = place_of(given)
        if _is_inside(path, written):
            raise RecipeError(
                "R220",
                f"{printable(path)} is inside a folder to which predictions are written",
                "choose another `output`, so that no input is overwritten",
            )
        images, unreadable, others = _images_of(path, videos)
        images = [(file, name) for file, name in images if not _is_inside(file, written)]
        others = [file for file in others if not _is_inside(file, written)]
        if not images and not unreadable:
            raise _nothing(os.fspath(given), others)
        problems += unreadable
        left_out |= {os.path.abspath(file): file for file in others}
        for file, name in images:
            found.setdefault(os.path.abspath(file), (file, name))
    files, names = [file for file, _ in found.values()], [name for _, name in found.values()]
    images = [Input(*pair) for pair in zip(files, output_names(names), strict=True)]
    return Inputs(images, problems, [file for key, file in left_out.items() if key not in found])


def output_names(relative: Sequence[Path]) -> list[Path]:
    """Distinct output names for the images, distinct even on case-insensitive file systems.

    Args:
        relative: Paths of the images relative to the given folders.

    Returns:
        The same paths without their extensions if that is unique, else with them, and numbered if even that is not
        unique. With any of `ENDINGS` appended they are valid on every system.
    """
    stems = [path.with_suffix("").as_posix() for path in relative]
    shared = Counter(folded(stem) for stem in stems)
    # The masks of a video are in a folder of its name, which may not be that of a folder of images.
    films = any(map(named_like_video, relative))
    folders = {folded(parent.as_posix()) for path in relative for parent in path.parents} if films else set()

    def is_free(stem: str, path: Path) -> bool:
        return shared[folded(stem)] == 1 and not (folded(stem) in folders and named_like_video(path))

    named = (stem if is_free(stem, path) else path.as_posix() for path, stem in zip(relative, stems, strict=True))
    return [Path(name) for name in distinct(list(named), endings=ENDINGS)]


class _Found(NamedTuple):
    """Images with their paths relative to what was given, entries that cannot be read, and files of other kinds."""

    images: list[tuple[Path, Path]]
    problems: list[Finding]
    others: list[Path]


def _images_of(path: Path, videos: bool) -> _Found:
    if address_of(path) is not None and named_like_video(path):
        raise DataError(
            "D285",
            f"{printable(path)}: videos are read from this machine alone",
            "download it and give the file",
        )
    if is_image_address(path):
        return _Found([(image_at(path), Path(path.name))], [], [])
    if address_of(path) is not None:
        images = images_below(path)
        if images is not None:
            return _Found([(image, image.relative_to(path)) for image in images], [], [])
    if address_of(path) is not None or names_containers(path):
        return _images_of_shards(path)
    if path.is_dir():
        return _images_of_shards(path) if is_sharded(path) else _images_in(path, path, videos)
    # A dangling link or an unreadable file counts as an image: reading it reports what is wrong.
    if os.path.lexists(path):
        return _Found([(path, Path(path.name))], [], [])
    if not glob.has_magic(os.fspath(path)):
        return _Found([], [], [])
    base = Path(*_before_magic(path))
    found = _Found([], [], [])
    for match in sorted(glob.glob(os.fspath(path), recursive=True)):
        file = Path(match)
        if file.is_dir():
            below = _images_in(file, base, videos)
            found = _Found(found.images + below.images, found.problems + below.problems, found.others + below.others)
        elif file.suffix.lower() in SUFFIXES or is_mosaic(file) or (videos and named_like_video(file)):
            found.images.append((file, file.relative_to(base)))
        else:
            found.others.append(file)
    return found


def _images_of_shards(root: Path) -> _Found:
    """The images of a data set in shards, named by split and id."""
    splits = sharded_layout(root, labelled=False).splits
    images = [
        (sample.image_path, Path(*((split,) if len(splits) > 1 else ()), f"{sample.id}{sample.image_path.suffix}"))
        for split, samples in splits.items()
        for sample in samples
    ]
    return _Found(images, [], [])


def _images_in(folder: Path, base: Path, videos: bool) -> _Found:
    listing = list_images(folder)
    images = [(entry.path, entry.path.relative_to(base)) for entry in listing.entries]
    others = list(listing.others)
    if not images:
        # Beside other images a mosaic usually shows these, which would be predicted twice.
        images = [(path, path.relative_to(base)) for path in sorted(others) if is_mosaic(path)]
        others = [path for path in others if not is_mosaic(path)]
    if videos:
        # In the order of all names, so that frames that were extracted stand beside their video.
        films = [(path, path.relative_to(base)) for path in others if named_like_video(path)]
        images = sorted([*images, *films], key=lambda one: one[1].as_posix()) if films else images
        others = [path for path in others if not named_like_video(path)]
    unreadable = [problem for problem in listing.problems if problem.code == "D131"]
    return _Found(images, unreadable, others)


def refuse_missing(paths: Iterable[str | os.PathLike[str]]) -> None:
    """Refuse paths at which nothing is; patterns are not tried and folders not listed.

    Raises:
        DataError: D223, there is no such file or folder.
    """
    for given in [os.fspath(path) for path in paths]:
        known = os.path.lexists(given) or _is_address(given) or has_braces(given)
        if not glob.has_magic(given) and not known:
            raise _nothing(given, ())


def _is_address(given: str) -> bool:
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", given) is not None


def _before_magic(path: Path) -> list[str]:
    parts = []
    for part in path.parts:
        if glob.has_magic(part):
            break
        parts.append(part)
    return parts


def _nothing(given: str, others: Sequence[Path]) -> DataError:
    where, path = printable(given), Path(given)
    endings = ", ".join((*SUFFIXES, MOSAIC_SUFFIX))
    found = f"; found: {describe_endings(others)}" if others else ""
    if path.is_dir():
        return DataError(
            "D223",
            f"{where}: no image in this folder or below it; looked for names ending in {endings}{found}",
            "give a folder that contains images, or name the files themselves: a named file is read whatever its name",
        )
    if glob.has_magic(os.fspath(path)):
        return DataError(
            "D223",
            f"{where}: no image matches this pattern; looked for names ending in {endings}{found}",
            "convert these files to PNG or JPEG"
            if others
            else "`**` stands for any number of folders, as in 'photos/**/*.jpg'; quote the pattern",
        )
    if _is_address(given):
        return DataError("D223", f"{where}: is an address, not a file", "download the image and give its path")
    return DataError("D223", f"{where}: no such file or folder", "check the spelling")


def _is_inside(path: Path, folders: Sequence[str]) -> bool:
    real = Path(os.path.realpath(path))
    return any(real.is_relative_to(folder) for folder in folders)
