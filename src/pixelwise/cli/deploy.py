"""`pixelwise deploy RUN --output DIR`: export a run to several formats and compare them."""

from __future__ import annotations

from pathlib import Path

import typer

from pixelwise.api.requests import check_deploying
from pixelwise.cli.line.options import takes
from pixelwise.deployment.card.options import DeployOptions

EXAMPLES = (
    "pixelwise deploy runs/unet-1 -o deployed",
    "pixelwise deploy runs/unet-1 --int8 ptq --threads 1,4 -o deployed",
)
"""Shown at the end of the help."""


@takes(DeployOptions)
def run(
    run: Path = typer.Argument(..., metavar="RUN", help="Run folder, or hub://OWNER/NAME."),
    output: Path = typer.Option(
        ..., "--output", "-o", metavar="FOLDER", help="Empty folder for the artefacts and card.html, .md and .json."
    ),
    *,
    options: DeployOptions,
    json: bool = typer.Option(False, "--json", help="Print card.json."),
) -> None:
    """Export a run to several formats, score and time all of them beside PyTorch, and write the card.

    An artefact that cannot be made here gets a row with the reason. With --max-miou-drop, the exit status is 4 if a
    row loses more; the card is written anyway.
    """
    check_deploying(run, options)
    import pixelwise
    from pixelwise.reports.card.terminal import show_card
    from pixelwise.reports.displays import display

    with display() as observer:
        card = pixelwise.deploy(run, output, options, observer=observer)
    show_card(card, output, as_json=json)
    card.check_budget()
