"""`pixelwise check PATH`: is anything wrong with the data?"""

from __future__ import annotations

from pathlib import Path

import typer


def run(
    path: Path = typer.Argument(..., help="Folder of the data set."),
    overrides: list[str] = typer.Argument(None, help="How to read it, such as data.exif=ignore."),
    recipe: str = typer.Option(None, "--recipe", help="Check against this recipe's data set and classes."),
    fresh: bool = typer.Option(False, "--fresh", help="Look at every file again, also at unchanged ones."),
    json: bool = typer.Option(False, "--json", help="Print everything as JSON."),
    html: Path = typer.Option(None, "--html", help="Write a page with overlays to this file; it needs no network."),
    write: Path = typer.Option(
        None, "--write", help="Write a recipe file for this data (.toml): classes, colours, splits."
    ),
) -> None:
    """Find out what is wrong with a data set.

    Looks at every image and mask and says what is wrong, in which file, and how to mend it. Nothing is written
    into the data folder. Besides, it measures class shares, colours, images that look alike in two splits, and the
    best mIoU that a network with coarse output can reach. Exit status 3 when training would be wrong.
    """
    from pixelwise.reports.audit.terminal import check_and_show

    if check_and_show(path, overrides or [], recipe=recipe, fresh=fresh, as_json=json, html=html, write=write):
        raise typer.Exit(3)
