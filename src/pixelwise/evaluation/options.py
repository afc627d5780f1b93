"""What `pixelwise.evaluate` and the verb `evaluate` can be asked for; never imports torch."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from pixelwise.options import Options


class EvaluateOptions(Options, frozen=True, kw_only=True):
    """What is measured, and where.

    Attributes:
        boundary: Measure boundary IoU, the IoU of the bands along the contours of each class.
        calibration: Measure the expected calibration error. It takes every pixel's probabilities, so evaluation is
            slower; neither a multi-label network nor an artefact that gives class ids has them.
        metrics: Measure a further metric.
        group: Score groups of images, too: a regular expression that is searched in every image's id. Its first group,
            or all that it matches, names the image's group: `^[^_]+` for sequences such as 0001TP and Seq05VD.
        device: Where the network computes: `auto` takes a GPU where there is one, else `cpu`. Artefacts compute on the
            CPU.
    """

    boundary: bool = True
    calibration: bool = False
    metrics: Annotated[
        tuple[str, ...],
        Meta(extra={"flag": "--metric", "many": True, "metavar": "NAME", "names": "pixelwise.metrics.metric:names"}),
    ] = ()
    group: str | None = None
    device: str = "auto"

    def words(self) -> list[str]:
        """The words of a command line that ask for the same measurement."""
        words = [] if self.boundary else ["--no-boundary"]
        words += ["--calibration"] if self.calibration else []
        words += [word for name in self.metrics for word in ("--metric", name)]
        return words if self.group is None else [*words, "--group", self.group]
