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
    from pixelwise.recipes.files import find
    from pixelwise.recipes.overrides import apply_overrides, to_toml
    from pixelwise.recipes.schema.recipe import to_plain
    from pixelwise.storage import json_text

    if explain:
        if json:
            raise typer.BadParameter("--explain writes comments, which JSON cannot hold; leave out --json")
        from pixelwise.recipes.explaining import explain as explained

        print(explained(recipe, overrides or []), end="")
        return
    resolved = apply_overrides(find(recipe), overrides or [])
    if json:
        print(json_text(to_plain(resolved)), end="")
    else:
        print(to_toml(resolved), end="")
