"""One mask file per object: a folder of masks for every image.

    a1/images/a1.png     a1/masks/0.png a1/masks/1.png ...        a folder per image, as in Data Science Bowl 2018
    images/a1.png        masks/a1/0.png masks/a1/1.png ...        or one folder of images
    images/train/a1.png  masks/train/a1/car_0.png ...             with splits, and with class names
    images/a1.png        masks/a1_0.png masks/a1_1.png ...        or one folder of masks, numbered after their image

The mask of an image is the union of its objects, everything that is not black, as class `object` on `background`. If
all file names consist of a word and perhaps a number (`car_01.png`), or all masks lie in folders of their own
(`masks/a1/car/01.png`), these words are the classes; where objects of several classes overlap, the smaller object is on
top. `ignore` marks ignored pixels. An image without any mask is left out, because nothing says that it was annotated.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pixelwise.datasets.findings import Finding, finding
from pixelwise.datasets.format import MASKS, Format, Miniature, Scenes, register
from pixelwise.datasets.labels import LabelTable
from pixelwise.datasets.layouts.layout import Layout
from pixelwise.datasets.layouts.listing import Entry, Listing, image_stems, list_images, subfolders
from pixelwise.datasets.layouts.outlines import (
    IGNORED_LABEL,
    Broken,
    Picture,
    Read,
    Shape,
    Unused,
    draw,
    drawn_layout,
    unannotated,
)
from pixelwise.datasets.layouts.words import SPLIT_NAMES, named_split, split_of
from pixelwise.datasets.layouts.writing import write_image
from pixelwise.datasets.reading.masks import load_mask
from pixelwise.errors import DataError
from pixelwise.storage import printable

OBJECT = "object"
"""Class of all objects if the names of their masks name none."""
_IMAGES = ("images", "image", "imgs", "img")
_MASKS = ("masks", "mask", "instances", "instance_masks", "annotations", "labels")
_IGNORE = "ignore"
_NUMBERED = re.compile(r"([^\W\d_](?:[^\W\d]|[ -])*?)[_\- ]*(?:\(?\d+\)?)?")
# Words that tools write before the number of an object of any class.
_NO_CLASS = {
    "mask", "masks", "instance", "inst", "object", "obj", "label", "labels", "id", "seg", "segment", "segmentation",
    "gt", "image", "img", "layer", "annotation", "annotations", "region", "roi", "component", "no", "nr", "number",
}  # fmt: skip
_ENDING = re.compile(r"(?:[^\W\d_]+[_\-. ]*)?\d+")
_SEPARATOR = re.compile(r"[_\-. ]")
_PROBED = 3
_DEPTH = 2


class _Place(NamedTuple):
    """A folder of images and that of their masks, both below `folder`; `alone`: they belong to a single image."""

    folder: Path
    images: Path
    masks: Path | None
    alone: bool


class _Case(NamedTuple):
    """An image, its id and split, and its masks with their path below its folder of masks."""

    image: Path
    key: str
    split: str | None
    masks: Sequence[Entry]


class _Found(NamedTuple):
    cases: list[_Case]
    left_out: list[Read]
    listings: list[Listing]


def instances_layout(root: Path) -> Layout | None:
    """The layout of `root`, or None if no image has a folder of masks of its objects.

    Raises:
        ResourceError: S601, the disk of the cache folder is full.
    """
    found = _find(root)
    if not _several_masks(found.cases):
        return None
    files = [path for case in found.cases for path in (case.image, *(entry.path for entry in case.masks))]
    label_of, naming, named = _labels(found.cases)
    drawn = draw("instances", root, [*files, *_sources(found.left_out)], lambda: _pictures(found, label_of))
    problems = [*naming, *(problem for listing in found.listings for problem in listing.problems)]
    entries = [Entry(case.key, case.image) for case in found.cases if not case.masks]
    problems += unannotated(entries, drawn, "mask of an object")
    how = "classes by the names of the masks" if named else f"their union as class '{OBJECT}'"
    return drawn_layout(
        "instances",
        f"one mask per object: {how}, drawn as masks into the cache folder",
        root,
        drawn,
        problems=problems,
    )


def _sources(left_out: Iterable[Read]) -> list[Path]:
    return [one.file for one in left_out if isinstance(one, Broken | Unused)]


def _looks_like_instances(root: Path) -> bool:
    """Whether one of the first folders holds several masks of one image; cheap enough to try on every folder."""
    return any(
        _several_masks(_cases_of(place, root, [], []))
        for place in _places(root, most=_PROBED)
        if place.masks is not None and (place.alone or _folders_like_images(place) or _numbered_like_images(place))
    )


def _folders_like_images(place: _Place) -> bool:
    """Whether a folder below the masks has the name of an image; only names are read."""
    folders = subfolders(place.masks) if place.masks is not None else {}
    below = {name for key, folder in folders.items() for name in (subfolders(folder) if key in SPLIT_NAMES else (key,))}
    images = (place.images, *subfolders(place.images).values()) if below else ()
    return any(stem.lower() in below for folder in images for stem in image_stems(folder))


def _numbered_like_images(place: _Place) -> bool:
    """Whether all masks have the name of an image and a number, and none has the name alone; only names are read."""
    if place.masks is None:
        return False
    splits = [folder for name, folder in subfolders(place.masks).items() if name in SPLIT_NAMES]
    masks = [stem for folder in (place.masks, *splits) for stem in image_stems(folder)]
    folders = (place.images, *subfolders(place.images).values()) if masks else ()
    images = {stem for folder in folders for stem in image_stems(folder)}
    return bool(masks) and all(stem not in images and _image_of(stem, images) is not None for stem in masks)


def _image_of(mask: str, images: Container[str]) -> str | None:
    """The longest name of an image that a mask's name continues with a number (`a1_0`, `a1_mask_0`, `a1-car-0`)."""
    for found in reversed(list(_SEPARATOR.finditer(mask))):
        if mask[: found.start()] in images and _ENDING.fullmatch(mask, found.end()):
            return mask[: found.start()]
    return None


