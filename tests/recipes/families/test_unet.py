import pytest

from pixelwise.errors import RecipeError
from pixelwise.recipes.catalog import recipe
from pixelwise.recipes.overrides import apply_overrides


def test_a_crop_smaller_than_the_deepest_stride_is_refused():
    small = ["augment.crop=[31, 64]"]
    with pytest.raises(RecipeError, match=r"augment\.crop is \[31, 64\]") as caught:
        apply_overrides(recipe("unet-resnet18"), small)
    assert caught.value.code == "R203"
    assert apply_overrides(recipe("unet-resnet18"), ["augment.crop=[32, 64]"]).augment.crop == (32, 64)


def test_other_families_take_any_crop():
    assert apply_overrides(recipe("enet-camvid-2021"), ["augment.crop=[31, 64]"]).augment.crop == (31, 64)
