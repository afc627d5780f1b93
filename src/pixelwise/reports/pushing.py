"""What was sent to the Hugging Face Hub, or would be, on the terminal or as JSON."""

from __future__ import annotations

import msgspec

from pixelwise.checkpoints.hub.pushing import Pushed
from pixelwise.reports.standard_output import write, write_json
from pixelwise.storage import printable


def show_pushed(pushed: Pushed, *, dry: bool = False, as_json: bool = False) -> None:
    """Print the files with their sizes, the page, and how others use the run.

    Args:
        pushed: What was sent.
        dry: Whether nothing was sent.
        as_json: Print all of it as JSON.
    """
    if as_json:
        write_json(msgspec.to_builtins(pushed) | {"bytes": pushed.bytes})
        return
    write(described(pushed, dry=dry))


def described(pushed: Pushed, *, dry: bool) -> str:
    """The lines for a terminal."""
    lines = [f"{size:>13,} bytes  {printable(name)}" for name, size in pushed.files.items()]
    lines += [f"{'removed':>19}  {printable(name)}" for name in pushed.removed]
    lines.append(f"{len(pushed.files)} files, {pushed.bytes / 1e6:.1f} MB")
    if dry:
        lines.append(f"nothing was sent; without --dry-run it goes to {pushed.url}")
    else:
        seen = "you and your organization alone" if pushed.private else "everybody"
        made = "created" if pushed.created else "updated"
        lines.append(f"{made}: {pushed.url} (commit {pushed.commit[:12]}); {seen} can read it")
        lines.append(f"use it with: pixelwise predict {pushed.address} IMAGES")
    return "\n".join(lines) + "\n"
