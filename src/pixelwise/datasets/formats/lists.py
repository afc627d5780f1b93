"""Data whose splits are lists: image and mask per line, one name per line, or CSV files.

    train.txt val.txt [test.txt]     images/a.jpg masks/a.png      two paths per line (space, tab or comma)
    train.txt val.txt [test.txt]     a                             one name per line, beside images/ and masks/
    train.csv val.csv [test.csv]     image,mask                    with a header
    dataset.csv                      image,mask,split              one file with a column for the split

Lists are looked for in the root, `lists/`, `splits/`, `ImageSets/Segmentation/` and `ImageSets/`. Paths are relative to
the list or to the root. A training list alone is split 80:20 into train and val by the images' names.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from pixelwise.datasets.findings import Finding, finding
from pixelwise.datasets.format import LISTS, Format, Miniature, Scenes, register
from pixelwise.datasets.formats.folder import folder_layout
from pixelwise.datasets.layouts.description import write_description
from pixelwise.datasets.layouts.layout import Layout, in_order
from pixelwise.datasets.layouts.splits import divided
from pixelwise.datasets.layouts.words import IMAGE_WORDS, MASK_WORDS, SPLIT_NAMES
from pixelwise.datasets.layouts.writing import write_image
from pixelwise.datasets.reading.decoding import SUFFIXES
from pixelwise.datasets.samples import Sample
from pixelwise.errors import DataError
from pixelwise.storage import printable, write_text
from pixelwise.storage.documents import DocumentError, is_regular, parse_table, read_lines
from pixelwise.storage.names import id_of

_PLACES = (".", "lists", "splits", "ImageSets/Segmentation", "ImageSets")
_ENDINGS = (".txt", ".csv", ".tsv", ".lst")
# The first column that exists is used: in a file with both `mask_path` and `label`, the label is a word.
_IMAGE_COLUMNS = (
    "image", "images", "image_path", "img", "img_path", "filename", "file_name", "path", *IMAGE_WORDS, "x",
)  # fmt: skip
_MASK_COLUMNS = ("mask", "masks", "mask_path", "label", "labels", "label_path", *MASK_WORDS, "y")
_SPLIT_COLUMNS = ("split", "set", "subset", "fold")
# In a longer line, no paths with spaces are looked for; no system has such paths.
_LONGEST_PAIR = 8192
# (line number, image, mask or None)
_Row = tuple[int, str, str | None]


def lists_layout(root: Path) -> Layout | None:
    """The layout of `root`, or None if it holds no list whose files exist.

    Malformed lines are D228 and files that do not exist are D220, both in `Layout.problems`.
    """
    files = _find(root)
    if not files:
        return None
    rows: dict[str, list[tuple[Path, _Row]]] = {}
    problems: list[Finding] = []
    for split, file in files.items():
        for own, row in _read(file, problems):
            rows.setdefault(SPLIT_NAMES.get((own or split).lower(), own or split), []).append((file, row))
    if all(mask is None for found in rows.values() for _, (_, _, mask) in found):
        return _of_names(root, rows, problems)
    splits: dict[str, tuple[Sample, ...]] = {}
    for split, found in rows.items():
        splits[split], more = _pairs(split, found, root)
        problems += more
    if not any(splits.values()):
        return None
    if list(splits) == ["train"]:
        splits = divided(splits["train"])
    return Layout(
        name="lists",
        description=f"lists of image and mask: {', '.join(sorted({printable(file.name) for file in files.values()}))}",
        root=root,
        splits=in_order(splits),
        problems=tuple(problems),
    )


def _find(root: Path) -> dict[str, Path]:
    """Split -> list file; a single CSV or TSV file with a header counts as `train`."""
    for place in _PLACES:
        folder = root / place
        try:
            files = sorted(path for path in folder.iterdir() if path.suffix.lower() in _ENDINGS and not path.is_dir())
        except OSError:
            continue
        named = {SPLIT_NAMES[path.stem.lower()]: path for path in reversed(files) if path.stem.lower() in SPLIT_NAMES}
        if "train" in named:
            return _in_order_of(named)
        tables = [path for path in files if path.suffix.lower() in (".csv", ".tsv") and _columns(path) is not None]
        if len(tables) == 1:
            return {"train": tables[0]}
    return {}


def _in_order_of(named: dict[str, Path]) -> dict[str, Path]:
    """The lists in the order train, val, test."""
    return {split: named[split] for split in ("train", "val", "test") if split in named}


def _lines(file: Path) -> list[str]:
    try:
        return read_lines(file, errors="surrogateescape")
    except DocumentError as error:
        raise DataError("D228", error.message, "save the list as text in UTF-8 that can be read") from error


def _columns(file: Path) -> tuple[str, int, int, int | None] | None:
    """Delimiter and indices of the columns of image, mask and split by the header; None without such a header."""
    lines = _lines(file)
    if not lines:
        return None
    for delimiter in (",", "\t", ";"):
        header = [cell.strip().strip('"').lower() for cell in lines[0].split(delimiter)]
        image = next((header.index(name) for name in _IMAGE_COLUMNS if name in header), None)
        mask = next((header.index(name) for name in _MASK_COLUMNS if name in header), None)
        if image is not None and mask is not None:
            return delimiter, image, mask, next((header.index(n) for n in _SPLIT_COLUMNS if n in header), None)
    return None


def _read(file: Path, problems: list[Finding]) -> list[tuple[str | None, _Row]]:
    """Split (None: that of the list) and row of every line; malformed lines become D228 in `problems`."""
    lines = _lines(file)
    columns = _columns(file)
    rows: list[tuple[str | None, _Row]] = []
    wrong: list[tuple[int, str]] = []
    if columns is not None:
        delimiter, image, mask, split = columns
        try:
            table = parse_table(lines, delimiter, file)
        except DocumentError as error:
            raise DataError("D228", error.message, "save the list as CSV with the columns image and mask") from error
        for number, cells in enumerate(table, 1):
            if number == 1 or not any(cells):
                continue
            if len(cells) <= max(image, mask, split or 0) or not cells[image].strip() or not cells[mask].strip():
                wrong.append((number, delimiter.join(cells)))
                continue
            own = printable(cells[split].strip()) if split is not None else None
            rows.append((own or None, (number, cells[image].strip(), cells[mask].strip())))
    else:
        for number, line in enumerate(lines, 1):
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            fields = _fields(line, file.parent)
            if not 1 <= len(fields) <= 2:
                wrong.append((number, line))
            else:
                rows.append((None, (number, fields[0], fields[1] if len(fields) == 2 else None)))
        pairs = sum(mask is not None for _, (_, _, mask) in rows)
        if pairs * 2 > len(rows):
            wrong += [(number, image) for _, (number, image, mask) in rows if mask is None]
            rows = [row for row in rows if row[1][2] is not None]
    if wrong:
        number, line = min(wrong)
        problems.append(
            finding(
                "D228",
                f"{printable(file)}: line {number} is '{printable(line[:80])}'; expected an image and its mask"
                + (f" (likewise in {len(wrong) - 1} more lines)" if len(wrong) > 1 else ""),
                [printable(file)],
                "separate the two paths by one space, a tab or a comma, or train without these lines: "
                "'data.allow=[\"D228\"]'",
            )
        )
    return rows


def _fields(line: str, folder: Path) -> list[str]:
    """The paths in a line, separated by tabs, commas, semicolons or spaces.

    Spaces within names are recognised if the files exist.
    """
    for delimiter in ("\t", ",", ";"):
        if delimiter in line:
            return [field.strip().strip('"') for field in line.split(delimiter) if field.strip()]
    words = line.split()
    if len(words) > 2 and len(line) <= _LONGEST_PAIR:
        for cut in range(1, len(words)):
            image, mask = " ".join(words[:cut]), " ".join(words[cut:])
            if any(is_regular(base / image) and is_regular(base / mask) for base in (folder, folder.parent)):
                return [image, mask]
        if is_regular(folder / line.strip()):
            return [line.strip()]
    return words


def _pairs(split: str, rows: Sequence[tuple[Path, _Row]], root: Path) -> tuple[tuple[Sample, ...], list[Finding]]:
    """Samples of the rows whose files exist, sorted by id; D220 for missing files, D130 for repeats, D221 for none."""
    found: dict[str, Sample] = {}
    missing: list[str] = []
    repeated: list[str] = []
    for file, (_, image, mask) in rows:
        paths = [_locate(text, file, root) for text in (image, mask or "")]
        if paths[0] is None or paths[1] is None:
            missing.append(printable(image if paths[0] is None else mask or ""))
            continue
        key = id_of(paths[0], root)
        if key in found and found[key] != Sample(key, paths[0], paths[1]):
            repeated.append(printable(image))
        found.setdefault(key, Sample(key, paths[0], paths[1]))
    problems = []
    if missing:
        problems.append(
            finding(
                "D220",
                f"{split}: {len(missing)} of {len(rows)} pairs in {printable(rows[0][0].name)} name a file that does "
                f"not exist, e.g. {missing[0]}",
                missing,
                "paths are relative to the list or to the data set's folder; correct the list, or train without these "
                "pairs: 'data.allow=[\"D220\"]'",
            )
        )
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


def _of_names(root: Path, rows: dict[str, list[tuple[Path, _Row]]], problems: list[Finding]) -> Layout | None:
    """Folders of images and masks, divided by lists of names (with or without folders and extensions)."""
    layout = folder_layout(root)
    if layout is None:
        return None
    samples = {sample.id: sample for found in layout.splits.values() for sample in found}
    by_name: dict[str, list[Sample]] = {}
    for sample in samples.values():
        by_name.setdefault(sample.id.rpartition("/")[2], []).append(sample)
    splits: dict[str, tuple[Sample, ...]] = {}
    for split, found in rows.items():
        chosen: dict[str, Sample] = {}
        missing = []
        for _, (_, name, _) in found:
            path = PurePosixPath(name.replace("\\", "/"))
            stem = path.with_suffix("") if path.suffix.lower() in SUFFIXES else path
            same = by_name.get(stem.name, [])
            sample = samples.get(stem.as_posix()) or (same[0] if len(same) == 1 else None)
            if sample is None:
                missing.append(printable(name))
            else:
                chosen[sample.id] = sample
        splits[split] = tuple(chosen[id] for id in sorted(chosen))
        if missing and chosen:
            problems.append(
                finding(
                    "D220",
                    f"{split}: {len(missing)} of {len(found)} names in {printable(found[0][0].name)} have no image "
                    f"with a mask, e.g. {missing[0]}",
                    missing,
                    "correct the list or add the files, or train without them: 'data.allow=[\"D220\"]'",
                )
            )
    if not all(splits.values()):
        return None  # unrelated text files
    if list(splits) == ["train"]:
        splits = divided(splits["train"])
    listed = {sample.id for found in splits.values() for sample in found}
    lists = ", ".join(sorted({printable(file.name) for found in rows.values() for file, _ in found}))
    folders = layout.description.partition(",")[0]
    # Files that no list names were left out on purpose.
    kept = [problem for problem in layout.problems if problem.code not in ("D221", "D220", "W220", "W216")]
    return Layout(
        name="lists",
        description=f"{folders}, {len(listed)} of {len(samples)} pairs named in {lists}",
        root=root,
        splits=in_order(splits),
        problems=(*kept, *problems),
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
        recognise=lambda root: bool(_find(root)),
        priority=LISTS,
        miniature=Miniature(write=_write),
    )
)
