"""Data whose splits are lists: image and mask per line, one name per line, or CSV files.

    train.txt val.txt [test.txt]     images/a.jpg masks/a.png      two paths per line (space, tab, comma or semicolon)
    train.txt val.txt [test.txt]     a                             one name per line, beside data in another format
    train.csv val.csv [test.csv]     image,mask                    with a header
    dataset.csv                      image,mask,split              one file with a column for the split
    splits.json                      {"train": ["a"], "val": ["b"]}

Lists are looked for in the root, `lists/`, `splits/`, `ImageSets/Segmentation/`, `ImageSets/Main/` and `ImageSets/`.
Paths are relative to the list or to the root; where they do not exist as written, the files are found by the end of
their path. A training list alone is divided into train and val by the images' names. A list that cannot be used is
an error: the data is never divided otherwise instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import msgspec

from pixelwise.datasets.findings import Finding, finding
from pixelwise.datasets.format import FORMATS, LISTS, Format, Miniature, Scenes, register
from pixelwise.datasets.layouts.description import write_description
from pixelwise.datasets.layouts.drawn_findings import found_elsewhere
from pixelwise.datasets.layouts.layout import Layout, in_order
from pixelwise.datasets.layouts.listing import Entry, list_images, subfolders
from pixelwise.datasets.layouts.lists.divisions import HELP, Listed, divided_by_lists, missing_lines
from pixelwise.datasets.layouts.lists.files import Lists, find_lists
from pixelwise.datasets.layouts.lists.rows import is_prose
from pixelwise.datasets.layouts.named_images import Match, NamedImages, Wanted
from pixelwise.datasets.layouts.splits import divided
from pixelwise.datasets.layouts.writing import write_image
from pixelwise.datasets.samples import Sample
from pixelwise.errors import DataError, PixelwiseError
from pixelwise.storage import printable, write_text
from pixelwise.storage.documents import is_regular
from pixelwise.storage.names import id_of

_MAX_FOLDERS = 16


def lists_layout(root: Path) -> Layout | None:
    """The layout of `root`, or None if it holds no list.

    Malformed lines are D228 and files that do not exist are D220, both in `Layout.problems`.

    Raises:
        DataError: D232, no line of the lists names files that exist; D228, a list cannot be read.
    """
    lists = find_lists(root)
    if lists is None:
        return None
    problems: list[Finding] = []
    rows = lists.read(problems)
    if not any(rows.values()):
        raise DataError("D232", f"{printable(lists.files[0])}: names no image", HELP)
    layout = _divided_by(root, lists, rows, problems)
    if layout is None:
        return None
    # Text of another kind happens to have the name of a list; it names no file.
    prose = {split for split, found in layout.splits.items() if not found and _is_prose(rows.get(split, ()))}
    if prose:
        kept = {split: found for split, found in rows.items() if split not in prose}
        layout = _divided_by(root, lists, kept, problems) or layout
    if list(layout.splits) == ["train"]:
        layout = msgspec.structs.replace(layout, splits=divided(layout.splits["train"]))
    return layout


def _divided_by(
    root: Path, lists: Lists, rows: Mapping[str, Sequence[Listed]], problems: Sequence[Finding]
) -> Layout | None:
    """The layout that these rows describe; None if they are no lists.

    Raises:
        DataError: D232, they are lists, and no line names files that exist.
    """
    pairs = any(row.mask is not None for found in rows.values() for _, row in found)
    layout = _of_pairs(root, lists, rows, problems) if pairs else None
    base = None
    if layout is None:
        base = _base(root)
        layout = base and _of_names(root, rows, lists, base, problems)
    if layout is None and (pairs or base is not None) and not all(_is_prose(found) for found in rows.values()):
        raise _useless(rows)
    return layout


def _is_prose(rows: Sequence[Listed]) -> bool:
    files = {file for file, _ in rows}
    return bool(files) and all(file.suffix.lower() == ".txt" and is_prose(file) for file in files)


def _useless(rows: Mapping[str, Sequence[Listed]]) -> DataError:
    """D232 for lists of which no line can be used."""
    file, row = next(found[0] for found in rows.values() if found)
    return DataError(
        "D232",
        f"{printable(file)}: no line names an image with a mask, e.g. line {row.number}, '{printable(row.line[:80])}'",
        f"{HELP}; data.dataset=folder reads folders of images and masks without lists",
    )


class _Files:
    """All files of the data set by their paths; listed only if a list names one that does not exist as written."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @cached_property
    def _named(self) -> NamedImages:
        return NamedImages(list_images(self._root, arrays_too=True).entries, self._root)

    def find(self, texts: Sequence[tuple[str, Path]]) -> list[Match]:
        """The files of paths, each with the list that writes it."""
        found = [_locate(text, file, self._root) for text, file in texts]
        if None not in found:
            return [Match(Entry(path.name, path)) for path in found if path is not None]
        near = (self._root, self._root.parent)
        matches = self._named.find_all([Wanted((text,), file, near) for text, file in texts])
        return [
            match if path is None else Match(Entry(path.name, path)) for path, match in zip(found, matches, strict=True)
        ]


