from __future__ import annotations

import zipfile

import pytest

from pixelwise.errors import DataError
from pixelwise.records.details import (
    THUMBNAILS,
    ClassPixels,
    ConfusedPixels,
    ImageDetails,
    RegionCounts,
    load_details,
    load_thumbnails,
    save_details,
    thumbnail_name,
)

STREET = ImageDetails(
    id="street <b>",
    confusion=(ConfusedPixels(0, 0, 60), ConfusedPixels(0, 2, 20), ConfusedPixels(1, 0, 5), ConfusedPixels(1, 1, 15)),
    near=30,
    near_wrong=7,
    regions=(RegionCounts(1, "small", 3, 2, 1),),
)


def test_wrong_pixels_are_those_off_the_diagonal():
    assert STREET.wrong == 25
    assert STREET.far_wrong == 18


def test_the_worst_class_has_the_lowest_iou_of_the_labelled_ones():
    # 0: 60 of 80 labelled + 5 invented; 1: 15 of 20; class 2 is only predicted.
    assert STREET.worst_class() == (0, 60 / 85)


def test_of_equally_bad_classes_the_larger_one_is_the_worst():
    image = ImageDetails(id="a", confusion=(ConfusedPixels(0, 2, 5), ConfusedPixels(1, 2, 9), ConfusedPixels(3, 3, 1)))

    assert image.worst_class() == (1, 0.0)


def test_multi_label_counts_tell_the_worst_class_too():
    image = ImageDetails(id="a", binary=(ClassPixels(0, 8, 1, 1), ClassPixels(1, 1, 1, 2), ClassPixels(2, 0, 9, 0)))

    assert image.worst_class() == (1, 0.25)


def test_an_image_without_labels_has_no_worst_class():
    assert ImageDetails(id="a").worst_class() is None


def test_details_survive_the_disk(tmp_path):
    details = (STREET, ImageDetails(id="b", binary=(ClassPixels(3, 1, 2, 3),)))
    save_details(details, tmp_path)

    assert load_details(tmp_path) == details


def test_an_evaluation_of_an_earlier_version_has_none(tmp_path):
    assert load_details(tmp_path) == ()
    assert load_thumbnails(tmp_path) == {}


@pytest.mark.parametrize("content", ['{"id": 3}\n', '{"id": "a", "confusion": [[1, 2]]}\n', "x\n", "\xff"])
def test_a_damaged_list_is_an_error_with_its_name(tmp_path, content):
    (tmp_path / "images.jsonl").write_text(content, "latin-1")

    with pytest.raises(DataError, match=r"images\.jsonl") as caught:
        load_details(tmp_path)

    assert caught.value.code == "D240"


def test_thumbnails_are_read_by_name_and_damage_only_costs_the_picture(tmp_path):
    with zipfile.ZipFile(tmp_path / THUMBNAILS, "w") as archive:
        archive.writestr(thumbnail_name(0), b"first")
        archive.writestr(thumbnail_name(1), b"second")
    data = (tmp_path / THUMBNAILS).read_bytes()
    assert load_thumbnails(tmp_path) == {"000000.webp": b"first", "000001.webp": b"second"}

    (tmp_path / THUMBNAILS).write_bytes(data.replace(b"second", b"sec0nd"))
    assert load_thumbnails(tmp_path) == {"000000.webp": b"first"}

    (tmp_path / THUMBNAILS).write_bytes(data[:20])
    assert load_thumbnails(tmp_path) == {}


def test_a_packed_huge_or_misnamed_thumbnail_is_not_read(tmp_path):
    with zipfile.ZipFile(tmp_path / THUMBNAILS, "w") as archive:
        archive.writestr(thumbnail_name(0), bytes(1000), zipfile.ZIP_DEFLATED)
        archive.writestr(thumbnail_name(1), bytes(10**6))
        archive.writestr("../000002.webp", b"outside")

    assert load_thumbnails(tmp_path) == {}
