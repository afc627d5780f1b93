"""YOLO polygons in text files (Ultralytics, Roboflow): `class x y x y ...`, relative to the image's width and height.

    data.yaml   images/{train,val}/a.jpg   labels/{train,val}/a.txt      or {train,valid}/images/, {train,valid}/labels/

The classes are `names` in `data.yaml` or the lines of `classes.txt` (Label Studio, LabelImg), and follow `background`
in that order. Without such a file they are `class_0`, `class_1`, ... Where objects overlap, the smaller one lies on
top. An image without a text file, or with an empty one, is all background, as in YOLO's training. The splits are those
of `train`, `val` and `test` in `data.yaml`, or else those of the folders' names.
"""

from __future__ import annotations

import json
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from pixelwise.datasets.findings import Finding, finding
from pixelwise.datasets.format import ANNOTATIONS, Format, Miniature, Scenes, register
from pixelwise.datasets.layouts.layout import Layout
from pixelwise.datasets.layouts.listing import Entry, Listing, list_files, list_images, subfolders
from pixelwise.datasets.layouts.lists.lines import list_text
from pixelwise.datasets.layouts.merging import merged
from pixelwise.datasets.layouts.outlines import Broken, Picture, Read, Shape, Unused, draw, drawn_layout, polygon
from pixelwise.datasets.layouts.plain_yaml import LARGEST_FILE, Node, entries, items, line_of, read_yaml, text_of, wrong
from pixelwise.datasets.layouts.stated_splits import stated_splits
from pixelwise.datasets.layouts.words import split_of
from pixelwise.datasets.layouts.writing import write_image
from pixelwise.datasets.reading.decoding import image_sizes
from pixelwise.errors import DataError
from pixelwise.storage import printable, write_text
from pixelwise.storage.documents import DocumentError, is_irregular, peek, read_lines, reading
from pixelwise.suggestions import did_you_mean

# At most this many text files are opened to recognise YOLO.
_PROBED_FILES = 20
_CLASSES_FILE = "classes.txt"
# A top-level key, in block or flow style.
_NAMES_KEY = re.compile(rb"""^(?:\{\s*)?["']?(?:names|nc)["']?\s*:""", re.MULTILINE)
_NAMES_HELP = 'for example: names: ["road", "car"], or one line "  0: road" per class'
_MOST_DIGITS = 9


def yolo_layout(root: Path) -> Layout | None:
    """The layout of `root`, or None if it holds no folder of images beside a folder of YOLO text files.

    Raises:
        DataError: D230, `names` in `data.yaml` cannot be read.
        ResourceError: S601, the disk of the cache folder is full.
    """
    folders = _folders(root)
    texts = _texts(folders)
    if not any(_is_yolo(path) for path in texts[:_PROBED_FILES]):
        return None
    descriptions = _descriptions(root, folders)
    names = _agreed_names(descriptions)
    listings = [(list_images(images), images, labels) for images, labels in folders]
    files = [entry.path for listing, _, _ in listings for entry in listing.entries]
    stated = stated_splits([file for file in descriptions if file.name != _CLASSES_FILE], root, files)

    def pictures() -> Iterator[Read]:
        for listing, images, labels in listings:
            yield from _pictures(listing.entries, images, labels, root, names, stated.splits)

    drawn = draw("yolo", root, [*texts, *files, *descriptions, *stated.lists], lambda: merged(pictures()))
    return drawn_layout(
        "yolo",
        "YOLO: images/ with labels/*.txt of polygons, drawn as masks into the cache folder",
        root,
        drawn,
        [names[number] for number in sorted(names)] or sorted(drawn.label_names.values(), key=_number),
        [
            *(problem for listing, _, _ in listings for problem in listing.problems),
            *stated.problems,
            *_unlabelled(listings),
        ],
    )


def _unlabelled(listings: Sequence[tuple[Listing, Path, Path]]) -> list[Finding]:
    """W226 for images without a text file."""
    files: list[str] = []
    for listing, images, labels in listings:
        known = {_key(path, labels) for path in list_files(labels, ".txt")}
        files += [printable(entry.path) for entry in listing.entries if _key(entry.path, images) not in known]
    if not files:
        return []
    total = sum(len(listing.entries) for listing, _, _ in listings)
    return [
        finding(
            "W226",
            f"{len(files)} of {total} images have no text file and are read as background, e.g. {files[0]}",
            files,
            "remove them if they were not annotated; an empty text file says that an image shows no object",
        )
    ]


def _descriptions(root: Path, folders: Sequence[tuple[Path, Path]]) -> list[Path]:
    """The files that name the classes, or count them."""
    lists = (folder / _CLASSES_FILE for folder in (root, *(labels for _, labels in folders)))
    # One that cannot be read may be the one that matters: `read_names` says so.
    described = (path for path in sorted(root.glob("*.y*ml")) if _has_names(path) or is_irregular(path))
    return list(dict.fromkeys([*described, *(path for path in lists if os.path.lexists(path))]))