def _places(folder: Path, depth: int = _DEPTH, most: int | None = None) -> Iterator[_Place]:
    """The folders of images with their folders of masks, at most two folders down."""
    inner = subfolders(folder)
    masks = next((inner[name] for name in _MASKS if name in inner), None)
    images = next((inner[name] for name in _IMAGES if name in inner), folder if masks is not None else None)
    if images is not None:
        # `train/images` with `train/masks/a1/` holds a split, `a1/images` with `a1/masks` an image.
        shared = depth == _DEPTH or folder.name.lower() in SPLIT_NAMES
        yield _Place(folder, images, masks, not (shared or _is_of_many(images, masks)))
    elif depth:
        for below in list(inner.values())[:most]:
            yield from _places(below, depth - 1, most)


def _is_of_many(images: Path, masks: Path | None) -> bool:
    """Whether folders below the masks are named like the images: those of a class are not."""
    folders = subfolders(masks) if masks is not None else {}
    return any(stem.lower() in folders for stem in (image_stems(images) if folders else ()))


def _find(root: Path) -> _Found:
    left_out: list[Read] = []
    listings: list[Listing] = []
    cases = [case for place in _places(root) for case in _cases_of(place, root, left_out, listings)]
    return _Found(cases, left_out, listings)


def _cases_of(place: _Place, root: Path, left_out: list[Read], listings: list[Listing]) -> list[_Case]:
    """The images of a place with their masks; what belongs to no image is added to `left_out`."""
    images = list_images(place.images)
    masks = list_images(place.masks) if place.masks is not None else Listing([], [])
    listings += [images] if place.images == place.folder else [images, masks]
    found = [entry for entry in images.entries if not (place.masks and entry.path.is_relative_to(place.masks))]
    above = place.folder.relative_to(root).parts
    if not place.alone:
        return _of_shared_folder(place, found, masks.entries, above, left_out)
    if len(found) == 1:
        return [_Case(found[0].path, "/".join(map(printable, above)), named_split(above[:-1]), masks.entries)]
    if found or masks.entries:
        reason = f"holds {len(found)} images; expected one, with the masks of its objects in a folder beside it"
        left_out.append(Broken(place.images, reason))
    return []


def _of_shared_folder(
    place: _Place, images: Sequence[Entry], masks: Sequence[Entry], above: tuple[str, ...], left_out: list[Read]
) -> list[_Case]:
    """Images of one folder, each with the masks in the folder of its name, with or without a folder per class."""
    of_image: dict[str, list[Entry]] = {entry.key: [] for entry in images}
    # Only the images or only the masks may be divided into splits; the rest of the path decides if it is unique.
    ends = Counter(_without_split(key) for key in of_image)
    by_end = {_without_split(key): key for key in of_image if ends[_without_split(key)] == 1}
    strays: dict[str, Path] = {}
    for entry in masks:
        parts = entry.key.split("/")
        for end in range(len(parts) - 1, 0, -1):
            folder = "/".join(parts[:end])
            key = folder if folder in of_image else by_end.get(_without_split(folder))
            if key is not None:
                of_image[key].append(Entry("/".join(parts[end:]), entry.path))
                break
        else:
            key = _image_of(entry.key, of_image)
            if key is not None:
                of_image[key].append(Entry(parts[-1], entry.path))
                continue
            strays.setdefault("/".join(parts[:-1]), entry.path)
    for folder, path in sorted(strays.items()):
        text = f"the masks in {printable(folder)}/ belong to no image" if folder else "lies in no folder of an image"
        left_out.append(Broken(path, text) if folder else Unused(path, text))
    cases = []
    for image in images:
        found = of_image[image.key]
        paths = (path.relative_to(place.folder).parts[:-1] for path in (image.path, *(one.path for one in found[:1])))
        split = next((name for path in paths if (name := split_of(path))), None) or named_split(above)
        cases.append(_Case(image.path, "/".join((*map(printable, above), image.key)), split, found))
    return cases


