import math
from pathlib import Path

import msgspec
import pytest
from records.test_evaluations import SCORE, result

from pixelwise.errors import DataError
from pixelwise.records.result import BinaryCounts, from_json, load_per_image, load_result, save_result, to_json


def test_a_result_and_its_tables_survive_the_disk(tmp_path: Path):
    saved = result("val", "native")
    assert save_result(saved, [SCORE], tmp_path / "e") == tmp_path / "e" / "result.json"
    assert to_json(load_result(tmp_path / "e")) == to_json(saved)
    assert load_per_image(tmp_path / "e") == (SCORE,)
    rows = (tmp_path / "e" / "per_class.csv").read_text().splitlines()
    assert rows == [
        "name,iou,accuracy,precision,pixels,images,worst_image,worst_image_iou,f1,boundary_iou",
        "road,0.25,0.5,0.5,8,1,a,,,",
    ]


def test_undefined_values_are_null_in_json_and_nan_in_memory():
    none = result("val", "native", miou=math.nan)
    assert b'"miou": null' in to_json(none)
    assert math.isnan(from_json(to_json(none)).miou)


def test_labelled_pixels_are_counted_by_class_or_by_one_class_of_multi_label_data():
    one = result("val", "native")
    assert (one.labelled_pixels, one.multilabel) == (8, False)
    counts = BinaryCounts(true_positives=1, false_positives=2, false_negatives=3, true_negatives=4)
    several = msgspec.structs.replace(one, binary_counts=(counts, counts))
    assert (several.labelled_pixels, several.multilabel) == (10, True)


def test_a_file_of_another_version_may_have_more_and_fewer_fields():
    plain = msgspec.json.decode(to_json(result("val", "native")))
    del plain["groups"], plain["miou_interval"], plain["derived_from"]
    plain["later"] = 1
    assert from_json(msgspec.json.encode(plain)).miou_interval is None


def test_a_file_that_is_no_result_is_an_error(tmp_path: Path):
    with pytest.raises(DataError) as caught:
        from_json(b'{"miou": 1}', "a.json")
    assert caught.value.code == "D240"
    with pytest.raises(DataError) as caught:
        load_result(tmp_path)
    assert caught.value.code == "D240"
