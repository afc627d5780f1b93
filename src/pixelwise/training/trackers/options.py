"""Options of `track`."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from pixelwise.options import Options


class TrackOptions(Options, frozen=True, kw_only=True):
    """Options of `track`.

    Attributes:
        to: Tracker to send the runs to: `tensorboard`, `mlflow`, `wandb`, `trackio`, or one of an installed package;
            may be given several times.
        follow: Go on until the runs have ended, for runs that are being trained.
        new: Send everything to a new tracked run, whatever the tracker has received before.
    """

    to: Annotated[tuple[str, ...], Meta(extra={"many": True, "metavar": "NAME"})] = ()
    follow: bool = False
    new: bool = False
