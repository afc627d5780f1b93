import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixelwise.datasets.auditing.audit import audit
from pixelwise.datasets.opening import open_dataset
from pixelwise.datasets.reading.pairs import read_pair
from pixelwise.datasets.town import scenes as town
from pixelwise.datasets.town.scenes import draw_scene, write_town
from pixelwise.errors import DataError, ResourceError
from pixelwise.recipes.class_sets.tables import CAMVID
from pixelwise.recipes.schema.recipe import Data

SMALL = Data(dataset="town", town_images=(3, 2, 1), town_size=(48, 64))


def test_a_scene_is_uint8_rgb_with_raw_ids():
    image, labels = draw_scene(0, 0, (48, 64))
    assert (image.shape, image.dtype) == ((48, 64, 3), np.uint8)
    assert (labels.shape, labels.dtype) == ((48, 64), np.uint8)
    assert labels.max() <= 11


def test_a_scene_depends_on_seed_index_and_size_alone():
    again = [draw_scene(1, 5, (48, 64)) for _ in range(2)]
    assert np.array_equal(again[0][0], again[1][0])
    assert np.array_equal(again[0][1], again[1][1])
    for seed, index in ((2, 5), (1, 6)):
        assert not np.array_equal(draw_scene(seed, index, (48, 64))[0], again[0][0])


def test_a_written_town_holds_the_drawn_scenes_losslessly(tmp_path: Path):
    root = write_town(tmp_path / "town", SMALL)
    dataset = open_dataset(SMALL, root)
    assert {split: len(samples) for split, samples in dataset.splits.items()} == {"train": 3, "val": 2, "test": 1}
    for number, split in enumerate(("train", "val", "test")):
        image, labels = read_pair(dataset.samples(split)[0], dataset)
        drawn, raw = draw_scene(0, number * 1_000_000, (48, 64))
        assert np.array_equal(image, drawn)
        assert np.array_equal(labels, np.where(raw == 11, 255, raw))


def test_masks_are_palette_images_in_camvids_colours(tmp_path: Path):
    root = write_town(tmp_path / "town", SMALL)
    mask = Image.open(root / "masks" / "train" / "0000.png")
    assert mask.mode == "P"
    assert np.asarray(mask.getpalette("RGB")).reshape(-1, 3)[:11].tolist() == [list(color) for color in CAMVID.palette]


def test_a_written_town_also_opens_as_anybodys_own_data(tmp_path: Path):
    dataset = open_dataset(Data(), write_town(tmp_path / "town", SMALL))
    assert (dataset.name, dataset.classes) == ("folder", CAMVID.names)
    assert dataset.label_table.ids[11] == 255
    assert audit(dataset).errors == ()


def test_the_cached_town_is_drawn_once(monkeypatch: pytest.MonkeyPatch):
    first = open_dataset(SMALL, None)
    monkeypatch.setattr(town, "draw_scene", None)
    assert open_dataset(SMALL, None) == first
    assert first.name == "town"
    assert first.classes == CAMVID.names


def test_a_cached_town_that_is_not_whole_is_drawn_again(own_cache: Path):
    first = open_dataset(SMALL, None)
    (folder,) = (own_cache / "pixelwise").iterdir()
    (folder / "dataset.toml").unlink()
    (folder / "images" / "train" / "0000.png").unlink()
    assert open_dataset(SMALL, None) == first
    assert (folder / "images" / "train" / "0000.png").is_file()


def test_other_options_are_another_town():
    seeds = (
        open_dataset(Data(dataset="town", town_images=(1, 1, 1), town_size=(32, 32), town_seed=s), None) for s in (1, 2)
    )
    assert len({dataset.root for dataset in seeds}) == 2


def test_more_training_images_change_no_other_image(tmp_path: Path):
    more = Data(dataset="town", town_images=(4, 2, 1), town_size=(48, 64))
    digests = []
    for name, data in (("few", SMALL), ("many", more)):
        root = write_town(tmp_path / name, data)
        digests.append(hashlib.sha256((root / "images" / "val" / "0001.png").read_bytes()).hexdigest())
    assert digests[0] == digests[1]


def test_an_interrupted_town_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    calls = []

    def interrupted(*_: object) -> tuple[np.ndarray, np.ndarray]:
        if calls:
            raise KeyboardInterrupt
        calls.append(1)
        return draw_scene(0, 0, (48, 64))

    monkeypatch.setattr(town, "draw_scene", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_town(tmp_path / "town", SMALL)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_s601_and_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(ResourceError) as caught:
        write_town(tmp_path / "town", SMALL)
    assert caught.value.code == "S601"
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_is_never_overwritten(tmp_path: Path):
    with pytest.raises(DataError) as caught:
        write_town(tmp_path, SMALL)
    assert caught.value.code == "D225"
    assert caught.value.message.startswith(f"{tmp_path}: ")


def test_a_folder_without_a_town_is_d222(tmp_path: Path):
    with pytest.raises(DataError) as caught:
        open_dataset(SMALL, tmp_path)
    assert caught.value.code == "D222"


def test_a_larger_town_keeps_every_class():
    present = np.zeros(12, bool)
    for index in range(12):
        present |= np.bincount(draw_scene(0, index, (96, 128))[1].ravel(), minlength=12) > 0
    assert present.all()
