"""`pixelwise show NAME`: print a recipe, fully resolved."""

from __future__ import annotations

import typer

from pixelwise.cli.line import completion

EXAMPLES = (
    "pixelwise show unet",
    "pixelwise show unet --explain  # what every field means and accepts",
    "pixelwise show enet-camvid lr=0.001 > mine.toml",
)
"""Shown at the end of the help."""


def run(
    recipe: str = typer.Argument(
        ..., metavar="RECIPE", autocompletion=completion.recipes, help="Name of a recipe, or a .toml file."
    ),
    overrides: list[str] = typer.Argument(
        None,
        metavar="[FIELD=VALUE]...",
        autocompletion=completion.settings,
        help="Changes to the recipe, such as optimizer.lr=0.02.",
    ),
    json: bool = typer.Option(False, "--json", help="Print JSON instead of TOML."),
    explain: bool = typer.Option(
        False, "--explain", help="Add comments: what each field means, what it accepts, and where its value comes from."
    ),
) -> None:
    """Print a recipe in full.

    The output is TOML with the value of every field; saved to a file, it can be given to `train`. Comments name the
    fields that are not set. With --explain, they also say what each field means, which values it accepts, and whether
    its value comes from a published row, a file, the data set, a default or this command line.
    """
    import pixelwise
    from pixelwise.reports.recipes import show_recipe
    from pixelwise.reports.standard_output import write

    if explain:
        if json:
            raise typer.BadParameter("--explain writes comments, which JSON cannot contain; leave out --json")
        write(pixelwise.explain(recipe, overrides or ()))
        return
    show_recipe(pixelwise.recipe(recipe, overrides or ()), as_json=json)