def _of_pairs(
    root: Path, lists: Lists, rows: Mapping[str, Sequence[Listed]], problems: Sequence[Finding]
) -> Layout | None:
    """Pairs of paths; None if no pair exists."""
    files = _Files(root)
    splits: dict[str, tuple[Sample, ...]] = {}
    found: list[Finding] = []
    for split, listed in rows.items():
        splits[split], more = _pairs(split, listed, root, files)
        found += more
    if not any(splits.values()):
        return None
    return Layout(
        name="lists",
        description=f"lists of image and mask: {lists.names}",
        root=root,
        splits=in_order(splits),
        problems=(*problems, *found),
    )


def _pairs(split: str, rows: Sequence[Listed], root: Path, files: _Files) -> tuple[tuple[Sample, ...], list[Finding]]:
    """Samples of the rows whose files exist, sorted by id; D220 for missing files, D130 for repeats, D221 for none."""
    found: dict[str, Sample] = {}
    lost: list[tuple[Listed, str, str]] = []
    elsewhere: list[tuple[str, str]] = []
    repeated: list[str] = []
    images = files.find([(row.image, file) for file, row in rows])
    masks = files.find([(row.mask or "", file) for file, row in rows])
    for listed, *pair in zip(rows, images, masks, strict=True):
        texts = (listed[1].image, listed[1].mask or "")
        image, mask = pair
        if image.entry is None or mask.entry is None:
            missing = 0 if image.entry is None else 1
            lost.append((listed, texts[missing], pair[missing].reason))
            continue
        elsewhere += [
            (text, printable(match.entry.path))
            for text, match in zip(texts, pair, strict=True)
            if match.entry and not match.in_full and match.entry.path != _locate(text, listed[0], root)
        ]
        key = id_of(image.entry.path, root)
        sample = Sample(key, image.entry.path, mask.entry.path)
        if found.setdefault(key, sample) != sample:
            repeated.append(printable(texts[0]))
    problems = missing_lines(split, "pairs", rows, lost)
    if elsewhere and found:
        problems.append(found_elsewhere(elsewhere, "lists"))
    if repeated:
        text = f"{split}: {len(repeated)} images are listed twice with different masks, e.g. {repeated[0]}"
        problems.append(finding("D130", f"{text}; the first is used", repeated, "list every image once"))
    if not found:
        problems.append(
            finding("D221", f"split '{split}' is empty: no pair in its list exists", [], "correct the list")
        )
    return tuple(found[key] for key in sorted(found)), problems


def _locate(text: str, file: Path, root: Path) -> Path | None:
    text = text.replace("\\", "/")
    for base in (file.parent, root, root.parent):
        # The list's own folder comes first; the folder above the root serves lists whose paths include the root's name.
        path = base / text
        if is_regular(path):
            return path
    return None


def _base(root: Path) -> Layout | None:
    """The images with masks that a list of names divides: data in any other format, here or in one folder below."""
    formats = sorted(FORMATS.all().values(), key=lambda format: -format.priority)
    formats = [one for one in formats if one.priority < LISTS and one.recognise is not None]

    def find(folder: Path) -> Layout | None:
        for format in formats:
            layout = format.layout(folder) if _recognises(format, folder) else None
            if layout is not None and any(layout.splits.values()):
                return layout
        return None

    layout = find(root)
    if layout is None:
        below = [layout for folder in list(subfolders(root).values())[:_MAX_FOLDERS] if (layout := find(folder))]
        layout = below[0] if len(below) == 1 else None
    return layout


def _recognises(format: Format, folder: Path) -> bool:
    try:
        return format.recognise is not None and format.recognise(folder)
    except PixelwiseError:
        raise
    except Exception:
        if format.name in FORMATS.own():
            raise
        return False  # W242 names the package where the format itself is tried


def _of_names(
    root: Path, rows: Mapping[str, Sequence[Listed]], lists: Lists, base: Layout, malformed: Sequence[Finding]
) -> Layout | None:
    """Other data, divided by lists of names (with or without folders and extensions); None if no name is known."""
    samples = list(dict.fromkeys(sample for found in base.splits.values() for sample in found))
    splits, problems = divided_by_lists(samples, rows, root)
    if not any(splits.values()):
        return None
    listed = {sample.image_path for found in splits.values() for sample in found}
    folders = base.description.partition(",")[0]
    # Files that no list names were left out on purpose.
    kept = [problem for problem in base.problems if problem.code not in ("D221", "D220", "W220", "W216")]
    return msgspec.structs.replace(
        base,
        name="lists",
        description=f"{folders}, {len(listed)} of {len(samples)} images named in {lists.names}",
        root=root,
        splits=in_order(splits),
        problems=(*kept, *malformed, *problems),
    )


def _write(root: Path, scenes: Scenes) -> None:
    for split, members in scenes.splits.items():
        lines = []
        for number, scene in enumerate(members):
            # Neutral names of folders: only the list tells what they hold.
            image, mask = f"cam/{split}{number:04d}.png", f"out/{split}{number:04d}.png"
            write_image(root / image, scene.image)
            write_image(root / mask, scenes.mask(scene))
            lines.append(f"{image} {mask}\n")
        write_text(root / f"{split}.txt", "".join(lines))
    write_description(root, scenes.classes)


register(
    Format(
        name="lists",
        title="train.txt and val.txt with `IMAGE MASK` per line",
        expected="train.txt and val.txt with `image mask` per line, or a CSV file with the columns image and mask",
        layout=lists_layout,
        recognise=lambda root: find_lists(root) is not None,
        priority=LISTS,
        miniature=Miniature(write=_write),
    )
)
