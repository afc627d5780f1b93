"""Options of `train` and `resume`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from msgspec import Meta

from pixelwise.options import Options


class TrainOptions(Options, frozen=True, kw_only=True):
    """Options of `train`.

    Attributes:
        overrides: Changes to the recipe, such as `optimizer.lr=0.02`.
        weights: Initial weights of the encoder: `none`, `default` (timm's default weights), their name in timm
            with its tag, or the path of a weights file. Left out, the recipe decides.
        begin: Run folder whose trained weights initialise the whole network; no weights of the encoder are then
            loaded.
        minutes: Minutes that the run may take, from its start to its score: the number of steps follows the speed of
            this machine, which is measured first. Left out, the recipe decides.
        auto_batch: Choose the largest batch size that fits into memory; gradients of smaller batches are accumulated,
            so the number of images per step stays that of the recipe.
        device: Device to train on: `auto` (a GPU if there is one), `cpu`, `cuda` or `cuda:N`.
        threads: Number of CPU threads per operation. Left out, OMP_NUM_THREADS decides, else one per usable core.
        track: Tracker that records every step and evaluation, such as `tensorboard`; may be given several times.
            The run's own logs, RUN/log.jsonl and RUN/log.csv, are always written.
        evaluate: Score the result under every protocol of the recipe and write RUN/report.html at the end.
    """

    overrides: Annotated[tuple[str, ...], Meta(extra={"hidden": True})] = ()
    weights: str | None = None
    begin: Annotated[Path | None, Meta(extra={"flag": "--from"})] = None
    minutes: Annotated[float, Meta(ge=0.1)] | None = None
    auto_batch: bool = False
    device: str = "auto"
    threads: Annotated[int, Meta(ge=1)] | None = None
    track: Annotated[tuple[str, ...], Meta(extra={"many": True, "metavar": "NAME"})] = ()
    evaluate: bool = True


class ResumeOptions(Options, frozen=True, kw_only=True):
    """Options of `resume`.

    Attributes:
        overrides: Changes of length or use of the machine, such as `schedule.epochs=400` or `data.workers=4`. If the
            run so far differs from that of an undisturbed run of the new length, this is said (W510) and recorded.
        data: Folder of the data set, if it was moved since the run began.
        device: Device to train on: `auto`, `cpu`, `cuda` or `cuda:N`. Left out, the device the run last used.
        track: Tracker that records every step and evaluation; may be given several times. Left out, the trackers of
            the run so far.
        evaluate: Score the result under every protocol of the recipe and write RUN/report.html at the end.
    """

    overrides: Annotated[tuple[str, ...], Meta(extra={"hidden": True})] = ()
    data: Path | None = None
    device: str | None = None
    track: Annotated[tuple[str, ...] | None, Meta(extra={"many": True, "metavar": "NAME"})] = None
    evaluate: bool = True
