from __future__ import annotations

from pathlib import Path

import pytest

from pixelwise.errors import RecipeError
from pixelwise.profiling.subjects import classes_of, recipe_of
from pixelwise.recipes.catalog import recipe
from pixelwise.recipes.overrides import apply_overrides, to_toml
from pixelwise.records.run_folder import RECIPE


def test_a_name_a_file_and_a_run_folder_mean_a_recipe(tmp_path: Path) -> None:
    assert recipe_of("town-demo") == recipe("town-demo")
    changed = apply_overrides(recipe("town-demo"), ["sampling.batch_size=3"])
    assert recipe_of("town-demo", ["sampling.batch_size=3"]) == changed
    (tmp_path / RECIPE).write_text(to_toml(changed), "utf-8")
    assert recipe_of(tmp_path) == recipe_of(str(tmp_path / RECIPE)) == changed
    with pytest.raises(RecipeError) as caught:
        recipe_of(tmp_path / "nothing")
    assert caught.value.code == "R200"


def test_a_network_that_is_only_timed_has_19_classes_where_nobody_says_how_many() -> None:
    known, unknown = recipe("town-demo"), recipe("pspnet-r50-d8-voc-aug")
    assert classes_of(known, None) is None
    assert classes_of(known, 5) == 5
    open_data = apply_overrides(unknown, ["data.dataset=auto"])
    assert (classes_of(open_data, None), classes_of(open_data, 5)) == (19, 5)
