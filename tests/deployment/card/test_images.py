from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from PIL import Image

from pixelwise.datasets.town.scenes import draw_scene
from pixelwise.deployment.card.images import ComparisonImages, comparison_images, images_of_folder
from pixelwise.deployment.card.options import DeployOptions
from pixelwise.errors import DataError
from pixelwise.recipes.schema.recipe import Data, Recipe

SIZE = (48, 64)


def test_artefacts_have_one_size_only_where_the_protocol_shows_one(
    small_run: Path, small_recipe: Recipe, small_town: Path, tmp_path: Path
) -> None:
    def images(recipe: Recipe = small_recipe, data: Path = small_town, **options: object) -> ComparisonImages:
        return comparison_images(small_run, recipe, DeployOptions(data=data, split="val", **options))  # type: ignore[arg-type]

    assert (images().fixed, images().latency_size, images().protocol.name) == (SIZE, SIZE, "native")
    assert (images(size=(32, 32)).fixed, images(size=(32, 32)).input_size) == ((32, 32), None)
    assert (images(dynamic=True).fixed, images(dynamic=True).latency_size) == (None, SIZE)
    evaluation = msgspec.structs.replace(small_recipe.evaluation, input_size=(24, 40))
    assert images(msgspec.structs.replace(small_recipe, evaluation=evaluation)).fixed == (24, 40)

    mixed = tmp_path / "mixed"
    for index, size in enumerate((SIZE, (50, 60))):
        image, labels = draw_scene(0, index, size)
        for kind, array in (("images", image), ("masks", labels)):
            (mixed / kind / "val").mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(mixed / kind / "val" / f"{index}.png")
    assert images(data=mixed).fixed is None

    views = msgspec.structs.replace(small_recipe.evaluation, protocols=("camvid-480x360-tta",))
    with_views = msgspec.structs.replace(small_recipe, evaluation=views)
    assert (images(with_views).fixed, images(with_views).protocol.name) == (None, "camvid-480x360-tta")
    # A size from the user is that of the artefacts; the yardstick stays the run's protocol.
    sized = images(with_views, size=(32, 32))
    assert (sized.fixed, sized.protocol.name) == ((32, 32), "camvid-480x360-tta")
    assert [image.shape[:2] for image in sized.read()] == [SIZE] * 2


def test_images_of_a_folder_have_the_size_at_which_the_run_sees_them(small_recipe: Recipe, small_town: Path) -> None:
    folder = small_town / "images" / "val"
    fixed = images_of_folder(folder, small_recipe, (24, 32), dynamic=False)
    assert (fixed.count, fixed.fixed, fixed.latency_size, fixed.split) == (2, (24, 32), (24, 32), "")
    assert [image.shape for image in fixed.read()] == [(*SIZE, 3)] * 2
    assert images_of_folder(folder, small_recipe, None, dynamic=False).fixed is None
    evaluation = msgspec.structs.replace(small_recipe.evaluation, input_size=(24, 40))
    sized = images_of_folder(folder, msgspec.structs.replace(small_recipe, evaluation=evaluation), None, dynamic=False)
    assert sized.fixed == (24, 40)
    assert [image.shape for image in sized.read()] == [(24, 40, 3)] * 2
    free = images_of_folder(folder, small_recipe, (24, 32), dynamic=True)
    assert (free.fixed, free.latency_size) == (None, (24, 32))
    assert [image.shape[:2] for image in free.read()] == [SIZE] * 2


def test_a_run_that_does_not_know_its_data_asks_for_it(small_run: Path, small_recipe: Recipe) -> None:
    elsewhere = msgspec.structs.replace(small_recipe, data=msgspec.structs.replace(small_recipe.data, dataset="folder"))
    with pytest.raises(DataError) as caught:
        comparison_images(small_run, elsewhere, DeployOptions())
    assert caught.value.code == "D222"


def test_masks_whose_values_mean_something_else_are_not_compared_on(
    small_run: Path, small_recipe: Recipe, white_objects: Path
) -> None:
    two = Data(dataset="folder", classes=("background", "object"))
    recipe = msgspec.structs.replace(small_recipe, data=two)
    with pytest.raises(DataError, match="D206") as caught:
        comparison_images(small_run, recipe, DeployOptions(data=white_objects, split="val"))
    assert "dataset.toml" in caught.value.help
    (white_objects / "dataset.toml").write_text('classes = ["background", "object"]\nlabel_map = { 0 = 0, 255 = 1 }\n')
    assert comparison_images(small_run, recipe, DeployOptions(data=white_objects, split="val")).count == 4
