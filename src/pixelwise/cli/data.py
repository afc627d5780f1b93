"""`pixelwise data ...`: getting, making, dividing, converting and measuring data sets; the cache."""

from __future__ import annotations

from pathlib import Path

import typer

from pixelwise.cli.options import Verb, takes
from pixelwise.datasets.preparing.options import ConvertOptions, PrepareOptions, SplitOptions

app = typer.Typer(no_args_is_help=True, help="Get, make, divide, convert and measure data sets.")


@app.callback()
def _group() -> None:
    """Get, make, divide, convert and measure data sets."""


@app.command(cls=Verb)
@takes(PrepareOptions)
def prepare(
    name: str = typer.Argument(
        None,
        help="Name of a public data set: {names of pixelwise.datasets.preparing.fetching:list_public_data}. Without it "
        "they are listed with their terms.",
    ),
    root: Path = typer.Option(
        None, "--root", help="Folder of the data set; archives that lie in it are used. Without it: data/NAME."
    ),
    *,
    options: PrepareOptions,
) -> None:
    """Bring a public data set into a folder: download, check, unpack, convert.

    An interrupted download is continued by the same command. Archives are checked by SHA-256 and refused as a whole
    if they hold anything but plain files. Data behind a login is named with what to put where.
    """
    import pixelwise
    from pixelwise.reports.data import print_prepared, print_public_data
    from pixelwise.reports.displays import display

    if name is None:
        print_public_data(pixelwise.list_public_data())
        return
    with display(phases=True) as observer:
        prepared = pixelwise.prepare(name, root, options, observer=observer)
    print_prepared(prepared)


@app.command(cls=Verb)
@takes(SplitOptions)
def split(
    root: Path = typer.Argument(..., help="Folder of the data set."),
    overrides: list[str] = typer.Argument(None, help="How to read the data, such as data.dataset=folder."),
    *,
    options: SplitOptions,
) -> None:
    """Divide a data set into train, val and test: writes lists, moves no file.

    What decides is the hash of the names alone, so it is the same everywhere. Frames of a video belong together:
    --group '^[^_]+' keeps what comes before the first underscore in one split.
    """
    import pixelwise
    from pixelwise.reports.data import print_division

    print_division(pixelwise.split(root, overrides or (), options))


@app.command(cls=Verb)
@takes(ConvertOptions)
def convert(
    root: Path = typer.Argument(..., help="Folder of the data set."),
    output: Path = typer.Argument(..., help="Folder to create."),
    overrides: list[str] = typer.Argument(None, help="How to read the data, such as 'data.allow=[\"D220\"]'."),
    *,
    options: ConvertOptions,
) -> None:
    """Write any readable data set as images and masks of class ids."""
    import pixelwise
    from pixelwise.reports.data import print_written_data
    from pixelwise.reports.displays import display

    with display() as observer:
        written = pixelwise.convert(root, output, overrides or (), options, observer=observer)
    print_written_data(written)


@app.command(cls=Verb)
def stats(
    root: Path = typer.Argument(..., help="Folder of the data set."),
    overrides: list[str] = typer.Argument(None, help="How to read the data, such as data.channels=[3,2,1]."),
    json: bool = typer.Option(False, "--json", help="Print everything as JSON."),
) -> None:
    """Measure a data set: pixels and images by class, sizes, colours, class weights."""
    import pixelwise
    from pixelwise.reports.data import print_statistics
    from pixelwise.reports.displays import display

    with display() as observer:
        measured = pixelwise.statistics(root, overrides or (), observer=observer)
    print_statistics(measured, as_json=json)


@app.command(cls=Verb)
def cache(
    clear: bool = typer.Option(False, "--clear", help="Remove what can be computed again and no process uses."),
    kinds: list[str] = typer.Option(
        None,
        "--kind",
        help="Look at this kind only, entry by entry; may be repeated. Kinds that cannot be computed again are removed "
        "only where they are named here.",
    ),
    json: bool = typer.Option(False, "--json", help="Print everything as JSON."),
) -> None:
    """Show what Pixelwise keeps in the cache folder: every kind, its entries, their size, and what they are for."""
    import pixelwise
    from pixelwise.reports.caching import print_cache

    print_cache(pixelwise.cache(kinds or (), clear=clear), kinds or (), as_json=json)


@app.command(cls=Verb)
def town(
    output: Path = typer.Argument(..., help="Folder to create: images/ and masks/ with train, val and test."),
    overrides: list[str] = typer.Argument(
        None, help="Changes of the town-demo recipe's data, such as data.town_images=[100,20,20]."
    ),
) -> None:
    """Draw the synthetic town: street scenes with exact labels in CamVid's 11 classes."""
    import pixelwise
    from pixelwise.reports.data import print_written_data
    from pixelwise.reports.displays import display

    with display() as observer:
        written = pixelwise.draw_town(output, overrides or (), observer=observer)
    print_written_data(written)
