"""`pixelwise show NAME`: a recipe, fully resolved."""

from __future__ import annotations

import typer


def run(
    recipe: str = typer.Argument(..., help="Name of a recipe, or a file ending in .toml."),
    overrides: list[str] = typer.Argument(None, help="Changes such as optimizer.lr=0.02."),
    json: bool = typer.Option(False, "--json", help="Print JSON instead of TOML."),
) -> None:
    """Print a recipe in full.

    The output is TOML with every field's value; `train` reads it back from a file.
    """
    from pixelwise.recipes.catalog import recipe as find
    from pixelwise.recipes.overrides import apply_overrides, to_toml
    from pixelwise.recipes.schema import to_plain

    resolved = apply_overrides(find(recipe), overrides or [])
    if json:
        import msgspec

        print(msgspec.json.format(msgspec.json.encode(to_plain(resolved)), indent=2).decode())
    else:
        print(to_toml(resolved), end="")
