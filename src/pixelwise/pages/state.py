"""What a leaderboard shows, kept in its address: sorting, axis of the plot, runs that are pinned, hidden or chosen."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

import msgspec

COLUMNS = {
    "miou": "mIoU",
    "boundary": "Boundary IoU",
    "parameters": "Parameters, M",
    "gmacs": "GMACs",
    "latency": "ms per image",
    "minutes": "Training, min",
}
"""Column that a leaderboard can be sorted by -> its heading."""
RISING = ("miou", "boundary")
"""Columns whose greatest value is the best."""
AXES = {"gmacs": "GMACs per image", "latency": "ms per image", "minutes": "minutes of training"}
"""Column that the score can be plotted against -> name of the axis."""


class State(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a leaderboard.

    Attributes:
        sort: Column that it is sorted by.
        reverse: Whether the worst value comes first.
        axis: Column that the score is plotted against.
        pinned: Ids of the results that come first in their group, in the order of pinning.
        hidden: Ids of the results that are left out.
        chosen: Ids of the results to be compared, at most two: of more, the last ones.
    """

    sort: str = "miou"
    reverse: bool = False
    axis: str = "gmacs"
    pinned: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    chosen: tuple[str, ...] = ()

    def address(self, **changes: Any) -> str:
        """The address of the leaderboard in this state, or in this one with changes."""
        state = msgspec.structs.replace(self, **changes)
        pairs = [
            *([("sort", state.sort)] if state.sort != "miou" else ()),
            *([("reverse", "1")] if state.reverse else ()),
            *([("axis", state.axis)] if state.axis != "gmacs" else ()),
            *(("pin", id) for id in state.pinned),
            *(("hide", id) for id in state.hidden),
            *(("with", id) for id in state.chosen),
        ]
        return f"/runs?{urlencode(pairs)}" if pairs else "/runs"

    def sorted_by(self, column: str) -> str:
        """The address in which the heading of a column leads: the best first, or the reverse of that."""
        return self.address(sort=column, reverse=self.sort == column and not self.reverse)

    def toggled(self, field: str, id: str) -> str:
        """The address in which an id is added to `pinned`, `hidden` or `chosen`, or taken out."""
        ids: tuple[str, ...] = getattr(self, field)
        ids = tuple(one for one in ids if one != id) if id in ids else (*ids, id)
        return self.address(**{field: ids[-2:] if field == "chosen" else ids})


def state_of(query: Iterable[tuple[str, str]], known: Iterable[str]) -> State:
    """The state that an address describes; what it does not know is ignored.

    Args:
        query: Names and values of the address.
        known: The ids of all results.
    """
    pairs, ids = list(query), set(known)
    single = dict(pairs)

    def listed(name: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(value for key, value in pairs if key == name and value in ids))

    return State(
        sort=single["sort"] if single.get("sort") in COLUMNS else "miou",
        reverse=single.get("reverse") == "1",
        axis=single["axis"] if single.get("axis") in AXES else "gmacs",
        pinned=listed("pin"),
        hidden=listed("hide"),
        chosen=listed("with")[-2:],
    )
