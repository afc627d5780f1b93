"""CVAT exports: `CVAT for images 1.1` (one XML file of shapes) and `Segmentation mask 1.1` (RGB masks).

    annotations.xml   images/a.jpg ...
    labelmap.txt   SegmentationClass/a.png   JPEGImages/a.jpg   ImageSets/Segmentation/{train,val}.txt

Several XML files, such as one per job, are read together. Shapes are drawn in z-order, later ones over earlier ones.
Boxes, polygons, ellipses and brush masks have an area; points, polylines, skeletons and cuboids are left out. If no
list is named after a split (a lone `default.txt`, say), the images are divided into train and val. Classes keep the
order of the label list.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np

from pixelwise.datasets.findings import Finding, finding
from pixelwise.datasets.format import ANNOTATIONS, LISTS, Format, Miniature, Scenes, register
from pixelwise.datasets.labels import format_color
from pixelwise.datasets.layouts.layout import Layout, in_order
from pixelwise.datasets.layouts.listing import Entry, list_images, subfolders
from pixelwise.datasets.layouts.lists.divisions import divided_by_lists
from pixelwise.datasets.layouts.lists.lines import list_text
from pixelwise.datasets.layouts.lists.rows import read_rows
from pixelwise.datasets.layouts.matching import match_files
from pixelwise.datasets.layouts.merging import merged
from pixelwise.datasets.layouts.named_images import Match, NamedImages, Wanted
from pixelwise.datasets.layouts.outlines import (
    BACKGROUND,
    Broken,
    Picture,
    Read,
    Shape,
    Unused,
    draw,
    drawn_layout,
    ellipse,
    pasted,
    polygon,
    rectangle,
    turned_rectangle,
    unannotated,
)
from pixelwise.datasets.layouts.splits import divided
from pixelwise.datasets.layouts.words import SPLIT_NAMES, split_of
from pixelwise.datasets.layouts.writing import write_image
from pixelwise.errors import DataError
from pixelwise.recipes.class_sets.tables import Color, voc_color
from pixelwise.storage import printable, write_text
from pixelwise.storage.documents import DocumentError, peek, read_xml, reading

_WITH_AREA = ("polygon", "box", "ellipse", "mask")
_NOT_CVAT = "an XML file in another format than CVAT's"
_BLACK = (0, 0, 0)
_HELP = "export the task from CVAT again, as `CVAT for images 1.1`"


def cvat_layout(root: Path) -> Layout | None:
    """The layout of `root`, or None if it holds no CVAT XML file.

    Raises:
        DataError: D230, the file cannot be read, or is an export for video.
        ResourceError: S601, the disk of the cache folder is full.
    """
    found = sorted(root.glob("*.xml"))
    files = [path for path in found if _is_cvat(path)]
    if not files:
        return None
    listing = list_images(root)
    trees = {file: _parse(file) for file in files}
    entries = listing.entries
    others = [path for path in found if path not in trees]
    matched = _matched(trees, root, entries)
    drawn = draw(
        "cvat",
        root,
        [*found, *(entry.path for entry in entries)],
        lambda: merged(chain(_pictures(matched, root), (Unused(path, _NOT_CVAT) for path in others))),
    )
    names = ", ".join(printable(file.name) for file in files)
    named = {match.entry.path for _, _, match in matched if match.entry is not None}
    without = unannotated(entries, drawn, f"entry in {names}", named.__contains__)
    return drawn_layout(
        "cvat",
        f"CVAT for images: {names} with its images, drawn as masks into the cache folder",
        root,
        drawn,
        [name.text or "" for tree in trees.values() for name in tree.iterfind("./meta//labels/label/name")],
        [*listing.problems, *without],
    )


def cvat_masks_layout(root: Path) -> Layout | None:
    """The layout of `root`, or None if it holds no `labelmap.txt` beside `SegmentationClass`.

    Raises:
        DataError: D230, the label map cannot be read.
    """
    folders = subfolders(root)
    labelmap = root / "labelmap.txt"
    masks = folders.get("segmentationclass")
    if masks is None or not labelmap.is_file():
        return None
    names, palette, colors, doubts = _read_labelmap(labelmap)
    images = folders.get("jpegimages") or folders.get("images")
    image_listing, mask_listing = list_images(images or root), list_images(masks)
    entries = [entry for entry in image_listing.entries if images or "Segmentation" not in entry.key]
    problems = [*doubts, *image_listing.problems, *mask_listing.problems]
    if not entries and mask_listing.entries:
        problems.append(_without_images(root, [entry.path for entry in mask_listing.entries]))
    lists = sorted((root / "ImageSets" / "Segmentation").glob("*.txt"))
    known = {SPLIT_NAMES.get(path.stem.lower()): path for path in lists}
    known.pop(None, None)
    samples, found = match_files("train", entries, mask_listing.entries, masks=masks) if entries else ((), [])
    if known:
        rows = {split or "": [(path, row) for row in read_rows(path, problems)] for split, path in known.items()}
        splits, missing = divided_by_lists(samples, rows, root)
        # Files that no list names were left out on purpose.
        problems += [*(problem for problem in found if problem.code == "D130"), *(missing if entries else ())]
    else:
        splits = divided(samples) if entries else {}
        problems += found
    return Layout(
        name="cvat-masks",
        description="CVAT segmentation masks: SegmentationClass/ with the colours of labelmap.txt",
        root=root,
        splits=in_order(splits),
        problems=tuple(problems),
        classes=names,
        palette=palette,
        label_map={},
        colors=colors,
    )


def _without_images(root: Path, masks: list[Path]) -> Finding:
    return finding(
        "D220",
        f"the export holds {len(masks)} masks but no images",
        [printable(path) for path in masks],
        f"export it again with `Save images`, or put the images into {printable(root / 'JPEGImages')}",
    )


class _LabelMap(NamedTuple):
    """Class names with their colours, the class of every colour, and what was assumed about them."""

    names: tuple[str, ...]
    palette: tuple[Color, ...]
    colors: dict[str, int]
    problems: list[Finding]


def _read_labelmap(file: Path) -> _LabelMap:
    """The classes in lines `name:r,g,b:parts:actions`; `#` starts a comment.

    Pixels that no label covers are black. Where the map does not say what black means, it is the background: a label
    of this name, or a class of its own in front of the others.
    """
    classes: dict[Color, str] = {}
    for number, line in enumerate(list_text(file).splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, _, rest = line.partition(":")
        try:
            red, green, blue = (int(value) for value in rest.partition(":")[0].split(","))
            if not all(0 <= value <= 255 for value in (red, green, blue)):
                raise ValueError
        except ValueError:
            raise DataError(
                "D230",
                f"{printable(file)}: line {number} is '{printable(line)}'; expected name:red,green,blue::",
                "for example road:128,64,128::",
            ) from None
        if (red, green, blue) in classes:
            raise DataError(
                "D230",
                f"{printable(file)}: '{printable(name)}' and '{printable(classes[red, green, blue])}' share a colour",
                "give every label a colour of its own in CVAT and export again",
            )
        classes[red, green, blue] = name.strip()
    if not classes:
        raise DataError("D230", f"{printable(file)}: contains no classes", "export the masks from CVAT again")
    problems = []
    extra: dict[str, int] = {}
    if _BLACK not in classes:
        names = [name.strip("_").lower() for name in classes.values()]
        own = names.index(BACKGROUND) if BACKGROUND in names else None
        if own is None:
            classes = {_BLACK: BACKGROUND, **classes}
        else:
            extra[format_color(_BLACK)] = own
        text = f"{printable(file)}: gives no meaning to black, the colour of pixels that no label covers; they are "
        text += f"'{BACKGROUND}'" if own is None else f"'{printable(list(classes.values())[own])}'"
        help = f"add the line `{BACKGROUND}:0,0,0::` to {printable(file)}, or the right name with these numbers"
        problems.append(finding("W245", text, [printable(file)], help))
    colors = {format_color(color): class_id for class_id, color in enumerate(classes)} | extra
    return _LabelMap(tuple(classes.values()), tuple(classes), colors, problems)


def _is_cvat(path: Path) -> bool:
    return b"<annotations" in peek(path, 4096)


def _parse(file: Path) -> ElementTree.Element:
    try:
        tree = read_xml(file)
    except DocumentError as error:
        raise DataError("D230", error.message, _HELP) from error
    if tree.find("track") is not None:
        raise DataError("D230", f"{printable(file)}: holds video tracks; expected the format for images", _HELP)
    return tree


def _matched(
    trees: dict[Path, ElementTree.Element], root: Path, entries: Sequence[Entry]
) -> list[tuple[Path, ElementTree.Element, Match]]:
    """All entries of all files, with their images."""
    images = NamedImages(entries, root)
    all_ = [(file, image) for file, tree in trees.items() for image in tree.iterfind("image")]
    wanted = []
    for file, image in all_:
        name, subset = image.get("name", ""), image.get("subset") or ""
        near = (root, root / "images", *((root / subset, root / "images" / subset) if subset else ()))
        wanted.append(Wanted((name,) if name else (), file, near, SPLIT_NAMES.get(subset.lower())))
    return [(file, image, match) for (file, image), match in zip(all_, images.find_all(wanted), strict=True)]


def _pictures(matched: Sequence[tuple[Path, ElementTree.Element, Match]], root: Path) -> Iterator[Read]:
    for file, image, match in matched:
        name, subset = image.get("name", ""), image.get("subset") or ""
        if match.entry is None:
            yield Broken(file, f"its image {printable(name)} {match.reason}")
            continue
        path = match.entry.path
        try:
            with reading(file):
                size = (int(image.get("height", "")), int(image.get("width", "")))
                shapes = [(int(one.get("z_order") or 0), _shape(one)) for one in image if one.tag in _WITH_AREA]
        except DocumentError as error:
            yield Broken(file, f"image {printable(name)}: {error.reason}", path)
            continue
        shapes.sort(key=lambda pair: pair[0])
        split = SPLIT_NAMES.get(subset.lower()) or split_of(path.relative_to(root).parts[:-1])
        skipped = [printable(one.tag) for one in image if one.tag not in _WITH_AREA]
        drawn = [shape for _, shape in shapes]
        elsewhere = name if match.elsewhere else ""
        yield Picture(split, match.entry.key, path, size, drawn, file, skipped, elsewhere=elsewhere)


def _shape(one: ElementTree.Element) -> Shape:
    """The shape of an XML element.

    Raises:
        ValueError: A number is missing or malformed.
    """
    label = one.get("label", "")

    def number(name: str) -> float:
        try:
            return float(one.get(name, ""))
        except ValueError:
            raise ValueError(f"a {one.tag} of '{printable(label)}' has no numeric attribute '{name}'") from None

    if one.tag == "box":
        left, top, right, bottom = (number(name) for name in ("xtl", "ytl", "xbr", "ybr"))
        degrees = number("rotation") if one.get("rotation") else 0
        if not degrees:
            return rectangle(label, left, top, right, bottom)
        x, y = (left + right) / 2, (top + bottom) / 2
        return turned_rectangle(label, (x, y), (left - x, top - y, right - x, bottom - y), degrees)
    if one.tag == "ellipse":
        return ellipse(label, number("cx"), number("cy"), number("rx"), number("ry"))
    if one.tag == "mask":
        left, top = int(number("left")), int(number("top"))
        return Shape(label, partial(_pasted, one, label, left, top), (one.get("rle"), left, top, one.get("width")))
    try:
        corners = [float(value) for point in one.get("points", "").split(";") for value in point.split(",")]
    except ValueError:
        raise ValueError(f"the points of a polygon of '{printable(label)}' are not numbers") from None
    return polygon(label, corners)


def _pasted(one: ElementTree.Element, label: str, left: int, top: int, height: int, width: int) -> np.ndarray:
    return pasted(label, _runs(one, label), left, top).pixels(height, width)


def _runs(one: ElementTree.Element, label: str) -> np.ndarray:
    """Decode a brush mask to bool (h, w): alternating run lengths of 0 and 1, row by row of its bounding rectangle."""
    try:
        counts = [int(text) for text in one.get("rle", "").split(",")]
        height, width = int(one.get("height", "")), int(one.get("width", ""))
    except ValueError:
        raise ValueError(f"the run-length encoding of a mask of '{printable(label)}' cannot be read") from None
    if min(counts) < 0 or sum(counts) != height * width:
        raise ValueError(
            f"the run-length encoding of a mask of '{printable(label)}' covers {sum(counts)} pixels; "
            f"expected {height * width}"
        )
    return np.repeat(np.arange(len(counts)) % 2 == 1, counts).reshape(height, width)


def _write(root: Path, scenes: Scenes) -> None:
    """Write `CVAT for images 1.1`: every object is a rectangle, every split a subset of the task."""
    task = ElementTree.Element("annotations")
    labels = ElementTree.SubElement(ElementTree.SubElement(ElementTree.SubElement(task, "meta"), "task"), "labels")
    for name in scenes.classes[1:]:
        ElementTree.SubElement(ElementTree.SubElement(labels, "label"), "name").text = name
    for split, members in scenes.splits.items():
        for number, scene in enumerate(members):
            (height, width), file = scene.labels.shape, f"{split}{number:04d}.png"
            write_image(root / "images" / file, scene.image)
            size = {"width": str(width), "height": str(height)}
            image = ElementTree.SubElement(task, "image", {"name": file, "subset": split, **size})
            for class_id, *corners in scene.boxes:
                sides = dict(zip(("xtl", "ytl", "xbr", "ybr"), map(str, corners), strict=True))
                ElementTree.SubElement(image, "box", {"label": scenes.classes[class_id], **sides})
    ElementTree.ElementTree(task).write(root / "annotations.xml", "utf-8", xml_declaration=True)


def _write_masks(root: Path, scenes: Scenes) -> None:
    """Write `Segmentation mask 1.1`: RGB masks and a list of their colours."""
    colors = np.array([voc_color(number) for number in range(256)], np.uint8)
    lines = (f"{name}:{','.join(map(str, colors[number]))}::\n" for number, name in enumerate(scenes.classes))
    write_text(root / "labelmap.txt", "".join(("# label:color_rgb:parts:actions\n", *lines)))
    (root / "ImageSets" / "Segmentation").mkdir(parents=True)
    for split, members in scenes.splits.items():
        names = [f"{split}{number:04d}" for number in range(len(members))]
        for name, scene in zip(names, members, strict=True):
            write_image(root / "JPEGImages" / f"{name}.jpg", scene.image)
            write_image(root / "SegmentationClass" / f"{name}.png", colors[scene.labels])
        write_text(root / "ImageSets" / "Segmentation" / f"{split}.txt", "".join(f"{name}\n" for name in names))


register(
    Format(
        name="cvat-masks",
        title="CVAT segmentation masks",
        expected="labelmap.txt with SegmentationClass/ (CVAT's `Segmentation mask 1.1`), and JPEGImages/ or images/",
        layout=cvat_masks_layout,
        recognise=lambda root: (root / "labelmap.txt").is_file() and "segmentationclass" in subfolders(root),
        # Above `lists`, which would read the lists in ImageSets/ without the names of the colours.
        priority=LISTS + 1,
        miniature=Miniature(write=_write_masks, boxes=True),
    )
)
register(
    Format(
        name="cvat",
        title="CVAT for images",
        expected="annotations.xml of `CVAT for images 1.1`, with images/",
        layout=cvat_layout,
        recognise=lambda root: any(_is_cvat(path) for path in root.glob("*.xml")),
        priority=ANNOTATIONS + 2,
        drawn=True,
        miniature=Miniature(write=_write, boxes=True),
    )
)
