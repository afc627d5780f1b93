"""`loss.matching`: the loss of networks that predict masks and their classes."""

from __future__ import annotations

from typing import Literal

from pixelwise.recipes.schema.base import Part, require, require_at_least, require_share


class Matching(Part, frozen=True, kw_only=True):
    """The loss of mask classification (Cheng et al., CVPR 2022, arXiv:2112.01527), the same for every predicted layer.

    The labels of an image are one mask per class that occurs in it; ignored pixels are in no mask. Each mask is
    assigned to a query, whose mask is compared with it by a binary cross entropy and a Dice term at some points, and
    whose class by a cross entropy; queries without a mask have the class "no object".

    Attributes:
        assignment: `hungarian`: the queries whose masks and classes are the most similar, as published; it needs scipy,
            and in every step the processor waits for the device. `fixed`: query k has class k, for data with few
            classes; nothing waits.
        points: Number of points per mask.
        oversample: How many times as many points are drawn at random first, of which the most uncertain are taken.
        importance: Share of the points that are taken for their uncertainty; the others are random.
        mask: Weight of the binary cross entropy.
        dice: Weight of the Dice term.
        classification: Weight of the cross entropy of the classes.
        no_object: Weight of "no object" in it, relative to 1 for the classes.
        mask_cost: Weight of the binary cross entropy in `hungarian` assignments.
        dice_cost: Weight of the Dice term in them.
        classification_cost: Weight of the probability of the class in them.
    """

    assignment: Literal["hungarian", "fixed"] = "hungarian"
    points: int = 12_544
    oversample: float = 3.0
    importance: float = 0.75
    mask: float = 5.0
    dice: float = 5.0
    classification: float = 2.0
    no_object: float = 0.1
    mask_cost: float = 5.0
    dice_cost: float = 5.0
    classification_cost: float = 2.0

    def __post_init__(self) -> None:
        require_at_least(1, "loss.matching.points", self.points, "for example 12544")
        require_at_least(1, "loss.matching.oversample", self.oversample, "1 takes all points that are drawn")
        require_share("loss.matching.importance", self.importance, "for example 0.75; 0 takes random points")
        weights = ("mask", "dice", "classification", "no_object", "mask_cost", "dice_cost", "classification_cost")
        for name in weights:
            require_at_least(0, f"loss.matching.{name}", getattr(self, name), "it is a weight; 0 is off")
        require(
            self.mask + self.dice > 0 and self.classification > 0,
            f"loss.matching: mask is {self.mask}, dice is {self.dice}, classification is {self.classification}; "
            "expected classification above 0, and one of the others",
            "for example loss.matching.mask=5 loss.matching.dice=5 loss.matching.classification=2",
        )
