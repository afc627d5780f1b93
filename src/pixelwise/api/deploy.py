"""`pixelwise.deploy`: the deploy card of a run and its pages."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pixelwise.deployment.card.card import DeployCard, make_card
from pixelwise.deployment.card.options import DeployOptions
from pixelwise.observer import SILENT, Observer
from pixelwise.reports.card.page import write_card


def deploy(
    run: str | os.PathLike[str],
    output: str | os.PathLike[str],
    options: DeployOptions | None = None,
    *,
    observer: Observer = SILENT,
    **changes: Any,
) -> DeployCard:
    """Export a run to several formats, score and time all of them beside PyTorch, and write the card.

    What cannot be made (a package is missing, an operator has no place in a format) is a row with the reason. Whether
    a row breaks `max_miou_drop` is for `DeployCard.check_budget` and `over_budget` to say: the card is written anyway.

    Args:
        run: The run folder.
        output: Empty folder for the artefacts, one folder each, and `card.html`, `card.md` and `card.json`.
        options: Which forms are made, what they are scored on, and how they are timed.
        observer: Told what is being done.
        changes: Fields of `DeployOptions` by name.

    Returns:
        The card.

    Raises:
        RecipeError: R243 `output` holds something, R248 or R249 a contradiction between options, R250 no such target.
        CheckpointError: `run` is no run, or has no weights.
        DataError: The data cannot be opened or read.
        ResourceError: S601, the disk is full.
    """
    card = make_card(run, output, options, observer=observer, **changes)
    write_card(card, Path(output))
    return card
