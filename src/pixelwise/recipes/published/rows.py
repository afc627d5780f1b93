"""What the modules of published rows share: one call is one row of a page."""

from __future__ import annotations

from typing import Any, NamedTuple

from pixelwise.recipes.schema.model import ModelSpec
from pixelwise.recipes.schema.recipe import Data, Evaluation, Initialize, Original, Published, Recipe, Sampling


class Origin(NamedTuple):
    """Where rows come from: page id, its title, code base and revision, licence of the code and of the weights."""

    page: str
    title: str
    source: str
    code_licence: str
    weights_licence: str = "unknown"


def row(
    name: str,
    summary: str,
    model: ModelSpec,
    data: Data,
    origin: Origin,
    miou: float | None,
    protocol: str,
    counted: Original,
    *,
    batch: int,
    drop_last: bool = True,
    split: str = "val",
    printed: dict[str, Any] | None = None,
    weights: tuple[str, str, str] = ("none", "", ""),
    evaluation: dict[str, Any] | None = None,
    **parts: Any,
) -> Recipe:
    """The recipe of a row.

    Args:
        name: The row's id.
        summary: One line.
        model: Its network.
        data: Its data set.
        origin: Where it comes from.
        miou: As printed, percent; None where it is not.
        protocol: Named protocol that computes it the page's way.
        counted: What the original implementation counts.
        batch: Images per step.
        drop_last: Whether an incomplete last batch is dropped.
        split: The split it was measured on.
        printed: Further printed fields of `Published`.
        weights: Encoder weights, their licence, what the authors began with.
        evaluation: Further fields of `Evaluation`.
        **parts: Further sections of the recipe.
    """
    return Recipe(
        name=name, summary=summary, model=model, data=data,
        sampling=Sampling(batch_size=batch, drop_last=drop_last),
        initialize=Initialize(encoder=weights[0], licence=weights[1], original=weights[2]),
        evaluation=Evaluation(protocols=(protocol,), split=split, **(evaluation or {})),
        published=Published(
            **origin._asdict(), miou_percent=miou, split=split, protocol=protocol, original=counted, **(printed or {})
        ),
        **parts,
    )  # fmt: skip
