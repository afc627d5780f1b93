from __future__ import annotations

import pytest

from pixelwise.errors import RecipeError
from pixelwise.recipes.families.eomt import EoMTSpec
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.recipes.schema.matching import Matching
from pixelwise.recipes.schema.recipe import Data, Loss, Optimizer, Recipe, Sampling, Schedule


def eomt(loss: Loss = Loss(), spec: EoMTSpec = EoMTSpec(), data: Data = Data()) -> Recipe:  # noqa: B008 (immutable)
    return Recipe(
        name="masks", model=spec, data=data, loss=loss, optimizer=Optimizer(lr=1e-4), schedule=Schedule(epochs=1),
        sampling=Sampling(batch_size=2),
    )  # fmt: skip


def test_blocks_lose_their_masks_evenly_over_the_training_unless_it_says_otherwise() -> None:
    assert EoMTSpec().windows() == ((0.2, 0.4), (0.4, 0.6), (0.6, 0.8))
    assert EoMTSpec(blocks=1, masked=((5, 9),)).windows() == ((5, 9),)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["quantization=x86-8bit"], "which eomt cannot be trained with"),
        (["data.multilabel=true"], "pixels of exactly one class"),
        (["model.queries=0"], r"model\.queries is 0"),
        (["model.blocks=0"], r"model\.blocks is 0"),
        (["model.side=100"], r"model\.side is 100"),
        (["model.masked=[[0.2, 0.1]]", "model.blocks=1"], r"model\.masked is \[\[0\.2, 0\.1\]\]"),
        (["model.masked=[[0.2, 0.3]]"], "expected 3 pairs"),
    ],
)
def test_what_cannot_be_built_or_trained_is_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(RecipeError, match=message) as caught:
        apply_overrides(eomt(), overrides)
    assert caught.value.code == "R203"


def test_each_class_needs_a_query_of_its_own_if_assignments_are_fixed() -> None:
    data = Data(classes=("a", "b", "c"))
    fixed = Loss(matching=Matching(assignment="fixed"))
    assert eomt(fixed, EoMTSpec(queries=3), data).model.queries == 3  # type: ignore[attr-defined]
    assert eomt(spec=EoMTSpec(queries=2), data=data).loss.matching == Matching()
    with pytest.raises(RecipeError, match=r"for each of the 3 classes; model\.queries is 2"):
        eomt(fixed, EoMTSpec(queries=2), data)
