"""Recipes of published rows: one call per row of a page."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from pixelwise.recipes.schema.model import Spec
from pixelwise.recipes.schema.recipe import Data, Evaluation, Initialize, Original, Published, Recipe, Sampling


class Origin(NamedTuple):
    """Origin of rows: id and title of the page, code base and revision, licences of code and weights."""

    page: str
    title: str
    source: str
    code_licence: str
    weights_licence: str = "unknown"


class Score(NamedTuple):
    """Published values of a row, and the counts of the original implementation.

    Attributes:
        miou: Published mIoU in percent; None if the page has none.
        protocol: Name of the protocol that computes the mIoU as the page does.
        counted: Parameters and multiply-accumulates of the original implementation.
        split: Split that the mIoU was measured on.
        printed: Further published values, as fields of `Published`.
    """

    miou: float | None
    protocol: str
    counted: Original
    split: str = "val"
    printed: Mapping[str, Any] = MappingProxyType({})


def row(
    name: str, summary: str, model: Spec, data: Data, origin: Origin, score: Score,
    *, weights: tuple[str, str, str] = ("none", "", ""), **procedure: Any,
) -> Recipe:  # fmt: skip
    """The recipe of a row.

    Args:
        name: Id of the row.
        summary: One-line description.
        model: Spec of the network.
        data: The `data` section.
        origin: Origin of the row.
        score: Published values, and the counts of the original implementation.
        weights: Encoder weights, their licence, and the authors' initial weights.
        **procedure: Result of a function of `procedures`: `batch` and `drop_last` for `Sampling`, further fields of
            `Evaluation` in `evaluation` and of `Initialize` in `initialize`, and further sections of the recipe.
    """
    sampling = Sampling(batch_size=procedure.pop("batch"), drop_last=procedure.pop("drop_last", True))
    protocol, split = score.protocol, score.split
    return Recipe(
        name=name, summary=summary, model=model, data=data, sampling=sampling,
        initialize=Initialize(
            encoder=weights[0], licence=weights[1], original=weights[2], **procedure.pop("initialize", {})
        ),
        evaluation=Evaluation(protocols=(protocol,), split=split, **procedure.pop("evaluation", {})),
        published=Published(
            **origin._asdict(), miou_percent=score.miou, split=split, protocol=protocol, original=score.counted,
            **score.printed,
        ),
        **procedure,
    )  # fmt: skip
