import pytest

from pixelwise.datasets.auditing.options import CheckOptions
from pixelwise.errors import RecipeError


@pytest.mark.parametrize("given", [{"workers": 2}, {"address": "auto"}])
def test_options_for_ray_need_ray(given: dict):
    with pytest.raises(RecipeError) as caught:
        CheckOptions(**given).refuse_contradictions()
    assert caught.value.code == "R251"
    CheckOptions(**given, engine="ray").refuse_contradictions()
    CheckOptions().refuse_contradictions()
