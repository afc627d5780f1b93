"""Classes of a folder that does not name them: what its masks hold decides."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from pixelwise.datasets.diagnosis import compact_map, describe_ids, label_map_override
from pixelwise.datasets.findings import Finding, finding
from pixelwise.datasets.fingerprint import stat_signature
from pixelwise.datasets.labels import LabelTable, count_values
from pixelwise.datasets.reading import load_mask
from pixelwise.errors import DataError
from pixelwise.recipes.classes import IGNORE, Color
from pixelwise.storage import cache_folder, printable, write_bytes

_THREADS = 2
_MAX_CLASSES = 254
_MAX_IDS = 65536
_NO_TABLE = LabelTable()


class MaskIds(msgspec.Struct, frozen=True, kw_only=True):
    """The raw ids of all masks together.

    Attributes:
        files: Raw id -> the masks that hold it: how many, and the first one (printable).
        palette: Colours of the first palette image among them, by raw id; empty if there is none.
    """

    files: dict[int, tuple[int, str]]
    palette: tuple[Color, ...] = ()


def read_mask_ids(masks: Sequence[Path], *, max_pixels: int) -> MaskIds:
    """Decode all masks and collect their raw ids; unreadable, lossy and RGB ones are left to the audit.

    The result is kept in the user's cache folder until a mask changes.
    """
    cached = cache_folder() / f"mask-ids-{stat_signature(masks)[:20]}.msgpack"
    try:
        return msgspec.msgpack.decode(cached.read_bytes(), type=MaskIds)
    except (OSError, msgspec.DecodeError):
        pass  # not computed yet, or written by another version

    def examine(path: Path) -> tuple[list[int], list[Color]]:
        try:
            raw = load_mask(path, _NO_TABLE, max_pixels=max_pixels)
        except DataError:
            return [], []
        if raw.values.ndim != 2 or not raw.lossless:
            return [], []
        colors = raw.palette.tolist() if raw.palette is not None else []
        return list(count_values(raw.values)), [(r, g, b) for r, g, b in colors]

    files: dict[int, tuple[int, str]] = {}
    palette: list[Color] = []
    with ThreadPoolExecutor(_THREADS) as pool:
        for path, (ids, colors) in zip(masks, pool.map(examine, masks), strict=True):
            palette = palette or colors
            if len(files) > _MAX_IDS:
                break  # 32-bit numbers of some other kind; more of them would say nothing new
            for raw_id in ids:
                count, first = files.get(raw_id, (0, printable(path)))
                files[raw_id] = (count + 1, first)
    result = MaskIds(files=files, palette=tuple(palette))
    write_bytes(cached, msgspec.msgpack.encode(result))
    return result


def infer_label_map(ids: MaskIds) -> tuple[dict[int, int], list[Finding]]:
    """Raw id -> class id for masks whose classes nobody named.

    Ids 0..n-1 are classes and 255 is ignored. Anything else is a finding (D204 gaps, D206 black and
    white) that proposes the map which is returned, so that allowing the finding accepts it.

    Returns:
        The map, empty where no map makes sense, and the findings.
    """
    found = sorted(set(ids.files) - {IGNORE})
    with_ignore = {IGNORE} & set(ids.files)
    if found == list(range(len(found))) and not (len(found) < 2 and with_ignore):
        return dict.fromkeys(with_ignore, IGNORE) | {i: i for i in found}, []
    files = [ids.files[raw][1] for raw in (found or [IGNORE])]
    first = list(dict.fromkeys(files))
    if found == [0]:
        override = label_map_override({0: 0, IGNORE: 1})
        return {0: 0, IGNORE: 1}, [
            finding(
                "D206",
                "the masks hold only 0 and 255: 255 means ignored here, so a single class would be left",
                first,
                f"if 255 is the object, add {override}",
            )
        ]
    if not found or len(found) > _MAX_CLASSES:
        what = f"{len(found)} different ids" if found else "only 255, which means ignored"
        return {}, [
            finding(
                "D204",
                f"the masks hold {what}; expected class ids 0..n-1",
                first,
                "export masks with class ids; many ids come from interpolation, photos or instance numbers",
            )
        ]
    proposal = compact_map(ids.files)
    return proposal, [
        finding(
            "D204",
            f"the masks hold the ids {describe_ids(ids.files)}; expected 0..{len(found) - 1} without gaps",
            first,
            f"add {label_map_override(proposal)}, or name the classes in data.classes",
        )
    ]
