"""`pixelwise table [PAGE]`: the published pages with what holds here beside every row."""

from __future__ import annotations

import io
from enum import StrEnum
from pathlib import Path

import typer


class Format(StrEnum):
    """How the pages are written."""

    TERMINAL = "terminal"
    MD = "md"
    HTML = "html"
    CSV = "csv"
    JSON = "json"


def run(
    page: str = typer.Argument(
        None, help="000 .. 004, or a name such as enet, fcn, pspnet, edgeai; all when left out."
    ),
    format: Format = typer.Option(None, "--format", help="Left out: what --output ends in, else terminal."),
    output: Path = typer.Option(None, "--output", "-o", help="Write to this file instead of printing."),
    results: list[Path] = typer.Option(
        None, "--results", help="Folder of results, or a run folder; may be repeated. Default: benchmarks/results."
    ),
    json: bool = typer.Option(False, "--json", help="The same as --format json."),
) -> None:
    """Print the published pages, each row beside what was counted and measured here.

    A row is published only, architecture verified, trained here or reproduced; the legend says what that means.
    """
    chosen = Format.JSON if json else format or _format_of(output)
    from rich.console import Console

    from pixelwise.recipes.published.pages import PAGES, find_page, read_page
    from pixelwise.zoo.results import read_results, results_folders
    from pixelwise.zoo.rows import read_zoo

    pages = [read_page(name) for name in ([find_page(page)] if page else PAGES)]
    found = read_results(results_folders(results))
    with Console(stderr=True).status("Counting parameters and GMACs ..."):
        zoo = read_zoo(pages, found)
    if chosen is Format.TERMINAL:
        from pixelwise.reports.zoo.terminal import print_pages

        if output is None:
            print_pages(zoo, Console(highlight=False))
            return
        written = io.StringIO()
        print_pages(zoo, Console(width=120, file=written, highlight=False))
        text = written.getvalue()
    elif chosen is Format.HTML:
        from pixelwise.reports.zoo.page import render_html

        text = render_html(zoo)
    else:
        from pixelwise.reports.zoo import text as zoo_text

        render = {
            Format.MD: zoo_text.render_markdown,
            Format.CSV: zoo_text.render_csv,
            Format.JSON: zoo_text.render_json,
        }[chosen]
        text = render(zoo)
    if output is None:
        print(text, end="")
        return
    from pixelwise.storage import write_text

    write_text(output, text)
    print(output)


def _format_of(output: Path | None) -> Format:
    """What a file's ending asks for; the terminal's for `.txt` and where nothing is written."""
    if output is None:
        return Format.TERMINAL
    ending = output.suffix.lower().lstrip(".")
    if ending == "txt":
        return Format.TERMINAL
    if ending not in (Format.MD, Format.HTML, Format.CSV, Format.JSON):
        raise typer.BadParameter(
            f"cannot tell the format from '{output.name}'; expected a name in .md, .html, .csv, .json or .txt, "
            "or --format"
        )
    return Format(ending)
