"""What `pixelwise track` sent, as text and as JSON."""

from __future__ import annotations

from collections.abc import Sequence

from pixelwise.reports.standard_output import write, write_json
from pixelwise.storage import printable
from pixelwise.storage.names import counted
from pixelwise.training.trackers.sending import Sent


def print_sent(sent: Sequence[Sent], *, as_json: bool = False) -> None:
    """Print for each run and tracker how much was new, and where it is to be found."""
    if as_json:
        write_json(list(sent))
        return
    for one in sent:
        new = f"{counted(one.records, 'new record')}" if one.records else "no new record"
        write(f"{printable(one.run)} -> {one.tracker}: {new}\n  {one.where or one.tracked}\n")
