from __future__ import annotations

import pytest

from pixelwise.errors import RecipeError
from pixelwise.recipes.families.mask2former import Mask2FormerSpec
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.recipes.schema.matching import Matching
from pixelwise.recipes.schema.recipe import Data, Loss, Optimizer, Recipe, Sampling, Schedule


def masks(loss: Loss = Loss(), data: Data = Data(), queries: int = 100) -> Recipe:  # noqa: B008 (immutable)
    return Recipe(
        name="masks", model=Mask2FormerSpec(queries=queries), data=data, loss=loss, optimizer=Optimizer(lr=1e-4),
        schedule=Schedule(epochs=1), sampling=Sampling(batch_size=2),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["quantization=x86-8bit"], "which mask2former cannot be trained with"),
        (["data.multilabel=true"], "pixels of exactly one class"),
        (["model.queries=0"], r"model\.queries is 0"),
        (["model.layers=0"], r"model\.layers is 0"),
        (["model.pixel_layers=-1"], r"model\.pixel_layers is -1"),
        (["model.channels=100"], r"model\.channels is 100; expected a multiple of 32"),
        (["model.channels=0"], r"model\.channels is 0"),
    ],
)
def test_what_cannot_be_built_or_trained_is_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(RecipeError, match=message) as caught:
        apply_overrides(masks(), overrides)
    assert caught.value.code == "R203"


def test_each_class_needs_a_query_of_its_own_if_assignments_are_fixed() -> None:
    data, fixed = Data(classes=("a", "b", "c")), Loss(matching=Matching(assignment="fixed"))
    assert masks(fixed, data, 3).loss.matching == Matching(assignment="fixed")
    assert masks(data=data, queries=2).loss.matching == Matching()
    with pytest.raises(RecipeError, match=r"for each of the 3 classes; model\.queries is 2"):
        masks(fixed, data, 2)
