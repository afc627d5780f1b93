"""`pixelwise data ...`: getting, making, dividing, converting and measuring data sets; the cache."""

from __future__ import annotations

from pathlib import Path

import typer

app = typer.Typer(no_args_is_help=True, help="Get, make, divide, convert and measure data sets.")


@app.callback()
def _group() -> None:
    """Get, make, divide, convert and measure data sets."""


@app.command()
def prepare(
    name: str = typer.Argument(None, help="camvid, voc-aug, ade20k, coco, cityscapes, ...; without it: what is known."),
    root: Path = typer.Option(None, "--root", help="The data set's folder; archives that lie in it are used."),
    download: bool = typer.Option(False, "--download", help="Fetch archives that are not there. Read the terms first."),
) -> None:
    """Bring a public data set into a folder: download, check, unpack, convert.

    An interrupted download is continued by the same command. Archives are checked by SHA-256 and refused as a whole
    if they hold anything but plain files. Data behind a login is named with what to put where.
    """
    from pixelwise.reports.data import prepare_and_show, show_known

    if name is None:
        show_known()
    else:
        prepare_and_show(name, root or Path("data") / name, download=download)


@app.command()
def split(
    root: Path = typer.Argument(..., help="Folder of the data set."),
    overrides: list[str] = typer.Argument(None, help="How to read it, such as data.dataset=folder."),
    val: float = typer.Option(0.2, "--val", help="Share of the groups that becomes val."),
    test: float = typer.Option(0.0, "--test", help="Share of the groups that becomes test."),
    group: str = typer.Option(
        None, "--group", help="Regular expression; images whose names match the same text stay together."
    ),
    output: Path = typer.Option(None, "--output", help="Folder of the lists; default: the data set's own."),
    force: bool = typer.Option(False, "--force", help="Replace lists that exist."),
) -> None:
    """Divide a data set into train, val and test: writes lists, moves no file.

    What decides is the hash of the names alone, so it is the same everywhere. Frames of a video belong together:
    --group '^[^_]+' keeps what comes before the first underscore in one split.
    """
    from pixelwise.reports.data import split_and_show

    split_and_show(root, overrides or [], val=val, test=test, group=group, output=output, replace=force)


@app.command()
def convert(
    root: Path = typer.Argument(..., help="Folder of the data set."),
    output: Path = typer.Argument(..., help="Folder to create."),
    overrides: list[str] = typer.Argument(None, help="How to read it, such as 'data.allow=[\"D220\"]'."),
    to: str = typer.Option("folder", "--to", help="folder: images/ and masks/ with class ids, and dataset.toml."),
    size: str = typer.Option(None, "--size", help="Resize to WIDTHxHEIGHT, such as 480x360."),
) -> None:
    """Write any readable data set as images and masks of class ids."""
    from pixelwise.reports.data import convert_and_show

    convert_and_show(root, output, overrides or [], to=to, size=size)


@app.command()
def stats(
    root: Path = typer.Argument(..., help="Folder of the data set."),
    overrides: list[str] = typer.Argument(None, help="How to read it."),
    json: bool = typer.Option(False, "--json", help="Print everything as JSON."),
) -> None:
    """Measure a data set: pixels and images by class, sizes, colours, class weights."""
    from pixelwise.reports.data import show_statistics

    show_statistics(root, overrides or [], as_json=json)


@app.command()
def cache(
    clear: bool = typer.Option(False, "--clear", help="Remove what can be computed again and no process uses."),
    kind: list[str] = typer.Option(None, "--kind", help="Only this kind, entry by entry; may be repeated."),
    json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Show what Pixelwise keeps in the cache folder: every kind, its entries, their size, and what they are for."""
    from pixelwise.reports.caching import print_cache
    from pixelwise.storage.cache_contents import cache_contents, clear_cache

    chosen = kind or []
    contents = cache_contents(chosen)
    print_cache(contents, clear_cache(chosen) if clear else None, chosen, as_json=json)


@app.command()
def town(
    output: Path = typer.Argument(..., help="Folder to create: images/ and masks/ with train, val and test."),
    overrides: list[str] = typer.Argument(
        None, help="Changes to the town-demo recipe's data, such as data.town_images=[100,20,20]."
    ),
) -> None:
    """Draw the synthetic town: street scenes with exact labels in CamVid's 11 classes."""
    from pixelwise.datasets.town.scenes import write_town
    from pixelwise.recipes.catalog import recipe
    from pixelwise.recipes.overrides import apply_overrides

    data = apply_overrides(recipe("town-demo"), overrides or []).data
    root = write_town(output, data)
    print(f"{root}: {', '.join(f'{n} {s}' for n, s in zip(data.town_images, ('train', 'val', 'test'), strict=True))}")
