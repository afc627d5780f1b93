import pytest

from pixelwise.errors import RecipeError
from pixelwise.recipes.sizes import parse_size


def test_a_size_is_written_width_first():
    assert parse_size("1024x512") == parse_size("1024X512") == (512, 1024)


@pytest.mark.parametrize("text", ["1024", "0x4", "4x", "axb", "-1x4", "4x4x4"])
def test_texts_that_are_not_sizes_are_refused(text):
    with pytest.raises(RecipeError, match=f"'{text}'") as caught:
        parse_size(text)
    assert caught.value.code == "R223"
