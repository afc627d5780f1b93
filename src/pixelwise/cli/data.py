"""`pixelwise data ...`: making data sets."""

from __future__ import annotations

from pathlib import Path

import typer

app = typer.Typer(no_args_is_help=True, help="Make data sets.")


@app.callback()
def _group() -> None:
    """Make data sets."""


@app.command()
def town(
    output: Path = typer.Argument(..., help="Folder to create: images/ and masks/ with train, val and test."),
    overrides: list[str] = typer.Argument(
        None, help="Changes to the town-demo recipe's data, such as data.town_images=[100,20,20]."
    ),
) -> None:
    """Draw the synthetic town: street scenes with exact labels in CamVid's 11 classes."""
    from pixelwise.datasets.town import write_town
    from pixelwise.recipes.catalog import recipe
    from pixelwise.recipes.overrides import apply_overrides

    data = apply_overrides(recipe("town-demo"), overrides or []).data
    root = write_town(output, data)
    print(f"{root}: {', '.join(f'{n} {s}' for n, s in zip(data.town_images, ('train', 'val', 'test'), strict=True))}")
