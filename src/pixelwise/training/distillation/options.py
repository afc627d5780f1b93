"""Options of `distill`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from pixelwise.recipes.schema.distillation import Match
from pixelwise.training.options import TrainOptions, with_shorthands

SHORTHANDS = {
    "teacher": "distillation.teacher",
    "teacher_encoder": "distillation.teacher_encoder",
    "match": "distillation.match",
    "stage": "distillation.stage",
    "teacher_stage": "distillation.teacher_stage",
    "temperature": "distillation.temperature",
    "weight": "distillation.weight",
    "labels": "distillation.with_labels",
    "views": "distillation.views",
    "cache_views": "distillation.cache_views",
}
"""Option of `distill` -> the field of the recipe that it sets, as an override would."""


class DistillOptions(TrainOptions, frozen=True, kw_only=True):
    """Options of `distill`: those of `train`, and what the network learns from.

    Attributes:
        teacher: Run folder of a trained network to learn from, or with `match` features an encoder by itself: a name of
            timm, a weights file or a package with weights. May be given several times; the probabilities are then
            averaged, features compared with each. As the override `distillation.teacher`.
        teacher_encoder: Encoder that a weights file given as a teacher is of; as `distillation.teacher_encoder`.
        match: What is compared: the classes of every pixel (`logits`), where in the image each class is (`channels`),
            correlations between and within classes (`dist`), or feature maps of the encoders (`features`); as
            `distillation.match`. Left out, the recipe decides.
        stage: Feature map of the network's encoder that is compared, 0 for the finest, -1 for the coarsest; as
            `distillation.stage`.
        teacher_stage: Feature map of the teacher's encoder; as `distillation.teacher_stage`.
        temperature: Divisor of the logits of both networks; as `distillation.temperature`.
        weight: Weight of the teacher's part of the loss; as `distillation.weight`.
        labels: Whether the labels teach as well, or the teacher alone; as `distillation.with_labels`.
        views: What the teacher sees: the image, or its mirror image, too (`flip`); as `distillation.views`.
        cache_views: Number of augmented views of each image about which the teacher is asked once, before the first
            step; as `distillation.cache_views`.
    """

    teacher: Annotated[tuple[Path, ...], Meta(extra={"early": True, "many": True, "metavar": "RUN|ENCODER"})]
    teacher_encoder: Annotated[str | None, Meta(extra={"early": True, "metavar": "ENCODER"})] = None
    match: Annotated[Match | None, Meta(extra={"early": True})] = None
    stage: Annotated[int | None, Meta(extra={"early": True})] = None
    teacher_stage: Annotated[int | None, Meta(extra={"early": True})] = None
    temperature: Annotated[float | None, Meta(extra={"early": True})] = None
    weight: Annotated[float | None, Meta(extra={"early": True})] = None
    labels: Annotated[bool | None, Meta(extra={"early": True, "flag": "--labels/--no-labels"})] = None
    views: Annotated[Literal["image", "flip"] | None, Meta(extra={"early": True})] = None
    cache_views: Annotated[int | None, Meta(extra={"early": True})] = None

    def all_overrides(self) -> list[str]:
        """The overrides, followed by those that the options stand for.

        Raises:
            RecipeError: R261, an option and an override set the same field; R202 or R262, an override names no field
                or several.
        """
        return with_shorthands(self, super().all_overrides(), SHORTHANDS)
