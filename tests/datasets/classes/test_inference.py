from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixelwise.datasets.classes import inference
from pixelwise.datasets.classes.inference import MaskIds, infer_label_map, read_mask_ids
from pixelwise.datasets.samples import Reading, Sample


def pairs(*masks: Path) -> list[Sample]:
    return [Sample(mask.stem, mask.with_suffix(".jpg"), mask) for mask in masks]


def ids(*found: int) -> MaskIds:
    return MaskIds(files=dict.fromkeys(found, (1, "masks/a.png")))


def test_contiguous_ids_from_0_are_classes_and_255_is_ignored():
    assert infer_label_map(ids(0, 1, 2, 255)) == ({0: 0, 1: 1, 2: 2, 255: 255}, [])


def test_gaps_are_d204_with_a_map_that_closes_them():
    mapping, (finding,) = infer_label_map(ids(0, 7, 33, 255))
    assert mapping == {0: 0, 7: 1, 33: 2, 255: 255}
    assert finding.code == "D204"
    assert "0, 7, 33 or 255" in finding.message
    assert "0..2" in finding.message
    assert "'data.label_map={0 = 0, 7 = 1, 33 = 2, 255 = 255}'" in finding.fix


def test_negative_values_are_proposed_as_ignored():
    mapping, (finding,) = infer_label_map(ids(-9999, 0, 1))
    assert (mapping, finding.code) == ({-9999: 255, 0: 0, 1: 1}, "D204")
    assert "'data.label_map={-9999 = 255, 0 = 0, 1 = 1}'" in finding.fix
    assert "expected 0..1 without gaps" in finding.message
    mapping, (finding,) = infer_label_map(ids(-1, 255))
    assert (mapping, finding.code) == ({}, "D204")
    assert "no class id" in finding.message


def test_ids_that_count_from_1_are_d204():
    mapping, (finding,) = infer_label_map(ids(1, 2, 3))
    assert mapping == {1: 0, 2: 1, 3: 2}
    assert finding.code == "D204"


def test_black_and_white_masks_are_background_and_object_and_a_warning_says_so():
    mapping, (finding,) = infer_label_map(ids(0, 255))
    assert mapping == {0: 0, 255: 1}
    assert (finding.code, finding.severity) == ("W217", "warning")
    assert "'data.label_map={0 = 0, 255 = 1}' 'data.classes=[\"background\", \"object\"]'" in finding.fix


def test_black_and_white_masks_with_grey_edges_are_d204_with_a_threshold(tmp_path: Path):
    disc = np.zeros((32, 32), np.uint8)
    disc[8:20, 10:25] = 255
    Image.fromarray(disc).resize((75, 75), Image.Resampling.BILINEAR).save(tmp_path / "a.png")
    mapping, (finding,) = infer_label_map(read_mask_ids(tmp_path, pairs(tmp_path / "a.png"), Reading()))
    assert (mapping, finding.code) == ({}, "D204")
    assert "data.mask_threshold=128" in finding.fix


@pytest.mark.parametrize("found", [range(0, 3000, 7), (255,)])
def test_ids_no_map_makes_sense_of_are_d204_without_a_map(found: range | tuple[int]):
    mapping, (finding,) = infer_label_map(ids(*found))
    assert mapping == {}
    assert finding.code == "D204"


def test_ids_of_all_masks_are_collected_with_their_files(tmp_path: Path):
    for name, values in (("a", [[0, 1]]), ("b", [[1, 2]])):
        Image.fromarray(np.array(values, np.uint8)).save(tmp_path / f"{name}.png")
    Image.fromarray(np.array([[[1, 2, 3]]], np.uint8)).save(tmp_path / "colour.png")
    (tmp_path / "broken.png").write_bytes(b"no image")
    masks = [tmp_path / f"{name}.png" for name in ("a", "b", "colour", "broken")]
    found = read_mask_ids(tmp_path, pairs(*masks), Reading(max_pixels=100))
    assert {raw: count for raw, (count, _) in found.files.items()} == {0: 1, 1: 2, 2: 1}
    assert found.files[2][1].endswith("b.png")
    assert found.pixels == {0: 1, 1: 2, 2: 1}


def test_a_huge_number_of_ids_does_not_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(inference, "_MAX_IDS", 4)
    for name, start in (("a", 0), ("b", 10), ("c", 20)):
        Image.fromarray(np.arange(start, start + 6, dtype=np.uint16)[None]).save(tmp_path / f"{name}.png")
    found = read_mask_ids(tmp_path, pairs(*(tmp_path / f"{name}.png" for name in "abc")), Reading(max_pixels=100))
    assert set(found.files) == set(range(6))


def test_masks_are_decoded_once_until_one_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "a.png"
    Image.fromarray(np.array([[0, 1]], np.uint8)).save(path)
    read_mask_ids(tmp_path, pairs(path), Reading(max_pixels=100))
    monkeypatch.setattr(inference, "load_mask", None)
    assert set(read_mask_ids(tmp_path, pairs(path), Reading(max_pixels=100)).files) == {0, 1}
    monkeypatch.undo()
    Image.fromarray(np.array([[0, 1, 2]], np.uint8)).save(path)
    assert set(read_mask_ids(tmp_path, pairs(path), Reading(max_pixels=100)).files) == {0, 1, 2}
