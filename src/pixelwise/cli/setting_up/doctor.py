"""`pixelwise doctor`: what Pixelwise runs on, and what is wrong with it."""

from __future__ import annotations

import typer

EXAMPLES = ("pixelwise doctor", "pixelwise doctor --json > doctor.json  # for a bug report")
"""Shown at the end of the help."""


def run(json: bool = typer.Option(False, "--json", help="Print everything as JSON.")) -> None:
    """Examine what Pixelwise runs on: packages, GPUs, limits, folders, and what does not work together.

    Takes a few seconds, because PyTorch is imported in a process of its own. Names of users and hosts and environment
    variables are not printed, so the output can go into a bug report. The exit status is 1 if something is wrong;
    remarks leave it at 0.
    """
    import pixelwise
    from pixelwise.reports.doctor import print_examination

    examined = pixelwise.doctor()
    print_examination(examined, as_json=json)
    if not examined.is_well:
        raise typer.Exit(1)