def _agreed_names(descriptions: Sequence[Path]) -> dict[int, str]:
    """Class number -> name; empty if no file names the classes.

    Raises:
        DataError: D230, a file cannot be read, or two files give a number different names.
    """
    names: dict[int, str] = {}
    for file in descriptions:
        found = read_names(file)
        if not found:
            continue
        other = next((number for number in names.keys() | found.keys() if names.get(number) != found.get(number)), None)
        if names and other is not None:
            first, second = (repr(one.get(other, "nothing")) for one in (names, found))
            raise DataError(
                "D230",
                f"{printable(file)}: class {other} is {printable(second)}, but {printable(first)} in "
                f"{printable(descriptions[0])}",
                "correct or remove one of the two files",
            )
        names = found
    return names


def read_names(file: Path) -> dict[int, str]:
    """Class number -> name from `names` in `data.yaml`, a list or a mapping, or from a text file with a name per line.

    Returns:
        The names; empty if `data.yaml` only counts the classes, as YOLO allows.

    Raises:
        DataError: D230, the file cannot be read, or holds no names or not as many as `nc` says.
    """
    if file.name == _CLASSES_FILE:
        return _read_list(file)
    top = entries(file, read_yaml(file))
    node = top.get("names")
    if node is None and "nc" in top:
        return {}
    names = _names(file, node) if node is not None else {}
    if node is None or not names:
        where = printable(file) if node is None else f"{printable(file)}, line {line_of(node)}"
        raise DataError("D230", f"{where}: no class names found", _NAMES_HELP)
    count = top.get("nc")
    if count is not None and (stated := text_of(count)) and stated != str(len(names)):
        raise wrong(
            file,
            count,
            f"nc is {printable(stated[:20])}, but names has {len(names)} entries",
            "correct nc or names: one name too few or too many shifts the classes of all numbers after it",
        )
    return names


def _names(file: Path, node: Node) -> dict[int, str]:
    """Class number -> name from a list or a mapping; empty for everything else.

    Raises:
        DataError: D230, a class number or a name is invalid.
    """
    listed = items(node)
    keyed = entries(file, node) if listed is None else {str(number): value for number, value in enumerate(listed)}
    names: dict[int, str] = {}
    for key, value in keyed.items():
        name = text_of(value)
        if not (key.isascii() and key.isdecimal() and len(key) <= _MOST_DIGITS):
            raise wrong(file, value, f"'{printable(key[:20])}' is not a class number; expected 0, 1, 2, ...")
        if not name:
            raise wrong(file, value, f"class {key} has no name", _NAMES_HELP)
        if int(key) in names:
            raise wrong(file, value, f"class {int(key)} has two names")
        names[int(key)] = name
    return names


def _read_list(file: Path) -> dict[int, str]:
    """Class number -> name from a file with one name per line.

    Raises:
        DataError: D230, there are no names, or there is a blank line among them, which would shift the numbers.
    """
    names = [printable(line.strip()) for line in list_text(file).rstrip().splitlines()]
    if not names or "" in names:
        raise DataError(
            "D230", f"{printable(file)}: no class names, or a blank line among them", "write one name per line"
        )
    return dict(enumerate(names))


def _folders(root: Path) -> list[tuple[Path, Path]]:
    """Folders of images, each with its folder of text files."""
    folders = subfolders(root)
    if "images" in folders and "labels" in folders:
        return [(folders["images"], folders["labels"])]
    inner = [subfolders(folder) for folder in folders.values()]
    return [(names["images"], names["labels"]) for names in inner if "images" in names and "labels" in names]


def _texts(folders: Sequence[tuple[Path, Path]]) -> list[Path]:
    """The text files beside the folders of images, without the list of class names."""
    return [path for _, labels in folders for path in list_files(labels, ".txt") if path.name != _CLASSES_FILE]


def _looks_like_yolo(root: Path) -> bool:
    return any(_is_yolo(path) for path in _texts(_folders(root))[:_PROBED_FILES])


def _has_names(path: Path) -> bool:
    """Whether a file has the key `names` or `nc`; a damaged file counts as well, so that it gets reported."""
    return _NAMES_KEY.search(peek(path, LARGEST_FILE)) is not None


def _is_yolo(path: Path) -> bool:
    """Whether the first line of a file is a class number followed by coordinates."""
    try:
        numbers = [float(text) for text in peek(path).decode("utf-8", "replace").split("\n", 1)[0].split()]
    except ValueError:
        return False
    return len(numbers) >= 5 and numbers[0].is_integer() and numbers[0] >= 0


