"""`pixelwise data ...`: download, generate, split, convert, shard and measure data sets; show the cache."""

from __future__ import annotations

from pathlib import Path

import typer

from pixelwise.cli.line.options import Verb, takes
from pixelwise.cli.line.verbs import MARKUP, Group
from pixelwise.datasets.preparing.options import ConvertOptions, PrepareOptions, ShardOptions, SplitOptions

app = typer.Typer(
    cls=Group,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=MARKUP,
    help="Download, generate, split, convert, shard and measure data sets.",
)

EXAMPLES = {
    "prepare": ("pixelwise data prepare", "pixelwise data prepare camvid --root CamVid"),
    "split": ("pixelwise data split photos", "pixelwise data split photos --val 0.2 --test 0.1 --seed 1"),
    "convert": ("pixelwise data convert coco masks", "pixelwise data convert photos small --size 480x360"),
    "shard": ("pixelwise data shard photos shards", "pixelwise data shard photos s3://bucket/photos --size 500MB"),
    "verify": ("pixelwise data verify shards",),
    "stats": ("pixelwise data stats photos",),
    "cache": ("pixelwise data cache", "pixelwise data cache --clear"),
    "town": ("pixelwise data town town", "pixelwise data town town 'town_images=[100,20,20]'"),
}
"""Verb -> examples at the end of its help."""


@app.callback()
def _group() -> None:
    """Download, generate, split, convert, shard and measure data sets."""


@app.command(cls=Verb)
@takes(PrepareOptions)
def prepare(
    name: str = typer.Argument(
        None,
        metavar="[NAME]",
        help="Name of a public data set: {names of pixelwise.datasets.preparing.fetching:list_public_data}. Without a "
        "name, lists them with their terms.",
    ),
    root: Path = typer.Option(
        None,
        "--root",
        metavar="DATA",
        help="Folder for the data set; archives already in it are used. Default: data/NAME.",
    ),
    *,
    options: PrepareOptions,
    json: bool = typer.Option(False, "--json", help="Print everything as JSON."),
) -> None:
    """Prepare a public data set: download, verify, unpack and convert it.

    The same command continues an interrupted download. Archives are verified by SHA-256 and refused as a whole if
    they contain anything but plain files. For data behind a login, the message says which file to put where.
    """
    import pixelwise
    from pixelwise.reports.data import print_prepared, print_public_data
    from pixelwise.reports.displays import display

    if name is None:
        print_public_data(pixelwise.list_public_data(), as_json=json)
        return
    with display(phases=True) as observer:
        prepared = pixelwise.prepare(name, root, options, observer=observer)
    print_prepared(prepared, as_json=json)


@app.command(cls=Verb)
@takes(SplitOptions)
def split(
    root: Path = typer.Argument(..., metavar="DATA", help="Folder of the data set."),
    overrides: list[str] = typer.Argument(
        None, metavar="[FIELD=VALUE]...", help="Settings for reading the data, such as data.dataset=folder."
    ),
    *,
    options: SplitOptions,
    json: bool = typer.Option(False, "--json", help="Print everything as JSON."),
) -> None:
    """Split a data set into train, val and test by writing lists; no file is moved.

    Every split gets its share of the images, and of the images of every class. The split depends only on the masks and
    a hash of the file names, so it is the same on every machine; --seed gives another one. Frames of a video belong
    together: --group '^[^_]+' keeps images with the same text before the first underscore in one split.
    """
    import pixelwise
    from pixelwise.reports.data import print_division
    from pixelwise.reports.displays import display

    with display() as observer:
        division = pixelwise.split(root, overrides or (), options, observer=observer)
    print_division(division, as_json=json)


@app.command(cls=Verb)
@takes(ConvertOptions)
def convert(
    root: Path = typer.Argument(..., metavar="DATA", help="Folder of the data set."),
    output: Path = typer.Argument(..., metavar="FOLDER", help="Folder to create."),
    overrides: list[str] = typer.Argument(
        None, metavar="[FIELD=VALUE]...", help="Settings for reading the data, such as 'data.allow=[\"D220\"]'."
    ),
    *,
    options: ConvertOptions,
    json: bool = typer.Option(False, "--json", help="Print everything as JSON."),
) -> None:
    """Write a data set of any supported format as images and masks of class ids."""
    import pixelwise
    from pixelwise.reports.data import print_written_data
    from pixelwise.reports.displays import display

    with display() as observer:
        written = pixelwise.convert(root, output, overrides or (), options, observer=observer)
    print_written_data(written, as_json=json)


