"""`pixelwise.deploy`: the deploy card of a run and its pages."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pixelwise.deployment.card.card import DeployCard, make_card, refuse_occupied
from pixelwise.deployment.card.options import DeployOptions
from pixelwise.observer import SILENT, Observer
from pixelwise.reports.card.page import write_card
from pixelwise.storage.atomic import filling_folder
from pixelwise.storage.locks import writing_alone


def deploy(
    run: str | os.PathLike[str],
    output: str | os.PathLike[str],
    options: DeployOptions | None = None,
    *,
    observer: Observer = SILENT,
    **changes: Any,
) -> DeployCard:
    """Export a run to several formats, score and time all of them and PyTorch, and write the deploy card.

    An artefact that cannot be made (a package is missing, a format lacks an operator) becomes a row with the reason.
    The folder is complete or not there: nothing of a call that fails or is killed stays behind.
    The card is written even if a row exceeds `max_miou_drop`; see `DeployCard.check_budget` and `over_budget`.

    Args:
        run: The run folder.
        output: Empty folder for `card.html`, `card.md`, `card.json` and the artefacts, each in its own subfolder.
        options: Options of the deployment; None for the defaults.
        observer: Receives phases, progress and warnings.
        changes: Single fields of `DeployOptions`.

    Returns:
        The deploy card.

    Raises:
        RecipeError: R243, `output` is not empty; R248 or R249, options contradict each other; R250, there is no such
            target.
        CheckpointError: `run` is not a run or has no weights.
        DataError: The data cannot be opened or read.
        RunLockedError: L701, another process writes to `output`.
        ResourceError: S601, the disk is full.
    """
    folder = Path(output)
    with writing_alone(folder):
        refuse_occupied(folder)
        with filling_folder(folder) as unfinished:
            card = make_card(run, unfinished, options, named=folder, observer=observer, **changes)
            write_card(card, unfinished)
    return card
