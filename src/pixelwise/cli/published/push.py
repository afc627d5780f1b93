"""`pixelwise push RUN OWNER/NAME`: publish a run on the Hugging Face Hub."""

from __future__ import annotations

from pathlib import Path

import typer

from pixelwise.api.requests import check_pushing
from pixelwise.checkpoints.hub.options import PushOptions
from pixelwise.cli.line.options import takes

EXAMPLES = (
    "pixelwise push runs/unet-1 me/unet-town --dry-run  # lists what would be sent",
    "pixelwise push runs/unet-1 me/unet-town --licence apache-2.0",
    "pixelwise push exported me/unet-town-onnx --licence apache-2.0  # what `pixelwise export` wrote",
)
"""Shown at the end of the help."""


@takes(PushOptions)
def run(
    run: Path = typer.Argument(..., metavar="RUN", help="Run folder, or the folder of an exported artefact."),
    repository: str = typer.Argument(..., metavar="OWNER/NAME", help="Repository of the hub; created if missing."),
    *,
    options: PushOptions,
    json: bool = typer.Option(False, "--json", help="Print what was sent as JSON."),
) -> None:
    """Publish a run on the Hugging Face Hub.

    Sends the weights that `evaluate` takes, the recipe, the scores and a model card in one commit; no commands, folders
    or names of files of this computer, and images only with --samples. A repository that is created is private unless
    --public is given. Needs a token that may write: `hf auth login`, or HF_TOKEN. Others use the run as
    hub://OWNER/NAME wherever a run is accepted.
    """
    check_pushing(run, repository, options)
    import pixelwise
    from pixelwise.reports.displays import display
    from pixelwise.reports.pushing import show_pushed

    with display() as observer:
        pushed = pixelwise.push(run, repository, options, observer=observer)
    show_pushed(pushed, dry=options.dry_run, as_json=json)
