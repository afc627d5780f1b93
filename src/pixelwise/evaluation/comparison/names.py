"""Names of sides: as short as they differ, and never those of two."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from pixelwise.records.seeds.folder import runs_within
from pixelwise.storage import printable


def names_of(sides: Sequence[Sequence[Path]]) -> list[str]:
    """A name for each side.

    It is that of its run, that of the folder which holds all its runs and no others, what the names of its runs and of
    no others begin with (`unet-*`), or that of the first run with the number of the others.

    Args:
        sides: The folders of the runs of each side.
    """
    names = [_name(side, _others(sides, place), _last) for place, side in enumerate(sides)]
    whole = [_name(side, _others(sides, place), printable) for place, side in enumerate(sides)]
    for longer in (whole, [f"{name} ({place})" for place, name in enumerate(whole, 1)]):
        twice = {name for name, number in Counter(names).items() if number > 1}
        names = [long if name in twice else name for name, long in zip(names, longer, strict=True)]
    return names


def _others(sides: Sequence[Sequence[Path]], place: int) -> list[Path]:
    return [path for number, side in enumerate(sides) if number != place for path in side]


def _last(path: Path) -> str:
    return printable(path.name or path)


def _name(paths: Sequence[Path], others: Sequence[Path], shown: Callable[[Path], str]) -> str:
    if len(paths) == 1:
        return shown(paths[0])
    parents = {path.parent for path in paths}
    if len(parents) == 1 and not parents & {path.parent for path in others}:
        (parent,) = parents
        if parent != Path() and runs_within(parent):
            return shown(parent)
    first, last = min(map(shown, paths)), max(map(shown, paths))
    start = "".join(a for a, _ in itertools.takewhile(lambda both: both[0] == both[1], zip(first, last, strict=False)))
    if start and not any(shown(path).startswith(start) for path in others):
        return f"{start}*"
    return f"{shown(paths[0])} and {len(paths) - 1} more"
