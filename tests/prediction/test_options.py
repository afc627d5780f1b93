import pytest

from pixelwise.errors import RecipeError
from pixelwise.prediction.options import PredictOptions


@pytest.mark.parametrize(
    ("field", "value"), [("alpha", -0.1), ("alpha", 1.5), ("palette", "pretty"), ("mask_format", "coco")]
)
def test_a_value_out_of_bounds_is_refused_by_name(field: str, value: object):
    with pytest.raises(RecipeError) as caught:
        PredictOptions(**{field: value})
    assert caught.value.code == "R260"
    assert f"`{field}`" in caught.value.message


def test_both_ends_of_the_opacity_are_allowed():
    assert (PredictOptions(alpha=0).alpha, PredictOptions(alpha=1).alpha) == (0, 1)
