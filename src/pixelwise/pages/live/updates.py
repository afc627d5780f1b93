"""What has to be sent to a page, given what it was sent before; that is said by the id of the last event alone."""

from __future__ import annotations

import zlib
from typing import Any, NamedTuple

import msgspec

from pixelwise.pages.live.following import FRAGMENTS, Shown
from pixelwise.pages.live.thinning import Curve


class Position(NamedTuple):
    """What a page was sent: the id of an event, so that the server remembers nothing of a page.

    Attributes:
        mark: The mark of what was shown.
        steps: Size of the groups of the curve of steps, and number of its whole ones.
        evaluations: The same of the curve of evaluations.
        paces: Number of measurements of the pace, and step of the last one.
        sums: Checksums of each part of the page, of the ends of the curves, of what is said, and of the pictures.
    """

    mark: str
    steps: tuple[int, int]
    evaluations: tuple[int, int]
    paces: tuple[int, int]
    sums: tuple[str, ...]

    def text(self) -> str:
        """The position as the id of an event."""
        numbers = (*self.steps, *self.evaluations, *self.paces)
        return ".".join([self.mark, *map(str, numbers), *self.sums])


def position_of(shown: Shown) -> Position:
    """The position of a page that shows everything."""
    # The last point of a curve may stand for more values now.
    ends = repr((shown.steps.points[-1:], shown.evaluations.points[-1:]))
    texts = [*(shown.fragments[name] for name in FRAGMENTS), ends, shown.said, msgspec.json.encode(shown.moments)]
    return Position(
        mark=shown.mark,
        steps=(shown.steps.size, shown.steps.whole),
        evaluations=(shown.evaluations.size, shown.evaluations.whole),
        paces=(len(shown.paces), int(shown.paces[-1][0] or 0) if shown.paces else 0),
        sums=tuple(f"{zlib.crc32(text.encode() if isinstance(text, str) else text):x}" for text in texts),
    )


def parsed(text: str) -> Position | None:
    """The position of an id; None for any other text."""
    parts = text.split(".")
    if len(parts) != 7 + len(FRAGMENTS) + 3 or not all(one.isascii() and one.isdecimal() for one in parts[1:7]):
        return None
    a, b, c, d, e, f = (int(one) if len(one) < 16 else -1 for one in parts[1:7])
    return Position(parts[0], (a, b), (c, d), (e, f), tuple(parts[7:]))


def update(before: Position | None, shown: Shown) -> dict[str, Any]:
    """What a page lacks, as JSON values; empty if it lacks nothing.

    Args:
        before: What it was sent; None if nothing.
        shown: What it is to show.

    Returns:
        `steps`, `evaluations` and `paces`: the points from number `from` on, which replace those after it, and
        `size`, the number of values of each. `fragments`: the HTML of parts of the page by name. `pictures`: what the
        predictions are of. `said`: what screen readers say. `state`: the state of the run.
    """
    after = position_of(shown)
    if before == after:
        return {}
    if before is None or before.mark != after.mark or len(before.sums) != len(after.sums):
        before = Position(after.mark, (0, 0), (0, 0), (0, 0), ("",) * len(after.sums))
    found: dict[str, Any] = {"state": shown.state}
    found["steps"] = _rest(before.steps, shown.steps)
    found["evaluations"] = _rest(before.evaluations, shown.evaluations)
    number, step = before.paces
    same = 0 < number <= len(shown.paces) and shown.paces[number - 1][0] == step
    start = number if same else 0
    found["paces"] = {"size": 1, "from": start, "points": shown.paces[start:]}
    changed = [old != new for old, new in zip(before.sums, after.sums, strict=True)]
    names = [name for name, new in zip(FRAGMENTS, changed, strict=False) if new]
    found["fragments"] = {name: shown.fragments[name] for name in names}
    if changed[-2]:
        found["said"] = shown.said
    if changed[-1]:
        found["pictures"] = {
            "images": [one.id for one in shown.moments.images],
            "moments": [{"step": one.step, "layers": one.layers} for one in shown.moments.moments],
        }
    found["classes"] = shown.classes
    return found


def _rest(before: tuple[int, int], curve: Curve) -> dict[str, Any]:
    """The points that a page lacks: those that are new, and the last one as it is now."""
    size, whole = before
    start = whole if size == curve.size and whole <= curve.whole else 0
    return {"size": curve.size, "from": start, "points": curve.points[start:]}
