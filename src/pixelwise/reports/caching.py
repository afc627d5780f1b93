"""Terminal output of the verb `data cache`."""

from __future__ import annotations

from collections.abc import Collection

from rich.table import Table

from pixelwise.reports.numbers import count
from pixelwise.reports.standard_output import write_json
from pixelwise.reports.terminals import Console
from pixelwise.storage.cache_contents import CacheContents, CacheUse, Cleared


def print_cache(contents: CacheContents, chosen: Collection[str], *, as_json: bool) -> None:
    """Print the contents of the cache folder, and what clearing removed from it.

    Args:
        contents: Contents of the folder before anything was removed.
        chosen: Kinds named by the user; their entries are listed one by one.
        as_json: Print one JSON document instead.
    """
    if as_json:
        write_json(contents)
        return
    console = Console(highlight=False)
    if chosen:
        for use in contents.kinds:
            _print_entries(use, console)
    else:
        console.print(_table(contents))
    entries = sum(len(use.entries) for use in contents.kinds)
    _say(console, f"{contents.folder}: {_entries(entries)}, {_megabytes(contents.bytes)}")
    if contents.cleared is not None:
        _print_cleared(contents.cleared, contents, chosen, console)


def _table(contents: CacheContents) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("kind", no_wrap=True)
    table.add_column("entries", justify="right")
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("purpose")
    for use in contents.kinds:
        table.add_row(use.kind, count(len(use.entries)), _megabytes(use.bytes), use.purpose)
    return table


def _print_entries(use: CacheUse, console: Console) -> None:
    _say(console, f"{use.kind}: {use.purpose}")
    for entry in use.entries:
        about = f", {entry.about}" if entry.about else ""
        _say(console, f"  {entry.name}: {_megabytes(entry.bytes)}{about}")


def _print_cleared(cleared: Cleared, contents: CacheContents, chosen: Collection[str], console: Console) -> None:
    _say(console, f"removed {_entries(cleared.entries)}, {_megabytes(cleared.bytes)}")
    for name, reason in cleared.left.items():
        _say(console, f"  left: {name} {reason}")
    for use in contents.kinds:
        if use.permanent and use.entries and not chosen:
            _say(console, f"  left: {use.kind}, which cannot be recomputed; --kind {use.kind} clears it too")


def _entries(number: int) -> str:
    return "1 entry" if number == 1 else f"{count(number)} entries"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


def _say(console: Console, text: str) -> None:
    console.say(text)