def _without_split(key: str) -> str:
    first, slash, rest = key.partition("/")
    return rest if slash and first.lower() in SPLIT_NAMES else key


def _several_masks(cases: Sequence[_Case]) -> bool:
    """Whether these are masks of objects; with a single mask per image, it may as well hold class ids."""
    return any(len(case.masks) > 1 for case in cases)


def _labels(cases: Sequence[_Case]) -> tuple[Mapping[Path, str], list[Finding], bool]:
    """The label of every mask, what to say about their names, and whether the labels are those of the names."""
    masks = [(case, entry) for case in cases for entry in case.masks]
    nested = [entry for _, entry in masks if "/" in entry.key]
    if len(nested) == len(masks):
        words = [entry.key.split("/")[0] for entry in nested]
    else:
        words = [_word(entry, case) for case, entry in masks]
    counts = Counter(word for word in words if word)
    # Names that hardly repeat are not classes.
    repeated = bool(counts) and (len(counts) == 1 or 2 * len(counts) <= counts.total())
    if repeated and all(words):
        named = {entry.path: word for (_, entry), word in zip(masks, words, strict=True)}
        return {path: IGNORED_LABEL if word.lower() == _IGNORE else word for path, word in named.items()}, [], True
    problems = []
    if repeated and len(counts) > 1:
        nameless = [printable(entry.path) for (_, entry), word in zip(masks, words, strict=True) if not word]
        text = f"the names of {len(nameless)} masks name no class, e.g. {nameless[0]}; those of the others do, e.g. "
        text += f"'{printable(next(iter(counts)))}'. All objects are one class, '{OBJECT}'"
        help = "name all masks like `car_01.png` to have the words as classes"
        problems.append(finding("W244", text, nameless, help))
    return dict.fromkeys((entry.path for _, entry in masks), OBJECT), problems, False


def _word(mask: Entry, case: _Case) -> str:
    """The class in the name of a mask (`car_01`, `a1_car_01`); empty if it holds none."""
    stem = mask.path.stem
    if stem.startswith(case.image.stem):
        stem = stem.removeprefix(case.image.stem).lstrip("_- ")
    found = _NUMBERED.fullmatch(stem)
    word = found[1] if found is not None else ""
    return "" if len(word) < 2 or word.lower() in _NO_CLASS else word


def _pictures(found: _Found, label_of: Mapping[Path, str]) -> Iterator[Read]:
    yield from found.left_out
    several = len(set(label_of.values())) > 1
    splits = {case.split for case in found.cases if case.masks}
    for case in found.cases:
        if case.masks:
            shapes = [Shape(label_of[entry.path], partial(_pixels, entry.path)) for entry in case.masks]
            # A training folder alone is divided.
            split = None if splits == {"train"} else case.split
            yield Picture(split, case.key, case.image, None, shapes, case.masks[0].path.parent, smaller_on_top=several)


def _pixels(path: Path, height: int, width: int) -> np.ndarray:
    """The pixels of one object, bool (height, width).

    Raises:
        ValueError: The mask cannot be read, has another size, or holds more than two values.
    """
    try:
        raw = load_mask(path, LabelTable(), max_pixels=2 * height * width)
    except DataError as error:
        raise ValueError(error.message) from error
    values = raw.values
    if values.shape[:2] != (height, width):
        raise ValueError(
            f"{printable(path.name)} is {values.shape[1]}x{values.shape[0]} (WxH), its image {width}x{height}"
        )
    if not raw.lossless:
        raise ValueError(f"{printable(path.name)} is a {raw.encoding} file, whose compression blurs black and white")
    inside: np.ndarray = values != 0 if values.ndim == 2 else np.any(values, axis=2)
    objects = values[inside]
    if len(objects) and (objects != objects[0]).any():
        raise ValueError(f"{printable(path.name)} holds several values besides 0; expected the mask of one object")
    return inside


def _write(root: Path, scenes: Scenes) -> None:
    """Write a folder per image; every rectangle is a mask of its own."""
    for split, members in scenes.splits.items():
        for number, scene in enumerate(members):
            folder = root / split / f"{number:04d}"
            write_image(folder / "images" / f"{number:04d}.png", scene.image)
            for index, box in enumerate(scene.boxes):
                mask = np.zeros(scene.labels.shape, np.uint8)
                mask[box.top : box.bottom, box.left : box.right] = 255
                write_image(folder / "masks" / f"{scenes.classes[box.class_id]}_{index:02d}.png", mask)


register(
    Format(
        name="instances",
        title="one mask per object",
        expected="a folder of masks for every image: a1/images/a1.png with a1/masks/*.png, or images/a1.png with "
        "masks/a1/*.png",
        layout=instances_layout,
        recognise=_looks_like_instances,
        priority=MASKS + 1,
        drawn=True,
        miniature=Miniature(write=_write, boxes=True),
    )
)
