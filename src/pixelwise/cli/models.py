"""`pixelwise models ...`: looking for a network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from pixelwise.recipes.schema.recipe import Recipe
    from pixelwise.recipes.searching import Candidate

_OTHER_COLUMNS = 62
"""Characters that the table takes besides the names of recipes."""

app = typer.Typer(no_args_is_help=True, help="Look for a network.")


@app.callback()
def _group() -> None:
    """Look for a network."""


@app.command(
    help="Pick recipes by what they score and cost.\n\n"
    "Fields: miou (published, %), measured (here, %), gmacs, params (5M, 350k), input (1024x512), dataset, family, "
    "encoder, page, name, licence, qat (yes or no). Operators: < <= > >= = != and ~ (contains); texts may hold * "
    "and ?. All conditions have to hold. Quotes keep the shell from taking < and > for files."
)
def search(
    query: list[str] = typer.Argument(
        ..., metavar="QUERY", help='Conditions in quotes, such as "gmacs<5 miou>65 dataset=cityscapes".'
    ),
    sort: str = typer.Option(None, "--sort", help="Field to sort by; left out: best mIoU first, then fewest GMACs."),
    results: list[Path] = typer.Option(
        None, "--results", help="Folder of results, or a run folder; may be repeated. Default: benchmarks/results."
    ),
    json: bool = typer.Option(False, "--json", help="Print JSON instead of a table."),
) -> None:
    """Pick recipes by what they score and cost."""
    from pixelwise.recipes.catalog import list_recipes, recipe
    from pixelwise.recipes.searching import Candidate, check_values, explain_nothing, parse_query
    from pixelwise.recipes.searching import search as pick
    from pixelwise.recipes.searching import sort as order
    from pixelwise.storage import json_text
    from pixelwise.zoo.results import read_results, results_folders, summarize

    conditions = parse_query(" ".join(query))
    found = read_results(results_folders(results))
    candidates = []
    for entry in map(recipe, list_recipes()):
        measured = summarize(entry, found)
        percent = measured.percent if measured is not None and measured.kind != "other" else None
        candidates.append(Candidate(entry, percent, _count))
    order([], sort)
    check_values(conditions, candidates)
    matches = order(pick(candidates, conditions), sort)
    if json:
        print(json_text([_plain(one) for one in matches]), end="")
    elif matches:
        _print(matches)
    else:
        print(f"None of {len(candidates)} recipes meets all conditions:")
        for line in explain_nothing(candidates, conditions):
            print(f"  {line}")


def _count(recipe: Recipe) -> tuple[int | None, float | None]:
    from pixelwise.zoo.counting import count_recipe

    counted = count_recipe(recipe)
    return counted.parameters, counted.gmacs


def _plain(candidate: Candidate) -> dict[str, object]:
    from pixelwise.recipes.searching import FIELDS

    fields: dict[str, object] = {field: candidate[field] for field in FIELDS}
    size = candidate["input"]
    fields["input"] = f"{size[1]}x{size[0]}" if isinstance(size, tuple) else None
    return fields | {"summary": candidate.recipe.summary}


def _print(matches: list[Candidate]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from pixelwise.reports.zoo.terminal import folded
    from pixelwise.zoo.rows import gmacs_text

    console = Console(highlight=False)
    wide = console.width >= 130
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("recipe", no_wrap=True)
    table.add_column("data", no_wrap=True)
    for title in ("mIoU", "measured", "params (M)", "GMACs", "at"):
        table.add_column(title, justify="right", no_wrap=title in ("mIoU", "GMACs", "at"))
    if wide:
        table.add_column("encoder", no_wrap=True)
    for one in matches:
        size, parameters, gmacs = one["input"], one["params"], one["gmacs"]
        cells = [
            folded(str(one["name"]), max(console.width - _OTHER_COLUMNS, 20)),
            str(one["dataset"]),
            _percent(one["miou"]),
            _percent(one["measured"]),
            f"{parameters / 1e6:.3f}" if isinstance(parameters, (int, float)) else "-",
            gmacs_text(float(gmacs)) if isinstance(gmacs, (int, float)) else "-",
            f"{size[1]}x{size[0]}" if isinstance(size, tuple) else "-",
            *([str(one["encoder"] or "-")] if wide else []),
        ]
        table.add_row(*map(Text, cells))
    console.print(table)
    console.print(
        Text(
            f"{len(matches)} found. GMACs and parameters are the original implementation's, or counted here where "
            "there is none, at the size under 'at' (width x height): compare GMACs at one size only. mIoU as "
            "published, by each page's own protocol.",
            style="dim",
        )
    )


def _percent(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, (int, float)) else "-"
