"""The splits that a `data.yaml` states: folders of images, or lists of them.

    path: ../datasets/street      train: images/train      val: [images/val, more/val]      test: test.txt

Such files travel with their data, so folders and images are found by the end of their path where they do not exist as
written.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pixelwise.datasets.findings import Finding, finding
from pixelwise.datasets.layouts.listing import Entry
from pixelwise.datasets.layouts.lists.lines import list_lines
from pixelwise.datasets.layouts.named_images import NamedImages, Wanted, file_name
from pixelwise.datasets.layouts.plain_yaml import entries, items, line_of, read_yaml, text_of
from pixelwise.datasets.layouts.words import SPLIT_NAMES
from pixelwise.storage import printable

_NOTHING = ("", "null", "~", "none")
_HERE = (".", "./")


class StatedSplits(NamedTuple):
    """The splits that descriptions of a data set state.

    Attributes:
        splits: Image -> its split; images that no split holds are missing.
        lists: The lists of images that were read.
        problems: D232 for a split that cannot be used, W223 for one that is not needed.
    """

    splits: dict[Path, str]
    lists: tuple[Path, ...] = ()
    problems: tuple[Finding, ...] = ()


class _Place(NamedTuple):
    """The images of one value, the list that names them if it is one, and what is wrong with it."""

    images: list[Path]
    list_file: Path | None
    reason: str


def stated_splits(descriptions: Sequence[Path], root: Path, files: Sequence[Path]) -> StatedSplits:
    """The splits that YAML files state with `train`, `val` and `test`.

    Args:
        descriptions: The YAML files.
        root: Folder of the data set.
        files: All images.

    Raises:
        DataError: D228 or D230, a file cannot be read.
    """
    folders = dict.fromkeys(folder for file in files for folder in file.parents if folder.is_relative_to(root))
    by_name = NamedImages((Entry(folder.name, folder) for folder in folders if folder != root), root)
    images = NamedImages((Entry(file.stem, file) for file in files), root)
    # Of a folder and one within it, the inner one is meant: it holds fewer images.
    smallest: dict[Path, tuple[int, str]] = {}
    of_split: dict[str, set[Path]] = {}
    lists: list[Path] = []
    problems: list[Finding] = []
    for file in descriptions:
        top = entries(file, read_yaml(file))
        base = text_of(top["path"]) if "path" in top else None
        near = (root, *((root / base,) if base else ()))
        for key, node in top.items():
            split = SPLIT_NAMES.get(key.lower())
            for one in (items(node) or [node]) if split is not None else ():
                text = text_of(one)
                if split is None or text is None or text.lower() in _NOTHING:
                    continue
                wanted = Wanted((text,), file, near)
                is_list = text.lower().endswith(".txt")
                place = _in_list(text, wanted, images) if is_list else _in_folder(text, wanted, by_name, files)
                lists += [place.list_file] if place.list_file else []
                if place.reason:
                    problems.append(_unusable(f"{printable(file)}, line {line_of(one)}", key, text, place.reason, file))
                of_split.setdefault(split, set()).update(place.images)
                for path in place.images:
                    smallest[path] = min(smallest.get(path, (len(place.images), split)), (len(place.images), split))
    splits = {path: split for path, (_, split) in smallest.items()}
    lost = [split for split, found in of_split.items() if found and split not in splits.values()]
    if lost:
        # Toy examples validate on their training images.
        text = f"split '{lost[0]}' holds the same images as another one; the images are divided by their names"
        where = printable(descriptions[0])
        problems.append(finding("W223", f"{where}: {text}", [where], "give each split images of its own"))
        splits = {}
    return StatedSplits(splits, tuple(lists), tuple(problems))


def _in_folder(text: str, wanted: Wanted, folders: NamedImages, files: Sequence[Path]) -> _Place:
    """The images below a folder."""
    match = folders.find(wanted)
    place = wanted.near[0] if text in _HERE else match.entry.path if match.entry is not None else None
    if place is None:
        return _Place([], None, match.reason)
    return _Place([path for path in files if path.is_relative_to(place)], None, "")


def _in_list(text: str, wanted: Wanted, images: NamedImages) -> _Place:
    """The images that a list names, all of which must exist."""
    folders = (wanted.file.parent, *wanted.near)
    places = (folder / name for name in (text, file_name(text)) for folder in folders)
    place = next((path for path in places if path.is_file()), None)
    if place is None:
        return _Place([], None, "does not exist")
    lines = [(number, line) for number, line in list_lines(place) if line]
    matches = images.find_all([Wanted((line,), place, wanted.near) for _, line in lines])
    lost = [(number, line, match) for (number, line), match in zip(lines, matches, strict=True) if match.entry is None]
    found = [match.entry.path for match in matches if match.entry is not None]
    if lost:
        number, line, match = lost[0]
        reason = f"has {len(lost)} of {len(lines)} lines without an image: line {number}, '{printable(line)}', "
        return _Place(found, place, reason + match.reason)
    return _Place(found, place, "" if found else "is empty")


def _unusable(where: str, key: str, text: str, reason: str, file: Path) -> Finding:
    # Roboflow names a test folder whether there is one or not.
    code = "W223" if SPLIT_NAMES[key.lower()] == "test" else "D232"
    help = "correct this line, or remove it if the split does not exist"
    return finding(code, f"{where}: {key} is '{printable(text)}', which {reason}", [printable(file)], help)
