from __future__ import annotations

import pytest

from pixelwise.errors import RecipeError
from pixelwise.recipes.catalog import recipe
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.recipes.parsing import from_plain
from pixelwise.recipes.schema.adapter import Adapter
from pixelwise.recipes.schema.recipe import to_plain

ROW = recipe("unet-resnet18")
ON = "initialize.adapter.rank=4"


@pytest.mark.parametrize(
    ("changes", "message", "way_out"),
    [
        (["initialize.adapter.rank=-1"], "rank is -1", "for example 8"),
        ([ON, "initialize.adapter.alpha=0"], "alpha is 0", "leave it out"),
        ([ON, "initialize.adapter.layers=(fc"], "not a regular expression", "for example"),
        ([ON, "quantization=x86-8bit"], "quantization is x86-8bit", "quantization=none"),
        ([ON, "data.cache_features=2", "initialize.freeze=true"], "rank is 4", "initialize.adapter.rank=0"),
    ],
)
def test_what_is_refused(changes: list[str], message: str, way_out: str):
    with pytest.raises(RecipeError) as caught:
        apply_overrides(ROW, changes)
    assert caught.value.code == "R203"
    assert message in caught.value.message
    assert way_out in caught.value.help


def test_the_scale_is_alpha_over_rank():
    assert Adapter(rank=4).scale == 1
    assert Adapter(rank=4, alpha=6).scale == 1.5


def test_an_adapter_keeps_the_encoder_and_belongs_to_the_experiment():
    adapted = apply_overrides(ROW, [ON, "initialize.encoder=default"])
    assert adapted.initialize.keeps_encoder
    assert not adapted.initialize.freeze
    assert apply_overrides(adapted, ["initialize.encoder=none"]).initialize.adapter.rank == 4
    assert from_plain(to_plain(adapted)) == adapted
    without = apply_overrides(ROW, ["initialize.encoder=default"])
    other = apply_overrides(adapted, ["initialize.adapter.alpha=8"])
    same = apply_overrides(adapted, ["initialize.adapter.alpha=4"])
    frozen = apply_overrides(without, ["initialize.freeze=true"])
    assert len({without.hash(), frozen.hash(), adapted.hash(), other.hash()}) == 4
    assert same.hash() == adapted.hash()
