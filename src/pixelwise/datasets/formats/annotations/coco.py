"""Custom annotations in COCO's JSON format: polygons or run-length encodings of any categories.

    train/_annotations.coco.json train/a.jpg valid/...      (Roboflow)
    annotations/instances_train2017.json train2017/...      (COCO's own layout)
    annotations/instances_train.json images/...             annotations.json images/...

The name of the JSON file, of its folder or of a folder above the image gives the split; without any, the images are
divided into train and val. Categories become classes in the order of their ids, after `background`. Where objects
overlap, the smaller one lies on top; of equal areas, the one with the larger id. Boxes without an outline are left out.
An image may be listed several times, in one file or in several (a file per class): its objects are drawn together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from pixelwise.datasets.findings import Finding, finding
from pixelwise.datasets.format import ANNOTATIONS, Format, Miniature, Scenes, register
from pixelwise.datasets.layouts.coco_file import Annotation, File, Image, is_coco, read_coco, unlike_coco
from pixelwise.datasets.layouts.layout import Layout
from pixelwise.datasets.layouts.listing import Entry, list_images, subfolders
from pixelwise.datasets.layouts.merging import merged
from pixelwise.datasets.layouts.named_images import Match, NamedImages, Wanted
from pixelwise.datasets.layouts.outlines import Broken, Picture, Read, Shape, draw, drawn_layout, unannotated
from pixelwise.datasets.layouts.rasterising import draw_polygon, draw_runs, outline_of
from pixelwise.datasets.layouts.words import SPLIT_NAMES, named_split, split_of
from pixelwise.datasets.layouts.writing import write_image
from pixelwise.storage import json_text, printable, write_text
from pixelwise.storage.documents import DocumentError, reading


class _Listed(NamedTuple):
    """One entry of a file's `images`, with the image that it names."""

    file: Path
    split: str | None
    image: Image
    match: Match


def coco_own_layout(root: Path) -> Layout | None:
    """The layout of `root`, or None if it holds no JSON file in COCO's format.

    Raises:
        DataError: D230, a JSON file is damaged.
        ResourceError: S601, the disk of the cache folder is full.
    """
    candidates = _candidates(root)
    files = [path for path in candidates if is_coco(path)]
    if not files:
        return None
    listing = list_images(root)
    read = {file: read_coco(file) for file in files}
    sources = [*files, *(entry.path for entry in listing.entries)]
    listed = _listed(root, read, listing.entries)
    drawn = draw("coco", root, sources, lambda: merged(_pictures(root, read, listed)))
    named = {one.match.entry.path for one in listed if one.match.entry is not None}
    without = unannotated(listing.entries, drawn, "entry in a JSON file", named.__contains__)
    return drawn_layout(
        "coco",
        f"COCO's JSON format: {', '.join(printable(file.relative_to(root).as_posix()) for file in files[:3])}, "
        "drawn as masks into the cache folder",
        root,
        drawn,
        _names(read.values()),
        [
            *listing.problems,
            *_not_used([path for path in candidates if path not in read]),
            *(problem for file, found in read.items() for problem in _kinds_of_ids(file, found)),
            *without,
        ],
    )


def _candidates(root: Path) -> list[Path]:
    folders = [root, *(path for name, path in subfolders(root).items() if name in ("annotations", *SPLIT_NAMES))]
    return [path for folder in folders for path in sorted(folder.glob("*.json")) if path.is_file()]


def _not_used(files: Sequence[Path]) -> list[Finding]:
    """W223 for JSON files in another format beside those that are read.

    Raises:
        DataError: D230, one of them is damaged.
    """
    left_out = [printable(path) for path in files if unlike_coco(path)]
    if not left_out:
        return []
    return [
        finding(
            "W223",
            f"{len(left_out)} JSON files without images, annotations and categories are not used, e.g. {left_out[0]}",
            left_out,
            "export them as `COCO instances` if they hold annotations of these images; otherwise ignore this warning",
        )
    ]


