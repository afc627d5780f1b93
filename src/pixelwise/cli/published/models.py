"""`pixelwise models ...`: search for a network."""

from __future__ import annotations

import typer

from pixelwise.cli.line.options import Verb, takes
from pixelwise.cli.line.verbs import MARKUP, Group
from pixelwise.zoo.options import SearchOptions

app = typer.Typer(
    cls=Group,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=MARKUP,
    help="Search for a network.",
)

EXAMPLES = {
    "search": (
        "pixelwise models search unet",
        "pixelwise models search 'dataset=cityscapes gmacs<50'",
        "pixelwise models search 'miou>70 params<10' --sort gmacs",
    ),
}
"""Verb -> examples at the end of its help."""


@app.callback()
def _group() -> None:
    """Search for a network."""


@app.command(
    cls=Verb,
    help="Find recipes by score and cost.\n\n"
    "Fields: {names of pixelwise.zoo.queries:field_words}. "
    "Operators: < <= > >= = != and ~ (contains); texts may contain the wildcards * and ?. "
    "A word alone, such as unet, is searched in the names. "
    "All conditions have to hold. Quote the query: the shell would read < and > as redirections.",
)
@takes(SearchOptions)
def search(
    query: list[str] = typer.Argument(
        ..., metavar="QUERY", help='Conditions in quotes, such as "gmacs<5 miou>65 dataset=cityscapes".'
    ),
    *,
    options: SearchOptions,
    json: bool = typer.Option(False, "--json", help="Print JSON instead of a table."),
) -> None:
    """Find recipes by score and cost."""
    import pixelwise
    from pixelwise.reports.displays import display
    from pixelwise.reports.zoo.matches import show_matches

    with display() as observer:
        found = pixelwise.search(" ".join(query), options, observer=observer)
    show_matches(found, as_json=json)
