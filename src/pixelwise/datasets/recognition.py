"""Recognises the data format of a folder: the named one, or the first that fits."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from pixelwise.datasets.classes.familiarity import unlike
from pixelwise.datasets.findings import finding
from pixelwise.datasets.format import FORMATS, LISTS, MASKS, UNMISTAKABLE, Format, OtherFormatError, format_of
from pixelwise.datasets.layouts.description import is_described
from pixelwise.datasets.layouts.endings import other_files
from pixelwise.datasets.layouts.layout import Layout
from pixelwise.datasets.layouts.listing import holds_files, list_images, subfolders
from pixelwise.datasets.layouts.lists.unread import unread_lists
from pixelwise.datasets.layouts.matching import is_mask_name
from pixelwise.datasets.layouts.near_misses import near_miss
from pixelwise.datasets.layouts.splits import Divided
from pixelwise.datasets.layouts.words import Kind, kind_of
from pixelwise.datasets.shards.foreign.fields import Fields
from pixelwise.datasets.shards.layout import is_sharded, layout_of, open_shards
from pixelwise.entry_points import warn
from pixelwise.errors import DataError, PixelwiseError
from pixelwise.storage import printable

# An archive may unpack to nested folders; and many folders hold one image each rather than one data set each.
_MAX_DEPTH = 3
_MAX_FOLDERS = 16
_MOST_NAMES = 8
_BY_NAME = Fields()
_ANNOTATED = frozenset({".json", ".xml", ".txt", ".csv"})


def find_layout(format: Format | None, root: Path, asked: Fields = _BY_NAME) -> Layout:
    """Find the images and masks below a folder.

    A folder of shards says itself what it is. Of others, the folder itself is tried first, then the folders below it,
    one of which may be a data set, and finally the last resorts of the formats.

    Args:
        format: The format to read the folder as; None takes the first that is recognised and finds images with masks.
        root: The folder, which must exist.
        asked: Fields of images and masks in tars and tables of other programs.

    Raises:
        DataError: D222, the folder holds no such data, or several data sets; D243, it holds data of a kind that is not
            read; D270, D272, D273 or D274, its shards cannot be read; any that the format's `layout` raises.
    """
    if is_sharded(root):
        return _of_shards(format, root, asked)
    layout = _layout(format, root)
    if layout is not None and not any(layout.splits.values()) and not _holds_masks(root):
        missed = near_miss(root)
        if missed is not None:
            raise missed
    if layout is not None:
        return layout
    below = _layouts_below(format, root)
    if len(below) == 1:
        return _of_inner_folder(below[0], root)
    # Only now: several data sets side by side must not be read as one.
    layout = None if below else _last_resort(format, root)
    if layout is None:
        raise _several(root, below) if below else near_miss(root) or _not_recognised(format, root)
    return layout


def _of_shards(format: Format | None, root: Path, asked: Fields) -> Layout:
    shards = open_shards(root, asked)
    layout = layout_of(shards, root)
    if format is not None and format.classes is not None and not shards.index.facts.exact:
        # Tars of other programs do not say what the values of their masks mean.
        return msgspec.structs.replace(layout, name=format.name)
    if format is not None and format.name != layout.name:
        raise DataError(
            "D222",
            f"{printable(root)}: holds shards of data in the format '{layout.name}', not '{format.name}'",
            f"leave data.dataset out, or set data.dataset={layout.name}",
        )
    return layout


def _holds_masks(root: Path) -> bool:
    """Whether any image is a mask by the name of its file or of a folder above it."""
    return any(
        is_mask_name(entry.path.stem) or any(kind_of(part) is Kind.MASKS for part in entry.key.split("/")[:-1])
        for entry in list_images(root).entries
    )


def recognised(root: Path) -> Iterator[Format]:
    """The formats that `data.dataset=auto` tries on a folder, in order of priority.

    A folder that describes its classes (`dataset.toml`) is a custom data set, whatever its files are called.
    """
    own = is_described(root)
    for format in sorted(FORMATS.all().values(), key=lambda format: -format.priority):
        if own and format.classes is not None and format.priority < UNMISTAKABLE:
            continue
        if _recognises(format, root):
            yield format


def _recognises(format: Format, root: Path) -> bool:
    if format.recognise is None:
        return False
    try:
        return format.recognise(root)
    except PixelwiseError:
        raise
    except Exception as error:
        if format.name in FORMATS.own():
            raise
        # Users of other formats should not be affected.
        warn(
            "W242",
            f"{printable(root)}: {FORMATS.module_of(format.name)} failed to check for data of the format "
            f"'{format.name}': {type(error).__name__}: {printable(str(error))}; the format is not tried",
            "update or remove the package that provides it",
        )
        return False


def _layout(format: Format | None, root: Path) -> Layout | None:
    first, drawn, doubtful, doubt = None, None, None, ""
    passed: list[Format] = []
    formats = recognised(root) if format is None else iter((format,))
    for one in formats:
        layout = None
        with contextlib.suppress(*(() if format else (OtherFormatError,))):
            layout = _named(one, one.layout, root)
            passed.append(one)
        if layout is not None and any(layout.splits.values()):
            if format is not None:
                return layout
            doubt = doubt or ("" if one.drawn or one.classes is None else unlike(layout))
            if one.classes is None:
                layout = _beside_lists(_beside_others(layout, root, passed[:-1], formats), one, root)
                return layout if doubtful is None else _read_differently(layout, doubtful, doubt)
            if not doubt:
                return layout
            doubtful = doubtful or layout
            continue
        # A format without a single pair is taken only if no other format finds one.
        first = first or layout
        drawn = drawn or (layout if one.drawn else None)
    if doubtful is not None:
        return _doubted(doubtful, doubt)
    # Without a single file of a mask, what is wrong with the annotations is the reason.
    return first if drawn is None or _holds_masks(root) else drawn


def _beside_others(layout: Layout, root: Path, passed: Sequence[Format], rest: Iterator[Format]) -> Layout:
    """The layout, with W227 if the folder holds annotations in other formats, too: the choice is not the user's.

    Lists name exactly what is read, be it annotations.

    Args:
        layout: The layout that is read.
        root: The folder.
        passed: The formats that are recognised and come before.
        rest: Those that come after.
    """
    if format_of(layout.name).priority >= LISTS or not holds_files(root, _ANNOTATED):
        return layout
    others = list(passed)
    with contextlib.suppress(PixelwiseError):  # what is damaged is not read
        others.extend(rest)
    unread = [one for one in others if one.drawn and one.priority < MASKS]
    if not unread:
        return layout
    said = finding(
        "W227",
        f"the folder also holds annotations in another format ({', '.join(one.title for one in unread)}), which are "
        f"not read: the labels are those of {format_of(layout.name).title}",
        [],
        f"no action is needed if both hold the same labels; to read the others instead: data.dataset={unread[0].name}",
    )
    return msgspec.structs.replace(layout, problems=(*layout.problems, said))


def _beside_lists(layout: Layout, format: Format, root: Path) -> Layout:
    """The layout, with W228 if masks are divided by name although files seem to say how they are to be divided."""
    if format.priority != MASKS or not isinstance(layout.splits, Divided):
        return layout
    lists = unread_lists(root, (sample.id for samples in layout.splits.values() for sample in samples))
    if not lists:
        return layout
    said = finding(
        "W228",
        f"the images are divided into train and val by their names, although {_shortened(_names(lists, root))} "
        f"{'seem' if len(lists) > 1 else 'seems'} to divide them",
        [printable(path) for path in lists],
        f"write the images of each split, one per line, into {shlex.quote(printable(root / 'train.txt'))} and val.txt "
        "beside it; if they are to be divided by name all the same: data.dataset=" + format.name,
    )
    return msgspec.structs.replace(layout, problems=(*layout.problems, said))


def _names(files: Sequence[Path], root: Path) -> list[str]:
    return [printable(path.relative_to(root).as_posix()) for path in files]


def _doubted(layout: Layout, doubt: str) -> Layout:
    """The layout of a public data set that the masks speak against, but that no other format can read."""
    said = finding(
        "W262",
        f"read as {format_of(layout.name).title} because of the names of the files, but {doubt}",
        [],
        "for other classes, call the folders images/ and masks/",
    )
    return msgspec.structs.replace(layout, problems=(*layout.problems, said))


def _read_differently(layout: Layout, doubtful: Layout, doubt: str) -> Layout:
    """The layout of other data than its names suggest, with a warning that says why."""
    said = finding(
        "W262",
        f"the files are named like those of {format_of(doubtful.name).title}, but {doubt}; so the classes are those of "
        "the masks",
        [],
        f"if it is this data set all the same: data.dataset={doubtful.name}",
    )
    return msgspec.structs.replace(layout, problems=(*layout.problems, said))


def _named(format: Format, find: Callable[[Path], Layout | None], root: Path) -> Layout | None:
    layout = find(root)
    return layout and msgspec.structs.replace(layout, name=format.name)


def _last_resort(format: Format | None, root: Path) -> Layout | None:
    for one in FORMATS.all().values() if format is None else (format,):
        if one.last_resort is not None and (layout := _named(one, one.last_resort, root)) is not None:
            return layout
    return None


def _layouts_below(format: Format | None, root: Path) -> list[Layout]:
    """The data sets in the folders below `root`: archives often unpack to a folder, or to nested folders."""
    for _ in range(_MAX_DEPTH):
        folders = list(subfolders(root).values())
        found = []
        for inner in folders[:_MAX_FOLDERS]:
            with contextlib.suppress(DataError):  # damage is reported when that folder itself is opened
                layout = _layout(format, inner)
                if layout is not None and any(layout.splits.values()):
                    found.append(layout)
        if found or len(folders) != 1:
            return found
        root = folders[0]
    return []


def _of_inner_folder(layout: Layout, root: Path) -> Layout:
    """The layout of a folder below `root`, which its description names; a `dataset.toml` in `root` applies."""
    return msgspec.structs.replace(
        layout,
        root=root if is_described(root) else layout.root,
        description=f"in {printable(layout.root.relative_to(root).as_posix())}/: {layout.description}",
    )


def _several(root: Path, below: Sequence[Layout]) -> DataError:
    folders = [shlex.quote(printable(layout.root)) for layout in below]
    message = f"{printable(root)}: holds {len(folders)} data sets: {_shortened(folders)}"
    return DataError("D222", message, f"name one of them, for example {folders[0]}")


def _not_recognised(format: Format | None, root: Path) -> DataError:
    try:
        entries = sorted(path.name + ("/" if path.is_dir() else "") for path in root.iterdir())
    except OSError as error:
        entries = [error.strerror or str(error)]
    files = len(list_images(root).entries)
    among = f" among {files} image files" if files else ""
    found = _shortened([printable(entry) for entry in entries]) or "nothing"
    message = f"{printable(root)}: no images with masks found{among}; it holds: {found}"
    _, advice = other_files(root)
    help = _help(format, root)
    return DataError("D222", message, f"{advice}; {help}" if advice else help)


def _help(format: Format | None, root: Path) -> str:
    if format is None:
        own = "; ".join(one.title for one in FORMATS.values() if one.classes is None)
        return f"expected images/ and masks/, or another format ({own}); docs/errors.md shows each under D222"
    command = format.prepare_command(root)
    made = "; without a folder it is generated" if format.generate is not None else ""
    return f"looked for {format.expected}{made}" + (f"; `{command}` gets or lists the missing files" if command else "")


def _shortened(names: Sequence[str]) -> str:
    return ", ".join(names[:_MOST_NAMES]) + (", ..." if len(names) > _MOST_NAMES else "")
