"""The `loss` section: the terms that training minimises."""

from __future__ import annotations

import math
from functools import cache
from typing import Any, Literal

import msgspec

from pixelwise.recipes.schema.base import Part, require, require_at_least, require_share
from pixelwise.recipes.schema.matching import Matching
from pixelwise.recipes.schema.terms import TERMS, Term, term_from_plain


class Ohem(Part, frozen=True, kw_only=True):
    """Online hard example mining: cross entropy over the pixels that are still difficult.

    A pixel counts if the predicted probability of its class is at most `threshold`. If fewer than `min_kept` pixels
    do, the `min_kept` pixels with the lowest probabilities count; if fewer are labelled, all of them.

    Attributes:
        threshold: Probability of a pixel's own class above which the pixel is easy.
        min_kept: Minimum number of pixels per batch (of one forward pass). Below 1 it is a fraction of the batch's
            pixels, ignored ones included, which means the same for every crop and batch size.
        auxiliary: Whether auxiliary heads use hard example mining too, each for itself, rather than all pixels.
    """

    threshold: float = 0.9
    min_kept: int | float = 100_000
    auxiliary: bool = True

    def __post_init__(self) -> None:
        require_share("loss.ohem.threshold", self.threshold, "it is a probability, for example 0.9")
        require(
            self.min_kept >= 0 and (self.min_kept < 1 or float(self.min_kept).is_integer()),
            f"loss.ohem.min_kept is {self.min_kept}; expected a whole number of pixels, or a share below 1",
            "for example 100000, or 0.05 for 5 % of the batch's pixels",
        )


ClassWeights = (
    Literal[
        "none", "enet", "median-frequency", "inverse-sqrt", "edgeai-cityscapes", "edgeai-ade20k32", "erfnet-encoder",
        "erfnet-decoder", "ocnet-cityscapes",
    ]
    | tuple[float, ...]
)  # fmt: skip


