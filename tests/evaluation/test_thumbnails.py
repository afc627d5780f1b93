from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from pixelwise.evaluation.thumbnails import Thumbnails
from pixelwise.records.details import load_thumbnails, thumbnail_name

RED = np.full((120, 200, 3), (200, 20, 20), np.uint8)


def saved(folder, images, shown=None):
    with Thumbnails() as thumbnails:
        for index, image in enumerate(images):
            thumbnails.add(index, image, shown or image.shape[:2])
        thumbnails.save(folder / "thumbnails.zip")
        thumbnails.save(folder / "again.zip")
    return [Image.open(io.BytesIO(data)) for data in load_thumbnails(folder).values()]


def test_a_picture_is_small_and_looks_like_its_image(tmp_path):
    (picture,) = saved(tmp_path, [RED])

    assert (picture.format, picture.size) == ("WEBP", (160, 96))
    assert np.abs(np.asarray(picture.convert("RGB")).astype(int) - RED[0, 0]).max() < 12


@pytest.mark.parametrize(("shown", "size"), [((400, 100), (40, 160)), ((10, 20), (160, 80)), ((1, 4000), (160, 1))])
def test_its_proportions_are_those_of_the_labels(tmp_path, shown, size):
    (picture,) = saved(tmp_path, [RED], shown)

    assert picture.size == size


def test_any_number_of_channels_is_drawn(tmp_path):
    pictures = saved(tmp_path, [np.zeros((10, 10, channels), np.uint8) for channels in (1, 2, 5)])

    assert [picture.size for picture in pictures] == [(160, 160)] * 3


def test_the_same_images_give_the_same_file_however_often_it_is_saved(tmp_path):
    saved(tmp_path, [RED, RED[:50]])
    first = (tmp_path / "thumbnails.zip").read_bytes()

    saved(tmp_path, [RED, RED[:50]])

    assert first == (tmp_path / "thumbnails.zip").read_bytes() == (tmp_path / "again.zip").read_bytes()
    assert list(load_thumbnails(tmp_path)) == [thumbnail_name(0), thumbnail_name(1)]


def test_many_pictures_are_kept_on_disk(tmp_path, monkeypatch):
    monkeypatch.setattr("pixelwise.evaluation.thumbnails._IN_MEMORY", 100)

    assert len(saved(tmp_path, [RED] * 5)) == 5
