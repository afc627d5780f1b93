"""Who watches the work of a public function if its caller names nobody: a display, where somebody can see it."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

from pixelwise.machine.console import in_notebook, on_terminal
from pixelwise.observer import SILENT, Observer, observing


@contextlib.contextmanager
def observer_or_display(observer: Observer | None, keywords: dict[str, Any] | None = None) -> Iterator[Observer]:
    """The observer of a call: that of the caller, else a display on a terminal or in a notebook, else a silent one.

    Args:
        observer: The observer that the caller gave; None if it gave none. `SILENT` stays silent.
        keywords: Further keywords of the call, from which the functions `progress` and `warn` are removed: they are
            observers, too.
    """
    found = observing(observer or SILENT, {} if keywords is None else keywords)
    if observer is not None or found is not SILENT or not (in_notebook() or on_terminal(sys.stderr)):
        yield found
        return
    from pixelwise.reports.displays import display

    with display() as shown:
        yield shown


def is_read_here() -> bool:
    """Whether text on standard output is read by somebody who typed the call: on a terminal, outside a notebook.

    A notebook shows the value of a call instead.
    """
    return on_terminal(sys.stdout) and not in_notebook()
