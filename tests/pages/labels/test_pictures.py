import io
import os
from pathlib import Path

import msgspec
import numpy as np
import pytest
from data_to_show import SIZE, shown_data
from PIL import Image

from pixelwise.datasets.samples import Dataset, Reading, Sample
from pixelwise.errors import DataError
from pixelwise.pages.catalog import Refused
from pixelwise.pages.labels import pictures as module
from pixelwise.pages.labels.pictures import Pictures, fitted, labels_of, labels_png, part_of, reduced_image
from pixelwise.pages.labels.survey import opened_data
from pixelwise.recipes.class_sets.tables import IGNORE


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return opened_data(shown_data(tmp_path))


def sample_of(dataset: Dataset, name: str) -> Sample:
    split, id = name.split("/")
    return next(one for one in dataset.splits[split] if one.id == id)


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def test_a_picture_is_reduced_and_keeps_its_proportions(dataset: Dataset):
    picture = Pictures(lambda path: True).photo(dataset, sample_of(dataset, "train/wide"), 32)
    assert (picture.size, picture.whole, picture.part) == ((12, 32), (48, 128), None)
    assert opened(picture.content).size == (32, 12)
    assert fitted((3, 4000), 100) == (1, 100)
    assert fitted(SIZE, 1600) == SIZE  # nothing is enlarged


def test_labels_are_transparent_where_they_mean_nothing(dataset: Dataset):
    picture = Pictures(lambda path: True).labels(dataset, sample_of(dataset, "train/unknown"), 1600)
    colors = np.asarray(opened(picture.content).convert("RGBA"))
    assert (colors[0, :, 3] == 0).all()  # the value 77 has no class
    assert (colors[1:, :, 3] == 255).all()
    assert (colors[-30:, :, :3] == dataset.palette[1]).all()
    empty = opened(labels_png(np.full((2, 3), IGNORE, np.uint8), dataset.palette)).convert("RGBA")
    assert not np.asarray(empty)[..., 3].any()


def test_of_several_classes_of_a_pixel_the_last_is_shown(tmp_path: Path):
    for name, row in (("crack", 0), ("rust", 1)):
        (tmp_path / "masks" / name).mkdir(parents=True)
        mask = np.zeros((3, 4), np.uint8)
        mask[: row + 1] = 255
        Image.fromarray(mask).save(tmp_path / "masks" / name / "a.png")
    (tmp_path / "images").mkdir()
    Image.fromarray(np.zeros((3, 4, 3), np.uint8)).save(tmp_path / "images" / "a.png")
    data = opened_data(tmp_path)
    assert data.multilabel
    found = labels_of(next(iter(data.splits.values()))[0], data)
    assert found[:, 0].tolist() == [1, 1, IGNORE]


def test_a_jpeg_is_not_decoded_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    gradient = np.linspace(0, 255, 800 * 600).reshape(600, 800).astype(np.uint8)
    file = tmp_path / "a.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6  # the left side of what is stored is the upper side
    Image.fromarray(np.stack([gradient] * 3, 2)).save(file, exif=exif)
    monkeypatch.setattr(module, "load_image", lambda *_: pytest.fail("decoded whole"))
    pixels, whole = reduced_image(file, Reading(), 100)
    assert (pixels.shape, whole) == ((100, 75, 3), (800, 600))
    assert pixels[:, 0].mean() > pixels[:, -1].mean() + 200
    assert reduced_image(file, Reading(exif="ignore"), 100)[1] == (600, 800)


def test_a_damaged_jpeg_says_what_is_wrong(tmp_path: Path):
    file = tmp_path / "a.jpg"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)).save(file)
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(DataError) as refused:
        reduced_image(file, Reading(), 32)
    assert refused.value.code == "D101"


def test_more_pixels_than_allowed_are_never_decoded(tmp_path: Path):
    for name in ("a.jpg", "a.png"):
        Image.new("RGB", (100, 100)).save(tmp_path / name)
        with pytest.raises(DataError) as refused:
            reduced_image(tmp_path / name, Reading(max_pixels=9999), 10)
        assert refused.value.code == "D120"


def test_of_a_large_image_a_part_is_shown(tmp_path: Path, dataset: Dataset):
    image, mask = tmp_path / "large.tif", tmp_path / "large-mask.tif"
    values = np.zeros((40, 60, 3), np.uint8)
    values[10:, 20:] = 200
    Image.fromarray(values).save(image)
    Image.fromarray(values[..., 0] // 200).save(mask)
    data = msgspec.structs.replace(dataset, reading=Reading(max_pixels=1000))
    sample = Sample("large", image, mask)
    pictures = Pictures(lambda path: True)
    found = pictures.photo(data, sample, 1600, (5, 10))
    assert found.whole == (40, 60)
    assert found.part == (0, 0, 40, 60)  # a window of 1024 pixels holds all of it
    labels = opened(pictures.labels(data, sample, 1600).content)
    assert np.asarray(labels)[10, 20] == 1
    assert np.asarray(labels)[9, 20] == 0
    several = msgspec.structs.replace(data, multilabel=True)
    classes = msgspec.structs.replace(sample, class_masks=(None, mask))
    labels = opened(Pictures(lambda path: True).labels(several, classes, 1600).content)
    assert (np.asarray(labels)[10, 20], np.asarray(labels)[9, 20]) == (1, 255)


def test_parts_stay_within_the_image():
    assert part_of((3000, 2000), None) == (988, 488, 1024, 1024)
    assert part_of((3000, 2000), (2900, 5)) == (1976, 5, 1024, 1024)
    assert part_of((500, 2000), (9, 9)) == (0, 9, 500, 1024)


def test_what_may_not_be_shown_is_refused(dataset: Dataset):
    pictures = Pictures(lambda path: "masks" not in os.fspath(path))
    sample = sample_of(dataset, "train/a")
    assert pictures.photo(dataset, sample, 32).content
    with pytest.raises(Refused, match="leads out of the folders"):
        pictures.labels(dataset, sample, 32)


def test_pictures_change_with_their_files(dataset: Dataset):
    pictures, sample = Pictures(lambda path: True), sample_of(dataset, "train/b")
    before = pictures.photo(dataset, sample, 32).content
    assert pictures.photo(dataset, sample, 32).content is before
    Image.new("RGB", SIZE[::-1], (9, 9, 9)).save(sample.image_path)
    assert pictures.photo(dataset, sample, 32).content != before


def test_a_region_is_cut_out_in_a_frame(dataset: Dataset):
    pictures, sample = Pictures(lambda path: True), sample_of(dataset, "train/wide")
    cut = opened(pictures.region(dataset, sample, 8, 8, 16, 16, 128, 48))
    assert cut.size == (320, 160)  # 96 by 48 pixels around it
    colors = np.asarray(cut).astype(int)
    yellow = (np.abs(colors - (255, 225, 77)).sum(axis=2) < 120).nonzero()
    assert yellow[0].min() < 40 < yellow[0].max()