def _pictures(
    entries: Sequence[Entry],
    images: Path,
    labels: Path,
    root: Path,
    names: dict[int, str],
    stated: dict[Path, str],
) -> Iterator[Read]:
    texts = {_key(path, labels): path for path in list_files(labels, ".txt") if path.name != _CLASSES_FILE}
    of_key: dict[str, list[Entry]] = {}
    for entry in entries:
        of_key.setdefault(_key(entry.path, images), []).append(entry)
    for key, file in texts.items():
        if key not in of_key:
            yield _without_image(file, key, of_key)
    for key, alike in of_key.items():
        beside = (labels / alike[0].path.relative_to(images)).with_suffix(".txt")
        # What is neither a file nor missing, such as a dangling link, is not listed; reading it says what it is.
        file = texts.get(key) or (beside if os.path.lexists(beside) else None)
        for entry in alike:
            if len(alike) > 1 and file is not None:
                other = next(one for one in alike if one is not entry)
                reason = f"may belong to {printable(entry.path)} or to {printable(other.path)}"
                yield Broken(file, reason, entry.path)
                continue
            yield _picture(entry, file or labels, stated.get(entry.path) or split_of(_above(entry, root)), names)


def _picture(entry: Entry, file: Path, split: str | None, names: dict[int, str]) -> Read:
    try:
        with reading(file):
            lines = [] if file.is_dir() else read_lines(file)
            size = image_sizes(entry.path)[1]
            shapes = [_shape(number, line, size, names) for number, line in enumerate(lines, 1) if line.strip()]
    except DocumentError as error:
        return Broken(file, error.reason, entry.path)
    except DataError:
        shapes, size = [], None  # the audit reports that the image is unreadable
    return Picture(split, entry.key, entry.path, size, shapes, file, smaller_on_top=True)


def _without_image(file: Path, key: str, images: Iterable[str]) -> Read:
    if not _is_yolo(file):
        return Unused(file, "a text file that belongs to no image")
    return Broken(file, f"there is no image {printable(key)}{did_you_mean(printable(key), images)}")


def _key(path: Path, folder: Path) -> str:
    """What the paths of an image and of its text file have in common."""
    return unicodedata.normalize("NFC", path.relative_to(folder).with_suffix("").as_posix())


def _above(entry: Entry, root: Path) -> tuple[str, ...]:
    return entry.path.relative_to(root).parts[:-1]


def _shape(number: int, line: str, size: tuple[int, int], names: dict[int, str]) -> Shape:
    """The shape of a line.

    Raises:
        ValueError: The line is invalid; the message gives its number.
    """
    try:
        values = [float(text) for text in line.split()]
    except ValueError:
        raise ValueError(f"line {number} is '{printable(line[:40])}'; expected a class and coordinates") from None
    label, corners = values[0], values[1:]
    if len(values) == 5:
        raise ValueError(f"line {number} is a bounding box (4 values after the class); segmentation needs polygons")
    if len(corners) < 6 or len(corners) % 2:
        raise ValueError(
            f"line {number} has {len(corners)} values after the class; expected x and y of 3 or more corners"
        )
    if not all(-0.01 <= value <= 1.01 for value in corners):
        raise ValueError(
            f"line {number} has coordinates outside 0..1; expected values relative to the image's width and height"
        )
    if not label.is_integer() or label < 0 or (names and int(label) not in names):
        known = f"the classes are {min(names)}..{max(names)}" if names else "expected 0, 1, 2, ..."
        raise ValueError(f"line {number} has class {label:g}; {known}")
    height, width = size
    x, y = [value * width for value in corners[0::2]], [value * height for value in corners[1::2]]
    flat = [value for point in zip(x, y, strict=True) for value in point]
    return polygon(names.get(int(label), f"class_{int(label)}"), flat)


def _number(label: str) -> tuple[int, str]:
    tail = label.rpartition("_")[2]
    return (int(tail) if tail.isdigit() else -1, label)


def _write(root: Path, scenes: Scenes) -> None:
    for split, members in scenes.splits.items():
        for number, scene in enumerate(members):
            (height, width), stem = scene.labels.shape, f"{number:04d}"
            lines = []
            for class_id, left, top, right, bottom in scene.boxes:
                corners = ((left, top), (right, top), (right, bottom), (left, bottom))
                relative = " ".join(f"{x / width:.9f} {y / height:.9f}" for x, y in corners)
                lines.append(f"{class_id - 1} {relative}\n")
            write_image(root / "images" / split / f"{stem}.png", scene.image)
            labels = root / "labels" / split / f"{stem}.txt"
            labels.parent.mkdir(parents=True, exist_ok=True)
            write_text(labels, "".join(lines))
    names = "".join(f"  {number}: {json.dumps(name)}\n" for number, name in enumerate(scenes.classes[1:]))
    write_text(root / "data.yaml", f"path: .\ntrain: images/train\nval: images/val\nnames:\n{names}")


register(
    Format(
        name="yolo",
        title="YOLO polygons",
        expected="images/ with labels/*.txt of polygons (YOLO), and data.yaml or classes.txt with names",
        layout=yolo_layout,
        recognise=_looks_like_yolo,
        priority=ANNOTATIONS + 2,
        drawn=True,
        miniature=Miniature(write=_write, boxes=True),
    )
)
