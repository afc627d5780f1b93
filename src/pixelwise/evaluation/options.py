"""Options of `pixelwise.evaluate` and of the verb `evaluate`; never imports torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from msgspec import Meta

from pixelwise.errors import RecipeError
from pixelwise.prediction.receipts.shares import EngineName, Share, parse_share, refuse_without_ray
from pixelwise.ranks.options import LaunchOptions


class EvaluateOptions(LaunchOptions, frozen=True, kw_only=True):
    """Options of `evaluate`.

    Attributes:
        overrides: Changes to how the data is read and the network sees it, such as `data.mask_resize=nearest` or
            `evaluation.input_size=[360,480]`; only the sections `data` and `evaluation` can be changed.
        boundary: Measure boundary IoU, the IoU of the bands along the contours of each class.
        calibration: Measure the expected calibration error. This needs the probabilities of every pixel, which slows
            evaluation down; multi-label networks and artefacts that output class ids do not provide them.
        metrics: Measure an additional metric; may be given several times.
        group: Also score groups of images. This regular expression is searched in every image's id; its first capture
            group, or else its whole match, names the group: `^[^_]+` for sequences such as 0001TP and Seq05VD.
        shard: Score one of N parts of the images, numbered from 0: `0/8` is the first of eight. The jobs of an array
            score a part each; whoever finds all of them done writes the result, which is that of one process.
        engine: Who scores: this process (`here`), or the workers of Ray (`ray`), which are restarted when they die.
        workers: Number of workers of Ray. Left out, one for each core but one, or for each GPU.
        gpus_per_worker: Number of GPUs of a worker of Ray; 0.5 if two share one.
        address: Address of a Ray cluster, such as `auto` or `ray://host:10001`. Left out, Ray is started on this
            machine.
        output: Folder or address, such as `s3://bucket/scores`, for receipts of what is scored, and for tables of the
            result. An evaluation with receipts goes on where it was stopped. Left out, `shard` and `engine` keep them
            in RUN/evaluations.
        device: Device to run on: `auto` (a GPU if there is one, else `cpu`), `cpu`, `cuda` or `cuda:N`. Artefacts
            always run on the CPU.
        trust: Open an artefact even if its format lets whoever made it run code here (`torch-export`).
    """

    overrides: Annotated[tuple[str, ...], Meta(extra={"hidden": True})] = ()
    boundary: bool = True
    calibration: bool = False
    metrics: Annotated[
        tuple[str, ...],
        Meta(extra={"flag": "--metric", "many": True, "metavar": "NAME", "names": "pixelwise.metrics.metric:names"}),
    ] = ()
    group: str | None = None
    shard: Annotated[str | None, Meta(extra={"metavar": "I/N"})] = None
    engine: EngineName = "here"
    workers: Annotated[int | None, Meta(ge=1)] = None
    gpus_per_worker: Annotated[float, Meta(ge=0)] = 0.0
    address: str | None = None
    output: Annotated[Path | None, Meta(extra={"metavar": "FOLDER"})] = None
    device: str = "auto"
    trust: bool = False

    @property
    def by_units(self) -> bool:
        """Whether images are scored in units, each of which gets a receipt.

        Raises:
            RecipeError: R251, options exclude each other.
        """
        refuse_without_ray(self, "add `engine` ray, or leave them out")
        if self.shard is not None and self.engine != "here":
            raise RecipeError(
                "R251",
                f"`shard` is a part for one job of an array, but `engine` {self.engine} divides the images itself",
                "leave one of them out",
            )
        units = self.shard is not None or self.engine != "here" or self.output is not None
        if units and self.devices is not None:
            raise RecipeError(
                "R251",
                "`devices` starts processes that score together, and does not go with `shard`, `engine` and `output`, "
                "whose workers know nothing of each other",
                "leave `devices` out, or the others",
            )
        return units

    @property
    def share(self) -> Share | None:
        """The part of the images that is asked for; None for all of them.

        Raises:
            RecipeError: R260, the text names no part.
        """
        return None if self.shard is None else parse_share(self.shard)

    def words(self) -> list[str]:
        """Command-line arguments that request the same measurement."""
        words = [] if self.boundary else ["--no-boundary"]
        words += ["--calibration"] if self.calibration else []
        words += [word for name in self.metrics for word in ("--metric", name)]
        words += ["--trust"] if self.trust else []
        return words if self.group is None else [*words, "--group", self.group]
