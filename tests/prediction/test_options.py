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


def test_an_address_is_for_tars_and_a_folder_for_either():
    assert PredictOptions().writes_tars("s3://bucket/masks")
    assert not PredictOptions().writes_tars("masks")
    assert PredictOptions(tars=True, engine="ray", workers=2, polygons="geojson").writes_tars("masks")


@pytest.mark.parametrize(
    ("options", "output"),
    [
        ({"engine": "ray"}, "masks"),
        ({"workers": 2}, "masks"),
        ({"address": "auto"}, "s3://bucket/masks"),
        ({"gpus_per_worker": 1}, "s3://bucket/masks"),
        ({"again": True}, "s3://bucket/masks"),
        ({"tars": True, "polygons": "coco"}, "masks"),
    ],
)
def test_options_that_say_nothing_for_this_output_are_refused(options: dict, output: str):
    with pytest.raises(RecipeError) as caught:
        PredictOptions(**options).writes_tars(output)
    assert caught.value.code == "R251"