def _kinds_of_ids(file: Path, found: File) -> list[Finding]:
    """W224 if annotations write the ids of images or categories otherwise than these do: as text, or as numbers."""
    problems = []
    for field, ids, used in (
        ("image_id", found.images, [one.image_id for one in found.annotations]),
        ("category_id", found.categories, [one.category_id for one in found.annotations]),
    ):
        other = {isinstance(one.id, str) for one in ids}
        changed = [id for id in used if isinstance(id, str) not in other]
        if changed and other:
            kind = "text" if isinstance(changed[0], str) else "a number"
            problems.append(
                finding(
                    "W224",
                    f"{printable(file)}: {len(changed)} of {len(used)} annotations give {field} as {kind}, unlike the "
                    f"id that it refers to, e.g. {changed[0]!r}; text and numbers of the same digits count as equal",
                    [printable(file)],
                    "no action is needed if the objects lie on the right images; other programs may read none of them",
                )
            )
    return problems


def _names(files: Iterable[File]) -> list[str]:
    """Category names in the order of their ids, without unused supercategories (Roboflow's first category)."""
    found = list(files)
    used = {(number, one.category) for number, file in enumerate(found) for one in file.annotations}
    groups = {category.supercategory for file in found for category in file.categories}
    categories = [
        (category.order, number, category.name)
        for number, file in enumerate(found)
        for category in file.categories
        if (number, category.key) in used or category.name not in groups
    ]
    return list(dict.fromkeys(name for _, _, name in sorted(categories)))


def _listed(root: Path, files: dict[Path, File], entries: Sequence[Entry]) -> list[_Listed]:
    """All entries of all files, with their images."""
    images = NamedImages(entries, root)
    own = [(file, _split(file.with_suffix(""), root), image) for file, found in files.items() for image in found.images]
    wanted = []
    for file, split, image in own:
        of_split = (root / split, root / "images" / split) if split else ()
        wanted.append(Wanted(image.names, file, (root, root / "images", *of_split), split))
    return [
        _Listed(file, split, image, match)
        for (file, split, image), match in zip(own, images.find_all(wanted), strict=True)
    ]


def _pictures(root: Path, files: dict[Path, File], listed: Sequence[_Listed]) -> Iterator[Read]:
    objects: dict[Path, dict[str, list[Annotation]]] = {}
    for file, found in files.items():
        of_image = objects.setdefault(file, {})
        for annotation in found.annotations:
            of_image.setdefault(annotation.image, []).append(annotation)
        yield from (Broken(file, reason) for reason in _without_image(found))
    shared = {file: _shared_ids(found) for file, found in files.items()}
    names = {file: _names_by_id(found) for file, found in files.items()}
    for file, split, image, match in listed:
        if match.entry is None:
            yield Broken(file, f"image {printable(image.name)} {match.reason}")
            continue
        path = match.entry.path
        try:
            with reading(file):
                if image.key in shared[file]:
                    raise ValueError(shared[file][image.key])
                shapes, skipped = _shapes(objects[file].get(image.key, ()), names[file])
                size = image.size
        except DocumentError as error:
            yield Broken(file, f"image {printable(image.name)}: {error.reason}", path)
            continue
        own = split or split_of(path.relative_to(root).parts[:-1])
        elsewhere = image.name if match.elsewhere else ""
        yield Picture(own, match.entry.key, path, size, shapes, file, skipped, True, elsewhere)


def _without_image(found: File) -> Iterator[str]:
    """That annotations belong to no image; follows the file's name in a message."""
    known = {image.key for image in found.images}
    lost = [one for one in found.annotations if one.image not in known]
    if lost:
        yield (
            f"{len(lost)} of {len(found.annotations)} annotations belong to no image, e.g. annotation {lost[0].id} "
            f"with image_id {printable(lost[0].image)}, which no entry of `images` has as its id"
        )


