"""What to do where a public data set lacks a part: the command that brings it."""

from __future__ import annotations

import shlex
from pathlib import Path

import msgspec

from pixelwise.datasets.findings import Finding
from pixelwise.datasets.layouts.layout import Layout
from pixelwise.storage import printable

PREPARED_AS = {
    "camvid": "camvid",
    "cityscapes": "cityscapes",
    "voc-aug": "voc-aug",
    "ade20k": "ade20k",
    "ade20k32": "ade20k",
    "cocoseg21": "coco",
    "cocoseg21-edgeai": "coco",
    "cocostuff171": "cocostuff",
    "camvid32": "camvid-original",
}
"""What `data.dataset` calls a data set -> what `pixelwise data prepare` calls it."""
# Archives unpack to these folders, and `--root` is where they lie.
_UNPACKED = (("VOCdevkit", "VOC2012"), ("ADEChallengeData2016",))
_MISSING = ("D220", "D221", "D226")


def prepare_command(name: str, root: Path) -> str | None:
    """`pixelwise data prepare voc-aug --root DATA` for the data set `name` in `root`; None where it is not public.

    Args:
        name: As `data.dataset` calls it.
        root: The data set's folder, or one that its archive unpacks to.
    """
    known = PREPARED_AS.get(name)
    if known is None:
        return None
    for folders in _UNPACKED:
        if root.parts[-len(folders) :] == folders:
            root = Path(*root.parts[: -len(folders)])
    return f"pixelwise data prepare {known} --root {shlex.quote(printable(root))}"


def with_command(layout: Layout) -> Layout:
    """The layout, whose findings about missing files (D220, D221, D226) name the command that brings them."""
    command = prepare_command(layout.name, layout.root)
    if command is None:
        return layout

    def named(problem: Finding) -> Finding:
        if problem.code not in _MISSING or not problem.fix:
            return problem
        return msgspec.structs.replace(problem, fix=f"{problem.fix}; `{command}` brings or names what is missing")

    return msgspec.structs.replace(
        layout,
        problems=tuple(named(problem) for problem in layout.problems),
        problems_of={split: tuple(named(one) for one in found) for split, found in layout.problems_of.items()},
    )
