"""An importer for weights of an imaginary training code whose networks are those of the example family."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pixelwise.checkpoints.importers.conversions import Conversion, refuse_architecture, register_importer

if TYPE_CHECKING:
    from pixelwise.models.base import SegmentationModel

RULES = (
    (r"^backbone\.", "stem."),
    (r"^context\.", "body."),
    (r"^out\.", "classifier."),
)


@register_importer("example-trainer", "example-dilated")
def conversion(source: str, model: SegmentationModel, state: Mapping[str, Any]) -> Conversion:
    """Rules to load `state` into `model`.

    Raises:
        CheckpointError: K402, no key has the prefix of this training code.
    """
    if not any(key.startswith("context.") for key in state):
        raise refuse_architecture(
            f"no key starts with 'context.'; first keys: {', '.join(list(state)[:3]) or 'none'}",
            "name the system that wrote the file with `source`",
        )
    return Conversion(rules=RULES, classifiers=(("out.weight", 0), ("out.bias", 0)))
