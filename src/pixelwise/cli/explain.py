"""`pixelwise explain NAME`: what an error code, a field, a metric, a protocol or a recipe is."""

from __future__ import annotations

import typer

from pixelwise.cli.line import completion

EXAMPLES = (
    "pixelwise explain D204",
    "pixelwise explain schedule.warmup_iterations",
    "pixelwise explain mIoU",
)
"""Shown at the end of the help."""


def run(
    name: str = typer.Argument(
        ...,
        metavar="NAME",
        autocompletion=completion.subjects,
        help="An error code (D204), a field of recipes (schedule.warmup_iterations, or just lr), a metric (mIoU), a "
        "protocol (native) or a recipe (unet).",
    ),
    json: bool = typer.Option(False, "--json", help="Print the Markdown within JSON."),
) -> None:
    """Explain an error code, a field of recipes, a metric, a protocol or a recipe."""
    import pixelwise
    from pixelwise.reports.standard_output import write_json, write_markdown

    found = pixelwise.describe(name)
    if json:
        write_json({"name": name, "markdown": found})
    else:
        write_markdown(found)
