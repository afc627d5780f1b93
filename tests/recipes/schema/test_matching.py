from __future__ import annotations

import pytest

from pixelwise.errors import RecipeError
from pixelwise.recipes.catalog import recipe
from pixelwise.recipes.families.eomt import EoMTSpec
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.recipes.schema.matching import Matching
from pixelwise.recipes.schema.recipe import Loss, Optimizer, Recipe, Sampling, Schedule


def eomt() -> Recipe:
    return Recipe(
        name="masks", model=EoMTSpec(), optimizer=Optimizer(lr=1e-4), schedule=Schedule(epochs=1),
        sampling=Sampling(batch_size=2),
    )  # fmt: skip


def test_a_recipe_of_masks_always_has_their_loss() -> None:
    assert eomt().loss == Loss(matching=Matching())
    assert apply_overrides(eomt(), ["loss.matching.assignment=fixed"]).loss.matching == Matching(assignment="fixed")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["loss.matching.points=0"], r"loss\.matching\.points is 0"),
        (["loss.matching.oversample=0.5"], r"loss\.matching\.oversample is 0\.5"),
        (["loss.matching.importance=2"], r"loss\.matching\.importance is 2"),
        (["loss.matching.no_object=-1"], r"loss\.matching\.no_object is -1"),
        (["loss.matching.mask=0", "loss.matching.dice=0"], r"mask is 0\.0, dice is 0\.0"),
        (["loss.dice=0.5"], r"loss\.dice has no effect on eomt"),
        (["loss.class_weights=enet"], r"loss\.class_weights has no effect on eomt"),
    ],
)
def test_what_cannot_be_trained_is_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(RecipeError, match=message) as caught:
        apply_overrides(eomt(), overrides)
    assert caught.value.code == "R203"


def test_other_networks_have_no_masks_to_match() -> None:
    with pytest.raises(RecipeError, match=r"loss\.matching needs a network that predicts masks"):
        apply_overrides(recipe("town-demo"), ["loss.matching.points=10"])