@app.command(cls=Verb)
@takes(ShardOptions)
def shard(
    root: Path = typer.Argument(..., metavar="DATA", help="Folder of the data set."),
    output: Path = typer.Argument(
        ..., metavar="TARGET", help="Folder to create, or an address such as s3://bucket/photos."
    ),
    overrides: list[str] = typer.Argument(
        None, metavar="[FIELD=VALUE]...", help="Settings for reading the data, such as 'data.allow=[\"D220\"]'."
    ),
    *,
    options: ShardOptions,
    json: bool = typer.Option(False, "--json", help="Print everything as JSON."),
) -> None:
    """Put a data set into shards: large tars of its files as they are, and an index of them.

    The shards can be used like the original, by every command, with the same result: training reads the same images in
    the same order. A million pairs become a few thousand files, which file systems and object stores handle well.
    """
    import pixelwise
    from pixelwise.reports.data import print_sharded
    from pixelwise.reports.displays import display

    with display() as observer:
        sharded = pixelwise.shard(root, output, overrides or (), options, observer=observer)
    print_sharded(sharded, as_json=json)


@app.command(cls=Verb)
def verify(
    root: Path = typer.Argument(..., metavar="DATA", help="Folder of a data set in shards."),
    json: bool = typer.Option(False, "--json", help="Print everything as JSON."),
) -> None:
    """Compare every file in shards with its SHA-256, and the tars with their index.

    The exit status is 3 if anything is wrong.
    """
    import pixelwise
    from pixelwise.reports.data import print_verification
    from pixelwise.reports.displays import display

    with display() as observer:
        found = pixelwise.verify(root, observer=observer)
    print_verification(found, as_json=json)
    if found.problems:
        raise typer.Exit(3)


@app.command(cls=Verb)
def stats(
    root: Path = typer.Argument(..., metavar="DATA", help="Folder of the data set."),
    overrides: list[str] = typer.Argument(
        None, metavar="[FIELD=VALUE]...", help="Settings for reading the data, such as data.channels=[3,2,1]."
    ),
    json: bool = typer.Option(False, "--json", help="Print everything as JSON."),
) -> None:
    """Measure a data set: pixels and images per class, image sizes, colours and class weights."""
    import pixelwise
    from pixelwise.reports.data import print_statistics
    from pixelwise.reports.displays import display

    with display() as observer:
        measured = pixelwise.statistics(root, overrides or (), observer=observer)
    print_statistics(measured, as_json=json)


@app.command(cls=Verb)
def cache(
    clear: bool = typer.Option(False, "--clear", help="Remove entries that can be recomputed and are not in use."),
    kinds: list[str] = typer.Option(
        None,
        "--kind",
        metavar="KIND",
        help="Show only this kind, entry by entry; may be repeated. Kinds that cannot be recomputed are cleared only "
        "if they are named here.",
    ),
    json: bool = typer.Option(False, "--json", help="Print everything as JSON."),
) -> None:
    """Show the contents of the cache folder: every kind with its number of entries, size and purpose."""
    import pixelwise
    from pixelwise.reports.caching import print_cache

    print_cache(pixelwise.cache(kinds or (), clear=clear), kinds or (), as_json=json)


@app.command(cls=Verb)
def town(
    output: Path = typer.Argument(
        ..., metavar="FOLDER", help="Folder to create: images/ and masks/ with train, val and test."
    ),
    overrides: list[str] = typer.Argument(
        None,
        metavar="[FIELD=VALUE]...",
        help="Changes to the data section of the town-demo recipe, such as data.town_images=[100,20,20].",
    ),
    json: bool = typer.Option(False, "--json", help="Print everything as JSON."),
) -> None:
    """Draw the synthetic town: street scenes with exact labels for CamVid's 11 classes."""
    import pixelwise
    from pixelwise.reports.data import print_written_data
    from pixelwise.reports.displays import display

    with display() as observer:
        written = pixelwise.draw_town(output, overrides or (), observer=observer)
    print_written_data(written, as_json=json)
