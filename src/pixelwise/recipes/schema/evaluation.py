"""The parts of a recipe that say how it is scored and what was published."""

from __future__ import annotations

from pixelwise.recipes.protocols import protocol
from pixelwise.recipes.schema.base import Part, require, require_at_least, require_size
from pixelwise.recipes.sizes import Size


class Evaluation(Part, frozen=True, kw_only=True):
    """How the result of the run is scored.

    Attributes:
        protocols: Names of protocols; the first one is the headline.
        split: The split that is scored.
        input_size: Size the network sees where the protocol leaves it open; None: the image's own.
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
    """What the original implementation counts: the facts that a network is verified against.

    Attributes:
        outputs: Number of outputs it was counted with.
        parameters: Their number, auxiliary heads included; as text with the digits that are known,
            `2428976` or `40.067M`.
        gmacs: Multiply-accumulates of inference, 10^9; None where unknown.
        size: (height, width) of the image it was counted at.
        tolerance: Largest relative difference of the GMACs that is not another network.
        note: Why the page prints something else, or what is not known.
    """

    outputs: int
    parameters: str
    gmacs: float | None = None
    size: Size
    tolerance: float = 0.001
    note: str = ""


class Published(Part, frozen=True, kw_only=True):
    """The published result that a recipe reproduces. Never overwritten by measurements.

    Attributes:
        page: Id of the published page.
        title: What the page is.
        source: Code base and revision.
        miou_percent: The page's number; None where the page leaves it out.
        split: The split it was measured on.
        protocol: Named protocol that computes it the page's way.
        gpu_memory_gib: As printed, where printed.
        train_hours: As printed, where printed.
        gmacs: As printed, where printed.
        original: What the original implementation really counts.
        note: What a reader has to know about the number.
        code_licence: SPDX identifier.
        weights_licence: SPDX identifier, or `unknown`.
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
