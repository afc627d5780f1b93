"""Options of `pixelwise.evaluate` and of the verb `evaluate`; never imports torch."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

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
    device: str = "auto"
    trust: bool = False

    def words(self) -> list[str]:
        """Command-line arguments that request the same measurement."""
        words = [] if self.boundary else ["--no-boundary"]
        words += ["--calibration"] if self.calibration else []
        words += [word for name in self.metrics for word in ("--metric", name)]
        words += ["--trust"] if self.trust else []
        return words if self.group is None else [*words, "--group", self.group]
