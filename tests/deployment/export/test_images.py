from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
from PIL import Image

from pixelwise.datasets.samples import Reading
from pixelwise.deployment.export.images import (
    dataset_of,
    drawn_scenes,
    folder_images,
    images_for,
    split_images,
)
from pixelwise.deployment.export.options import ArtefactOptions
from pixelwise.deployment.export.sources import open_source
from pixelwise.errors import DataError
from pixelwise.recipes.schema.recipe import Data, Recipe
from pixelwise.runtimes.graphs import GraphOptions
from pixelwise.storage import write_text

SIZE = (48, 64)


def sizes(images: object) -> list[tuple[int, ...]]:
    return [image.shape[:2] for image in images.read()]  # type: ignore[attr-defined]


def test_drawn_scenes_have_the_one_size_or_several_that_no_stride_divides() -> None:
    assert sizes(drawn_scenes(SIZE, dynamic=False)) == [SIZE] * 4
    assert sizes(drawn_scenes(SIZE, dynamic=True)) == [(48, 64), (64, 48), (33, 39), (51, 40)]
    assert sizes(drawn_scenes((4, 6), dynamic=False)) == [(4, 6)] * 4
    four = next(iter(drawn_scenes(SIZE, dynamic=False, channels=4).read()))
    assert four.shape == (*SIZE, 4)
    assert np.array_equal(four[..., 3], four[..., 0])
    first, again = (next(iter(drawn_scenes(SIZE, dynamic=False).read())) for _ in range(2))
    assert np.array_equal(first, again)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for name, size in (("a.png", (40, 30)), ("sub/b.png", (20, 10))):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", size, (9, 8, 7)).save(tmp_path / name)
    return tmp_path


def test_images_of_a_folder_keep_their_size_unless_there_is_one(photos: Path) -> None:
    reading = Reading.of(Data())
    assert sizes(folder_images(photos, reading, None, None)) == [(30, 40), (10, 20)]
    found = folder_images(photos, reading, (8, 8), None)
    assert sizes(found) == [(8, 8), (8, 8)]
    # Images that are smaller in one direction are continued by their edge.
    assert sizes(folder_images(photos, reading, (24, 24), None)) == [(24, 24), (24, 24)]
    assert (found.source, found.dataset) == ("2 images of a folder", None)


@pytest.mark.parametrize("name", ["empty", "nowhere"])
def test_a_folder_without_images_is_said_so(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError) as caught:
        folder_images(tmp_path / name, Reading.of(Data()), None, None)
    assert caught.value.code == "D223"


def test_a_split_is_scored_as_its_protocol_says_and_compared_on_windows_of_the_one_size(
    small_run: Path, small_town: Path
) -> None:
    source = open_source(str(small_run))
    dataset = dataset_of(source, small_town)
    own = split_images(dataset, "val", source.recipe, None)
    assert sizes(own) == [SIZE, SIZE]
    assert (own.protocol.name, own.input_size) == ("native", None)
    evaluation = msgspec.structs.replace(source.recipe.evaluation, protocols=("camvid-480x360-tta",))
    several_views = msgspec.structs.replace(source.recipe, evaluation=evaluation)
    fixed = split_images(dataset, "val", several_views, (24, 32))
    assert sizes(fixed) == [(24, 32)] * 2
    assert (fixed.protocol.name, fixed.input_size) == ("camvid-480x360-tta", None)
    whole, part = next(iter(own.read())), next(iter(fixed.read()))
    assert np.array_equal(part, whole[12:36, 16:48])


def test_what_is_asked_for_decides_which_images_there_are(small_run: Path, small_town: Path, photos: Path) -> None:
    source, graph = open_source(str(small_run)), GraphOptions(size=SIZE)

    def chosen(**options: object) -> str:
        return images_for(source, graph, ArtefactOptions(**options)).source  # type: ignore[arg-type]

    assert chosen() == "4 drawn street scenes"
    assert chosen(images=photos) == "2 images of a folder"
    assert chosen(data=small_town) == "test of town, 1 images, protocol native"
    assert chosen(split="val") == "val of town, 2 images, protocol native"
    assert chosen(data=small_town, split="val", images=photos) == "2 images of a folder"


def test_the_data_of_a_run_lacks_what_its_training_left_out(
    small_recipe: Recipe, small_town: Path, small_run: Path, tmp_path: Path
) -> None:
    source = open_source(str(small_run))
    first, second = dataset_of(source, small_town).samples("val")
    write_text(tmp_path / "data.json", msgspec.json.encode({"unusable": {"val": [first.id]}}).decode())
    write_text(tmp_path / "environment.json", msgspec.json.encode({"arguments": {"data": str(small_town)}}).decode())
    run = msgspec.structs.replace(source, run=tmp_path)
    assert [sample.id for sample in dataset_of(run, None).samples("val")] == [second.id]
    assert len(dataset_of(run, small_town).samples("val")) == 2


def test_masks_whose_values_mean_something_else_verify_nothing(
    small_run: Path, small_recipe: Recipe, white_objects: Path
) -> None:
    two = Data(dataset="folder", classes=("background", "object"))
    recipe = msgspec.structs.replace(small_recipe, data=two)
    source, options = open_source(str(small_run)), ArtefactOptions(data=white_objects, split="val")
    source = msgspec.structs.replace(source, recipe=recipe)
    with pytest.raises(DataError, match="D206") as caught:
        images_for(source, GraphOptions(size=SIZE), options)
    assert "dataset.toml" in caught.value.help
    (white_objects / "dataset.toml").write_text('classes = ["background", "object"]\nlabel_map = { 0 = 0, 255 = 1 }\n')
    assert images_for(source, GraphOptions(size=SIZE), options).split == "val"
