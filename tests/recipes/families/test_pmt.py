from __future__ import annotations

import pytest

from pixelwise.errors import RecipeError
from pixelwise.recipes.families.pmt import PMTSpec
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.recipes.schema.matching import Matching
from pixelwise.recipes.schema.recipe import Optimizer, Recipe, Sampling, Schedule


def pmt() -> Recipe:
    return Recipe(
        name="masks", model=PMTSpec(), optimizer=Optimizer(lr=1e-4), schedule=Schedule(epochs=1),
        sampling=Sampling(batch_size=2),
    )  # fmt: skip


def test_it_is_trained_by_comparing_masks() -> None:
    assert pmt().loss.matching == Matching()


def test_blocks_lose_their_masks_evenly_over_the_training_unless_it_says_otherwise() -> None:
    windows = PMTSpec().windows()
    assert (len(windows), windows[0], windows[-1]) == (6, (1 / 8, 2 / 8), (6 / 8, 7 / 8))
    assert PMTSpec(blocks=1, masked=((5, 9),)).windows() == ((5, 9),)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["quantization=x86-8bit"], "which pmt cannot be trained with"),
        (["data.multilabel=true"], "pixels of exactly one class"),
        (["model.queries=0"], r"model\.queries is 0"),
        (["model.blocks=0"], r"model\.blocks is 0"),
        (["model.hidden=0"], r"model\.hidden is 0"),
        (["model.side=100"], r"model\.side is 100"),
        (["model.masked=[[0.2, 0.1]]", "model.blocks=1"], r"model\.masked is \[\[0\.2, 0\.1\]\]"),
        (["model.masked=[[0.2, 0.3]]"], "expected 6 pairs"),
    ],
)
def test_what_cannot_be_built_or_trained_is_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(RecipeError, match=message) as caught:
        apply_overrides(pmt(), overrides)
    assert caught.value.code == "R203"


def test_the_windows_that_a_refusal_proposes_are_accepted() -> None:
    with pytest.raises(RecipeError) as caught:
        apply_overrides(pmt(), ["model.masked=[[0.2, 0.3]]"])
    assert caught.value.help is not None
    proposed = caught.value.help.partition("such as ")[2]
    spec = apply_overrides(pmt(), [f"model.masked={proposed}"]).model
    assert isinstance(spec, PMTSpec)
    assert len(spec.windows()) == 6