def _shared_ids(found: File) -> dict[str, str]:
    """The ids that several images have -> that they do; follows the image's name in a message."""
    names: dict[str, dict[tuple[str, ...], str]] = {}
    for image in found.images:
        names.setdefault(image.key, {}).setdefault(image.names, printable(image.name))
    return {
        key: f"its id {printable(key)} is also that of another image ({', '.join(list(of_id.values())[:3])}), so it is "
        "unknown which one the annotations belong to"
        for key, of_id in names.items()
        if len(of_id) > 1
    }


def _names_by_id(found: File) -> dict[str, list[str]]:
    """Id of a category -> its name; several names if the file contradicts itself."""
    names: dict[str, list[str]] = {}
    for category in found.categories:
        of_id = names.setdefault(category.key, [])
        of_id += [category.name] if category.name not in of_id else []
    return names


def _split(path: Path, root: Path) -> str | None:
    """The split named by a word in a path, the last part first: `train2017/` is train."""
    return named_split(path.relative_to(root).parts)


def _shapes(objects: Sequence[Annotation], names: dict[str, list[str]]) -> tuple[list[Shape], list[str]]:
    """Shapes in the order of the annotations' ids, and the kinds of those without an outline.

    Raises:
        ValueError: An annotation is invalid; the message names it.
    """
    shapes: list[Shape] = []
    skipped = []
    for one in sorted(objects, key=lambda annotation: str(annotation.id).zfill(20)):
        try:
            outline = outline_of(msgspec.json.decode(one.segmentation))
        except (ValueError, RecursionError) as error:
            raise ValueError(f"annotation {one.id}: segmentation: {error}") from error
        if outline is None:
            skipped.append("box")
        elif one.category not in names:
            raise ValueError(f"annotation {one.id}: category {printable(one.category)} does not exist")
        elif len(names[one.category]) > 1:
            both = "' and '".join(printable(name) for name in names[one.category][:2])
            raise ValueError(f"annotation {one.id}: the categories '{both}' have the same id {one.category}")
        else:
            identity = msgspec.json.encode(outline)
            shapes.append(Shape(names[one.category][0], partial(_pixels, one.id, outline), identity))
    return shapes, skipped


def _pixels(id: Any, outline: list[Any], height: int, width: int) -> np.ndarray:
    mask = np.zeros((height, width), bool)
    try:
        for part in outline:
            if isinstance(part, dict):
                mask |= draw_runs(part.get("counts"), part.get("size"), height, width)
            else:
                draw_polygon(part, mask)
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(f"annotation {id}: segmentation: {error}") from error
    return mask


def _write(root: Path, scenes: Scenes) -> None:
    categories = [{"id": number, "name": name} for number, name in enumerate(scenes.classes) if number]
    for split, members in scenes.splits.items():
        images, annotations = [], []
        for number, scene in enumerate(members):
            (height, width), file = scene.labels.shape, f"{number:04d}.png"
            write_image(root / split / file, scene.image)
            images.append({"id": number, "file_name": file, "height": height, "width": width})
            for class_id, left, top, right, bottom in scene.boxes:
                outline = [[left, top, right, top, right, bottom, left, bottom]]
                one = {"image_id": number, "category_id": class_id, "segmentation": outline}
                annotations.append({"id": len(annotations) + 1, **one})
        content = {"images": images, "annotations": annotations, "categories": categories}
        write_text(root / split / "_annotations.coco.json", json_text(content))


register(
    Format(
        name="coco",
        title="COCO JSON",
        expected="a JSON file in COCO's format (images, annotations, categories) beside the images or in annotations/",
        layout=coco_own_layout,
        recognise=lambda root: any(is_coco(path) for path in _candidates(root)),
        priority=ANNOTATIONS,
        drawn=True,
        miniature=Miniature(write=_write, boxes=True),
    )
)