class Loss(Part, frozen=True, kw_only=True):
    """The training loss: a weighted sum of terms; a weight of 0 switches a term off.

    The most common terms have fields of their own here: a weight, and options that begin with the term's name. Every
    other term, including those of other packages, is a table with its weight and options: `[loss.terms.NAME]`.

    All terms apply to the main head; auxiliary heads have only a cross entropy, and a boundary head only the terms that
    need one. With `data.multilabel` each class has
    its own sigmoid: the cross entropy and the focal term are binary and averaged over pixels and classes, the Dice and
    Tversky terms over classes.

    Attributes:
        cross_entropy: Weight of the main head's cross entropy.
        class_weights: Weights of the classes in the cross entropy and the focal term. `none`; `enet`:
            1 / ln(1.02 + p), where p is the class's share of all pixels, void included (arXiv:1606.02147);
            `median-frequency`: median frequency / frequency, where a frequency counts only images that contain the
            class (Eigen and Fergus, arXiv:1411.4734); `inverse-sqrt`: 1 / sqrt(p), at most 6 times the smallest, with
            mean 1; the published weights of TI (`edgeai-cityscapes`, `edgeai-ade20k32`), of ERFNet's two stages
            (`erfnet-encoder`, `erfnet-decoder`) and of OCNet (`ocnet-cityscapes`), see
            `recipes/published/class_weights.py`; or one number per class.
            With `data.multilabel`, the weight of the pixels that have the class, relative to 1 for those that do not:
            `inverse-sqrt`: sqrt(pixels without it / pixels with it), within 1/6..6; or one number per class.
        class_weights_share: Fraction of the steps, drawn at random, in which the class weights apply.
        normalize: Divisor of the summed cross entropy (and focal term): `valid`, the sum of the class weights of the
            labelled pixels; `all`, the number of pixels, ignored ones included.
        compare_at: Size at which logits that are smaller than the labels are compared: `labels` enlarges the logits
            (bilinear); `logits` shrinks the labels (nearest), to the size of each head.
        label_smoothing: Fraction of the target that is spread over all classes.
        ohem: Online hard example mining for the cross entropy; None uses all pixels.
        dice: Weight of a soft Dice term (arXiv:1606.04797).
        focal: Weight of a focal term (arXiv:1708.02002), with the class weights as alpha.
        focal_gamma: Focusing exponent of the focal term: how strongly well-classified pixels are down-weighted.
        tversky: Weight of a Tversky term (arXiv:1706.05721).
        tversky_alpha: Cost of a false positive in the Tversky term.
        tversky_beta: Cost of a false negative in the Tversky term.
        lovasz: Weight of a Lovász-softmax term (arXiv:1705.08790), a surrogate of the mean IoU.
        lovasz_per_image: Whether the Lovász term uses the IoU of each image instead of the batch's.
        boundary: Weight of a second cross entropy over the pixels near another class.
        boundary_width: Maximum distance to another class, in rows and columns, of the pixels near it.
        terms: Further terms by their registered names, each with its weight and options.
        auxiliary: Weight of each auxiliary head's cross entropy.
        matching: The loss of networks that predict masks and their classes, such as EoMT, which takes the place of all
            terms; a recipe of such a network always has it, others never.
    """

    cross_entropy: float = 1.0
    class_weights: ClassWeights = "none"
    class_weights_share: float = 1.0
    normalize: Literal["valid", "all"] = "valid"
    compare_at: Literal["labels", "logits"] = "labels"
    label_smoothing: float = 0.0
    ohem: Ohem | None = None
    dice: float = 0.0
    focal: float = 0.0
    focal_gamma: float = 2.0
    tversky: float = 0.0
    tversky_alpha: float = 0.3
    tversky_beta: float = 0.7
    lovasz: float = 0.0
    lovasz_per_image: bool = False
    boundary: float = 0.0
    boundary_width: int = 3
    terms: dict[str, Any] | None = None
    auxiliary: float = 0.4
    matching: Matching | None = None

    def __post_init__(self) -> None:
        if self.terms is not None:
            self._read_terms(self.terms)
        all_terms = self.all_terms()
        for path, term in all_terms.items():
            require_at_least(0, path, term.weight, "it is a weight; 0 is off")
        require_at_least(0, "loss.auxiliary", self.auxiliary, "it is a weight; 0 is off")
        require(
            any(term.weight for term in all_terms.values()),
            f"all of {', '.join(all_terms)} are 0; expected a weight above 0 for at least one of them",
            "for example loss.cross_entropy=1",
        )
        self._require_possible_weights()
        self._require_possible_mining()

    def all_terms(self) -> dict[str, Term]:
        """Every term of this section, even with weight 0, by the path of its weight, in the order of addition."""
        found: dict[str, Term] = {}
        for kind, fields in _terms_with_fields():
            options = {option: getattr(self, field) for option, field in fields.items()}
            found[f"loss.{kind.name}"] = kind(weight=getattr(self, kind.name), **options)
        # Sorted by name, so that the order in a file does not affect rounding.
        for name, term in sorted((self.terms or {}).items()):
            found[f"loss.terms.{name}.weight"] = term
        return found

    def active_terms(self) -> list[Term]:
        """The terms with a weight above 0, in the order of addition."""
        return [term for term in self.all_terms().values() if term.weight]

    def require_labels(self, *, multilabel: bool) -> None:
        """Refuse terms that are not defined for the labels.

        Args:
            multilabel: Whether a pixel can have several classes, or none.

        Raises:
            RecipeError: R203, an active term is not defined for such labels.
        """
        for path, term in self.all_terms().items():
            if term.weight and multilabel:
                require(
                    term.multi_label,
                    f"{path.removesuffix('.weight')} needs pixels of exactly one class, but the data is multi-label "
                    "(data.multilabel)",
                    f"set {path}=0",
                )
            elif term.weight:
                require(
                    term.single_label,
                    f"{path.removesuffix('.weight')} is defined for multi-label data only (data.multilabel)",
                    f"set {path}=0",
                )

    def require_boundary_head(self, family: str, *, available: bool) -> None:
        """Refuse terms that need a boundary head where the network has none.

        Args:
            family: Model family, named in the error.
            available: Whether its networks have a boundary head.

        Raises:
            RecipeError: R203, an active term needs one.
        """
        for path, term in self.all_terms().items():
            require(
                available or not term.weight or not term.needs_boundary_head,
                f"{path.removesuffix('.weight')} needs a network with a boundary head, which {family} lacks",
                f"set {path}=0, or choose such a network, for example model.family=pidnet",
            )

    def require_mask_classification(self, family: str, *, available: bool) -> None:
        """Refuse a loss of masks for a network that predicts none, and terms of pixels for one that does.

        Args:
            family: Model family, named in the error.
            available: Whether its networks predict masks and their classes.

        Raises:
            RecipeError: R203, a field has no meaning for the network.
        """
        if not available:
            require(
                self.matching is None,
                f"loss.matching needs a network that predicts masks and their classes, which {family} does not",
                "leave out loss.matching, or choose such a network, for example model.family=eomt",
            )
            return
        plain = Loss()
        for field in self.__struct_fields__:
            value, default = getattr(self, field), getattr(plain, field)
            shown = "none" if default is None else str(default).lower() if isinstance(default, bool) else default
            require(
                field == "matching" or value == default,
                f"loss.{field} has no effect on {family}, whose loss compares masks (loss.matching)",
                f"set loss.{field}={shown}",
            )

    def _read_terms(self, terms: dict[str, Any]) -> None:
        """Turn the tables into terms, which have every option, whether given or at its default."""
        for name in terms:
            require(
                name not in self.__struct_fields__,
                f"loss.terms.{name}: [loss] itself has a field of that name",
                f"write loss.{name}, with its options beside it",
            )
        read = {name: term_from_plain(name, options) for name, options in terms.items()}
        msgspec.structs.force_setattr(self, "terms", read or None)

    def _require_possible_weights(self) -> None:
        weights = self.class_weights
        require(
            isinstance(weights, str) or (all(0 <= weight < math.inf for weight in weights) and sum(weights) > 0),
            f"loss.class_weights is {weights if isinstance(weights, str) else list(weights)}; expected one number of "
            "0 or more per class, not all 0",
            "for example [1, 2, 0.5] for three classes",
        )
        require(
            0 < self.class_weights_share <= 1,
            f"loss.class_weights_share is {self.class_weights_share}; expected more than 0 and at most 1",
            "1 uses the weights in every step; loss.class_weights=none never",
        )
        require(
            self.class_weights_share == 1 or weights != "none",
            f"loss.class_weights_share is {self.class_weights_share} but loss.class_weights is none",
            "choose the weights, for example loss.class_weights=enet",
        )

    def _require_possible_mining(self) -> None:
        if self.ohem is not None:
            require(
                self.cross_entropy > 0,
                "loss.ohem chooses the pixels of the cross entropy but loss.cross_entropy is 0",
                "give loss.cross_entropy a weight, or leave out loss.ohem",
            )
            require(
                self.normalize == "valid",
                f"loss.normalize is {self.normalize} but loss.ohem averages over the pixels that it keeps",
                "leave out one of them",
            )


@cache
def _terms_with_fields() -> tuple[tuple[type[Term], dict[str, str]], ...]:
    """The built-in terms whose weight is a field of `Loss`, in the order of the fields, with their options' fields.

    Other built-in terms are in `Loss.terms`, like those of other packages.
    """
    fields, own = Loss.__struct_fields__, TERMS.own()
    return tuple(
        (own[name], {option: _field(name, option) for option in own[name].__struct_fields__ if option != "weight"})
        for name in fields
        if name in own
    )


def _field(term: str, option: str) -> str:
    """The field of `Loss` for a term's option: `focal_gamma`, or `label_smoothing` without the prefix."""
    return f"{term}_{option}" if f"{term}_{option}" in Loss.__struct_fields__ else option
