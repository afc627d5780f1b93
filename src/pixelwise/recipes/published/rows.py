"""What the modules of published rows share: one call is one row of a page."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from pixelwise.recipes.schema.model import Spec
from pixelwise.recipes.schema.recipe import Data, Evaluation, Initialize, Original, Published, Recipe, Sampling


class Origin(NamedTuple):
    """Where rows come from: page id, its title, code base and revision, licence of the code and of the weights."""

    page: str
    title: str
    source: str
    code_licence: str
    weights_licence: str = "unknown"


class Score(NamedTuple):
    """What a page prints of a row, and what the original implementation counts.

    Attributes:
        miou: In percent; None where the page prints none.
        protocol: Named protocol that computes it the page's way.
        counted: Parameters and multiply-accumulates of the original implementation.
        split: The split it was measured on.
        printed: Further printed fields of `Published`.
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
        name: The row's id.
        summary: One line.
        model: Its network.
        data: Its data set.
        origin: Where it comes from.
        score: What the page says of it.
        weights: Encoder weights, their licence, what the authors began with.
        **procedure: As a function of `procedures` returns it: `batch` and `drop_last` of `Sampling`, `evaluation`, the
            further fields of `Evaluation`, and further sections of the recipe.
    """
    sampling = Sampling(batch_size=procedure.pop("batch"), drop_last=procedure.pop("drop_last", True))
    protocol, split = score.protocol, score.split
    return Recipe(
        name=name, summary=summary, model=model, data=data, sampling=sampling,
        initialize=Initialize(encoder=weights[0], licence=weights[1], original=weights[2]),
        evaluation=Evaluation(protocols=(protocol,), split=split, **procedure.pop("evaluation", {})),
        published=Published(
            **origin._asdict(), miou_percent=score.miou, split=split, protocol=protocol, original=score.counted,
            **score.printed,
        ),
        **procedure,
    )  # fmt: skip
