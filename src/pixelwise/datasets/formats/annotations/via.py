"""VIA, the VGG Image Annotator, version 2: projects, and annotations as JSON or CSV, anywhere beside the images.

    via_project.json or via_region_data.json or via_export_csv.csv     a.jpg b.jpg ...     or in train/, val/, test/

Polygons, rectangles, circles and ellipses become pixels of their class, later regions over earlier ones; points and
polylines have no area and are left out. The class is the value of a region's only attribute, or of the one called
`class`, `label`, `category`, `type` or `name`. Without any attribute, all regions are `object`. Classes are in
alphabetical order, after `background`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from pixelwise.datasets.format import ANNOTATIONS, Format, Miniature, Scenes, register
from pixelwise.datasets.layouts.layout import Layout
from pixelwise.datasets.layouts.listing import Entry, list_files, list_images
from pixelwise.datasets.layouts.merging import merged
from pixelwise.datasets.layouts.named_images import NamedImages, Wanted
from pixelwise.datasets.layouts.outlines import (
    Broken,
    Picture,
    Read,
    Shape,
    draw,
    drawn_layout,
    ellipse,
    polygon,
    rectangle,
    unannotated,
)
from pixelwise.datasets.layouts.words import split_of
from pixelwise.datasets.layouts.writing import write_image
from pixelwise.storage import json_text, printable, write_text
from pixelwise.storage.documents import DocumentError, parse_json, parse_table, peek, read_json, read_lines, reading

_WITHOUT_AREA = ("point", "polyline", "line")
_CLASS_ATTRIBUTES = ("class", "label", "category", "type", "name")
_OBJECT = "object"
# VIA writes this value where nothing was chosen.
_UNDEFINED = ("", "not_defined", "undefined")
_COLUMNS = ("filename", "region_shape_attributes", "region_attributes")
_HEAD = 2**16


class _Region(msgspec.Struct, rename={"shape": "shape_attributes", "attributes": "region_attributes"}):
    shape: dict[str, Any]
    attributes: dict[str, Any] = {}


class _Image(msgspec.Struct):
    filename: str
    regions: list[_Region] | dict[str, _Region] = []

    @property
    def all_regions(self) -> list[_Region]:
        """The regions; version 1 numbers them in a dictionary."""
        return list(self.regions.values()) if isinstance(self.regions, dict) else self.regions


class _Project(msgspec.Struct, rename={"images": "_via_img_metadata"}):
    images: dict[str, _Image]


def via_layout(root: Path) -> Layout | None:
    """The layout of `root`, or None if it holds no annotations of VIA.

    Raises:
        ResourceError: S601, the disk of the cache folder is full.
    """
    files = _files(root)
    if not files:
        return None
    listing = list_images(root)
    entries = listing.entries
    drawn = draw("via", root, [*files, *(one.path for one in entries)], lambda: merged(_pictures(root, files, entries)))
    problems = [*listing.problems, *unannotated(entries, drawn, "entry in VIA's annotations")]
    return drawn_layout(
        "via", "VIA: regions of JSON or CSV files, drawn as masks into the cache folder", root, drawn, problems=problems
    )


def _files(root: Path) -> list[Path]:
    return [path for ending in (".json", ".csv") for path in list_files(root, ending) if _is_via(path)]


def _is_via(path: Path) -> bool:
    if path.suffix.lower() == ".csv":
        return b"region_shape_attributes" in peek(path, _HEAD).partition(b"\n")[0]
    content = peek(path)
    # A damaged file counts as well, so that it gets reported.
    return b'"shape_attributes"' in content or b'"_via_img_metadata"' in content


def _pictures(root: Path, files: Sequence[Path], entries: Sequence[Entry]) -> Iterator[Read]:
    read: list[tuple[Path, _Image]] = []
    for file in files:
        try:
            read += [(file, image) for image in (_of_table(file) if file.suffix.lower() == ".csv" else _of_json(file))]
        except DocumentError as error:
            yield Broken(file, f"not a file of VIA: {error.reason}")
    attribute, doubt = _class_attribute([image for _, image in read])
    if doubt:
        yield Broken(files[0], doubt)
        return
    images = NamedImages(entries, root)
    wanted = [Wanted((image.filename,) if image.filename else (), file, (root,)) for file, image in read]
    for (file, image), match in zip(read, images.find_all(wanted), strict=True):
        if match.entry is None:
            yield Broken(file, f"its image {printable(image.filename)} {match.reason}")
            continue
        path, regions = match.entry.path, image.all_regions
        kinds = [str(region.shape.get("name", "")) for region in regions]
        try:
            with reading(file):
                shapes = [
                    _shape(kind, region, attribute)
                    for kind, region in zip(kinds, regions, strict=True)
                    if kind not in _WITHOUT_AREA
                ]
        except DocumentError as error:
            yield Broken(file, f"{printable(path.name)}: {error.reason}", path)
            continue
        skipped = [kind for kind in kinds if kind in _WITHOUT_AREA]
        split = split_of(path.relative_to(root).parts[:-1])
        elsewhere = image.filename if match.elsewhere else ""
        yield Picture(split, match.entry.key, path, None, shapes, file, skipped, elsewhere=elsewhere)


def _of_json(file: Path) -> list[_Image]:
    if b'"_via_img_metadata"' in peek(file):
        return list(read_json(file, _Project).images.values())
    return list(read_json(file, dict[str, _Image]).values())


def _of_table(file: Path) -> list[_Image]:
    """The images of a CSV export, which has a line per region, and one without a shape for images without regions."""
    header, *rows = parse_table(read_lines(file), ",", file)
    with reading(file):
        places = [header.index(name) for name in _COLUMNS]
        images: dict[str, _Image] = {}
        for row in (row for row in rows if row):
            name, shape, attributes = (row[place] for place in places)
            image = images.setdefault(name, _Image(name, []))
            found = parse_json(shape.encode() or b"{}", dict[str, Any], file)
            if found and isinstance(image.regions, list):
                of_region = parse_json(attributes.encode() or b"{}", dict[str, Any], file)
                image.regions.append(_Region(found, of_region))
    return list(images.values())


def _class_attribute(images: Sequence[_Image]) -> tuple[str | None, str]:
    """The attribute that names the classes, if regions have any; and why it is not certain which one that is."""
    counts = Counter(
        name
        for image in images
        for region in image.all_regions
        for name, value in region.attributes.items()
        if value not in _UNDEFINED and value != {}
    )
    if len(counts) < 2:
        return next(iter(counts), None), ""
    known = [name for word in _CLASS_ATTRIBUTES for name in counts if name.lower().strip() == word]
    if known:
        return known[0], ""
    names = ", ".join(f"'{printable(name)}'" for name in sorted(counts))
    return None, f"its regions have several attributes, {names}; call the one that names the class 'class'"


def _value(region: _Region, name: str) -> str:
    """The value of an attribute as text; a checkbox is a dictionary of what is ticked.

    Raises:
        ValueError: Several are ticked.
    """
    value = region.attributes.get(name)
    if isinstance(value, dict):
        ticked = [key for key, chosen in value.items() if chosen]
        if len(ticked) > 1:
            raise ValueError(f"a region has several values of '{printable(name)}': {', '.join(map(printable, ticked))}")
        value = ticked[0] if ticked else ""
    text = str(value).strip() if isinstance(value, str | int) else ""
    return "" if text in _UNDEFINED else text


def _shape(kind: str, region: _Region, attribute: str | None) -> Shape:
    """The shape of a region.

    Raises:
        ValueError: It has no class, or its type is unknown; KeyError: a coordinate is missing.
    """
    label = _OBJECT if attribute is None else _value(region, attribute)
    if not label:
        raise ValueError(
            f"a {kind or 'region'} has no value of '{printable(attribute or '')}', which names the classes"
        )
    shape = region.shape
    if kind == "polygon":
        xs, ys = shape["all_points_x"], shape["all_points_y"]
        if len(xs) != len(ys) or len(xs) < 3:
            raise ValueError(f"a polygon of '{printable(label)}' has {len(xs)} columns and {len(ys)} rows of points")
        return polygon(label, [float(value) for pair in zip(xs, ys, strict=True) for value in pair])
    numbers = {name: float(value) for name, value in shape.items() if isinstance(value, int | float)}
    if kind == "rect":
        left, top = numbers["x"], numbers["y"]
        return rectangle(label, left, top, left + numbers["width"], top + numbers["height"])
    if kind == "circle":
        return ellipse(label, numbers["cx"], numbers["cy"], numbers["r"], numbers["r"])
    if kind == "ellipse":
        turned = math.degrees(numbers.get("theta", 0.0))
        return ellipse(label, numbers["cx"], numbers["cy"], numbers["rx"], numbers["ry"], turned)
    raise ValueError(f"a region of '{printable(label)}' has the unknown type '{printable(kind)}'")


def _write(root: Path, scenes: Scenes) -> None:
    for split, members in scenes.splits.items():
        images = {}
        for number, scene in enumerate(members):
            name = f"{number:04d}.png"
            write_image(root / split / name, scene.image)
            size = (root / split / name).stat().st_size
            regions = [
                {
                    "shape_attributes": {
                        "name": "rect",
                        "x": left,
                        "y": top,
                        "width": right - left,
                        "height": bottom - top,
                    },
                    "region_attributes": {"class": scenes.classes[class_id]},
                }
                for class_id, left, top, right, bottom in scene.boxes
            ]
            images[f"{name}{size}"] = {"filename": name, "size": size, "regions": regions, "file_attributes": {}}
        write_text(root / split / "via_region_data.json", json_text(images))


register(
    Format(
        name="via",
        title="VIA",
        expected="via_project.json or another JSON or CSV file of VIA, with its images",
        layout=via_layout,
        recognise=lambda root: bool(_files(root)),
        priority=ANNOTATIONS,
        drawn=True,
        miniature=Miniature(write=_write, boxes=True),
    )
)
