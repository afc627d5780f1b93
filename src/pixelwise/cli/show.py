"""`pixelwise show NAME`: a recipe, fully resolved."""

from __future__ import annotations

import typer


def run(
    recipe: str = typer.Argument(..., help="Name of a recipe, or a file ending in .toml."),
    overrides: list[str] = typer.Argument(None, help="Changes such as optimizer.lr=0.02."),
    json: bool = typer.Option(False, "--json", help="Print JSON instead of TOML."),
    explain: bool = typer.Option(False, "--explain", help="Say behind each value where it comes from."),
) -> None:
    """Print a recipe in full.

    The output is TOML with every field's value; `train` reads it back from a file. With --explain, comments say which
    values are a published row's, a file's, the data set's, defaults, or changed on this command line.
    """
    import pixelwise
    from pixelwise.reports.recipes import show_recipe

    if explain:
        if json:
            raise typer.BadParameter("--explain writes comments, which JSON cannot hold; leave out --json")
        print(pixelwise.explain(recipe, overrides or ()), end="")
        return
    show_recipe(pixelwise.recipe(recipe, overrides or ()), as_json=json)
