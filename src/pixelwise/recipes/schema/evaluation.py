"""The sections on evaluation and on the published result."""

from __future__ import annotations

from pixelwise.recipes.protocols import protocol
from pixelwise.recipes.schema.base import Part, require, require_at_least, require_size
from pixelwise.recipes.sizes import Size


class Evaluation(Part, frozen=True, kw_only=True):
    """The evaluation of a run's result.

    Attributes:
        protocols: Names of evaluation protocols; the first one gives the headline score.
        split: Split to evaluate.
        input_size: Size of the network's input if the protocol does not define it; None uses each image's own size.
        batch_size: Images of equal size per forward pass.
    """

    protocols: tuple[str, ...] = ("native",)
    split: str = "test"
    input_size: Size | None = None
    batch_size: int = 1

    def __post_init__(self) -> None:
        require(bool(self.protocols), "evaluation.protocols is empty", "name at least one protocol")
        for name in self.protocols:
            protocol(name)
        require_size("evaluation.input_size", self.input_size)
        require_at_least(1, "evaluation.batch_size", self.batch_size, "for example 1")


class Original(Part, frozen=True, kw_only=True):
    """Counts of the original implementation, against which a network is verified.

    Attributes:
        outputs: Number of output channels that it was counted with.
        parameters: Number of parameters, including auxiliary heads, as text with the known digits: `2428976` or
            `40.067M`.
        gmacs: Multiply-accumulates of inference in units of 10^9; None if unknown.
        size: (height, width) of the image that it was counted at.
        tolerance: Largest accepted relative difference in GMACs.
        note: Explanation of a different value on the page, or of what is unknown.
    """

    outputs: int
    parameters: str
    gmacs: float | None = None
    size: Size
    tolerance: float = 0.001
    note: str = ""


class Published(Part, frozen=True, kw_only=True):
    """The published result that a recipe reproduces; measurements never overwrite it.

    Attributes:
        page: Id of the published page.
        title: Short description of the page.
        source: Code base and revision.
        miou_percent: Published mIoU in percent; None if the page has none.
        split: Split that the mIoU was measured on.
        protocol: Name of the protocol that computes the mIoU as the page does.
        gpu_memory_gib: Published GPU memory in GiB; None if the page has none.
        train_hours: Published training time in hours; None if the page has none.
        gmacs: Published GMACs; None if the page has none.
        original: Counts of the original implementation.
        note: Remarks on the published values.
        code_licence: SPDX identifier of the code's licence, or `unknown`.
        weights_licence: SPDX identifier of the weights' licence, or `unknown`.
    """

    page: str
    title: str
    source: str
    miou_percent: float | None = None
    split: str
    protocol: str
    gpu_memory_gib: float | None = None
    train_hours: float | None = None
    gmacs: float | None = None
    original: Original | None = None
    note: str = ""
    code_licence: str = "unknown"
    weights_licence: str = "unknown"
