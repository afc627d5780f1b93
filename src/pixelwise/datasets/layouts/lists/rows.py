"""Reads the rows of a list of files: images alone or with their masks, separated in any usual way, or a CSV file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from pixelwise.datasets.findings import Finding, finding
from pixelwise.datasets.layouts.lists.lines import list_lines, list_text
from pixelwise.datasets.layouts.named_images import file_name
from pixelwise.datasets.layouts.words import IMAGE_WORDS, MASK_WORDS, SPLIT_NAMES
from pixelwise.datasets.reading.decoding import SUFFIXES
from pixelwise.errors import DataError
from pixelwise.storage import printable
from pixelwise.storage.documents import DocumentError, is_regular, parse_table

# The first column that exists is used: in a file with both `mask_path` and `label`, the label is a word.
_IMAGE_COLUMNS = (
    "image", "images", "image_path", "img", "img_path", "filename", "file_name", "path", *IMAGE_WORDS, "x",
)  # fmt: skip
_MASK_COLUMNS = ("mask", "masks", "mask_path", "label", "labels", "label_path", *MASK_WORDS, "y")
_HEADINGS = (*_IMAGE_COLUMNS, "id", "ids", "image_id", "name", "names")
_SPLIT_COLUMNS = ("split", "set", "subset", "fold")
# In a longer line, no paths with spaces are looked for; no system has such paths.
_LONGEST_PAIR = 8192
# Lists of a single class, as VOC's, say behind each name whether the image shows it.
_FLAGS = ("-1", "0", "1", "+1")


class Row(NamedTuple):
    """One line of a list.

    Attributes:
        number: Number of the line, from 1; of the entry, in a JSON file.
        line: The line as written.
        image: Path or name of the image.
        mask: Path of the mask; None in a list of images.
        split: The split that the line itself gives; None: that of the list.
    """

    number: int
    line: str
    image: str
    mask: str | None = None
    split: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """What the line may mean in a list of names: all of it, or what comes before a flag."""
        head, _, flag = self.line.rpartition(" ")
        flagged = (_unquoted(head),) if head.strip() and flag in _FLAGS else ()
        return tuple(dict.fromkeys((_unquoted(self.line), *flagged, *(() if self.mask else (self.image,)))))


class Columns(NamedTuple):
    """The delimiter of a CSV file, and the positions of its columns."""

    delimiter: str
    image: int
    mask: int
    split: int | None


def columns_of(file: Path) -> Columns | None:
    """The columns of a CSV file by its header; None if it has no header with image and mask.

    Raises:
        DataError: D228, the file cannot be read.
    """
    lines = list_text(file).splitlines()
    if not lines:
        return None
    for delimiter in (",", "\t", ";"):
        header = [cell.strip().strip('"').lower() for cell in lines[0].split(delimiter)]
        image = next((header.index(name) for name in _IMAGE_COLUMNS if name in header), None)
        mask = next((header.index(name) for name in _MASK_COLUMNS if name in header), None)
        if image is not None and mask is not None:
            split = next((header.index(name) for name in _SPLIT_COLUMNS if name in header), None)
            return Columns(delimiter, image, mask, split)
    return None


def read_rows(file: Path, problems: list[Finding]) -> list[Row]:
    """The rows of a list; malformed lines become D228 in `problems`.

    Raises:
        DataError: D228, the file cannot be read.
    """
    columns = columns_of(file)
    rows, wrong = _of_columns(file, columns) if columns is not None else _of_lines(file)
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


def read_split_file(file: Path) -> dict[str, list[Row]]:
    """Split -> rows of a JSON file `{"train": [...], "val": [...]}` of names, or of pairs of image and mask.

    Raises:
        DataError: D228, the file cannot be read or has another form.
    """
    expected = 'expected {"train": ["a.png", ...], "val": [...]}, or pairs ["a.png", "a_mask.png"]'
    help = "correct the file, or remove it if it does not divide these images"
    try:
        content: object = json.loads(list_text(file))
    except (ValueError, RecursionError) as error:
        raise DataError("D228", f"{printable(file)}: not valid JSON: {error}; {expected}", help) from error
    content = content if isinstance(content, dict) else {}
    splits = {SPLIT_NAMES.get(str(key).lower()): value for key, value in content.items()}
    if not splits or None in splits or not all(isinstance(value, list) for value in splits.values()):
        raise DataError("D228", f"{printable(file)}: is not understood; {expected}", help)
    rows: dict[str, list[Row]] = {}
    for split, values in splits.items():
        for number, value in enumerate(values, 1):
            fields = value if isinstance(value, list) else [value]
            if not 1 <= len(fields) <= 2 or not all(isinstance(field, str) and field for field in fields):
                shown = printable(json.dumps(value)[:60])
                raise DataError("D228", f"{printable(file)}: entry {number} of '{split}' is {shown}; {expected}", help)
            rows.setdefault(split or "", []).append(Row(number, " ".join(fields), *fields))
    if any(row.mask is None for found in rows.values() for row in found):
        # Where some masks are found by the name of the image, all are.
        return {split: [Row(row.number, row.image, row.image) for row in found] for split, found in rows.items()}
    return rows


def names_in(line: str) -> list[str]:
    """The images that a line names by its words, without folders and extensions.

    Flags, and the mask beside an image of the same name, name nothing further. A line that gives an image the mask of
    another name is returned as it is, because that is no name.
    """
    words = [word for word in line.split() if word not in _FLAGS] or line.split()
    files = [file_name(word) for word in words]
    stems = list(dict.fromkeys(Path(name).stem for name in files))
    bare = words == [Path(name).stem for name in files]
    return stems if bare or len(stems) == 1 else [line]


def is_prose(file: Path) -> bool:
    """Whether a text file holds sentences rather than names of files.

    Raises:
        DataError: D228, the file cannot be read.
    """
    lines = [line for _, line in list_lines(file) if line]
    names = any("/" in line or "\\" in line or any(ending in line.lower() for ending in SUFFIXES) for line in lines)
    return not names and 2 * sum(len(line.split()) > 2 for line in lines) >= len(lines) > 0


def _of_columns(file: Path, columns: Columns) -> tuple[list[Row], list[tuple[int, str]]]:
    delimiter, image, mask, split = columns
    rows: list[Row] = []
    wrong: list[tuple[int, str]] = []
    try:
        table = parse_table(list_text(file).splitlines(), delimiter, file)
    except DocumentError as error:
        raise DataError("D228", error.message, "save the list as CSV with the columns image and mask") from error
    for number, cells in enumerate(table, 1):
        if number == 1 or not any(cells):
            continue
        line = delimiter.join(cells)
        if len(cells) <= max(image, mask, split or 0) or not cells[image].strip() or not cells[mask].strip():
            wrong.append((number, line))
            continue
        own = printable(cells[split].strip()) if split is not None else ""
        rows.append(Row(number, line, cells[image].strip(), cells[mask].strip(), own or None))
    return rows, wrong


def _of_lines(file: Path) -> tuple[list[Row], list[tuple[int, str]]]:
    rows: list[Row] = []
    wrong: list[tuple[int, str]] = []
    for number, line in list_lines(file):
        heading = number == 1 and file.suffix.lower() == ".csv" and _unquoted(line).lower() in _HEADINGS
        if not line or heading:
            continue
        fields = _fields(line, file)
        if len(fields) > 2:
            wrong.append((number, line))
        elif fields:
            rows.append(Row(number, line, *fields))
    pairs = sum(row.mask is not None for row in rows)
    if pairs * 2 > len(rows):
        wrong += [(row.number, row.line) for row in rows if row.mask is None]
        return [row for row in rows if row.mask is not None], wrong
    # In a list of names, every word belongs to the name.
    return sorted([*rows, *(Row(number, line, line) for number, line in wrong)]), []


def _fields(line: str, file: Path) -> list[str]:
    """The paths in a line, separated by tabs, commas, semicolons or spaces; flags are left out.

    Spaces within names are recognised if the files exist.
    """
    folder = file.parent
    for delimiter in ("\t", ",", ";"):
        if delimiter in line:
            fields = _separated(line, delimiter, file)
            return fields[:1] if len(fields) == 2 and fields[1] in _FLAGS else fields
    words = _separated(line, " ", file)
    if len(words) == 2 and words[1] in _FLAGS:
        return [_unquoted(words[0])]
    if len(words) > 2 and len(line) <= _LONGEST_PAIR:
        for cut in range(1, len(words)):
            image, mask = _unquoted(" ".join(words[:cut])), _unquoted(" ".join(words[cut:]))
            if any(is_regular(base / image) and is_regular(base / mask) for base in (folder, folder.parent)):
                return [image, mask]
        if is_regular(folder / line):
            return [line]
        cuts = [at for at, word in enumerate(words[:-1], 1) if any(word.lower().endswith(end) for end in SUFFIXES)]
        if len(cuts) == 1 and any(words[-1].lower().endswith(end) for end in SUFFIXES):
            # The only word within the line that ends like an image ends the first name.
            return [" ".join(words[: cuts[0]]), " ".join(words[cuts[0] :])]
    return [_unquoted(word) for word in words]


def _separated(line: str, delimiter: str, file: Path) -> list[str]:
    try:
        fields = next(iter(parse_table([line], delimiter, file, spaced=True)), [])
    except DocumentError as error:
        raise DataError("D228", error.message, "write the path of one image, and of its mask, in each line") from error
    return [_unquoted(field) for field in fields if field.strip()]


def _unquoted(text: str) -> str:
    text = text.strip()
    return text[1:-1].strip() if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text.strip('"')
