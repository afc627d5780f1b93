from collections.abc import Sequence
from pathlib import Path

import pytest

from pixelwise.datasets.findings import Finding
from pixelwise.datasets.layouts.listing import Entry
from pixelwise.datasets.layouts.matching import is_mask_name, match_files, match_folders


def entries(*names: str) -> list[Entry]:
    return [Entry(name.rpartition(".")[0], Path(name)) for name in names]


def paired(images: list[Entry], masks: list[Entry], split: str = "train"):
    samples, findings = match_files(split, images, masks, masks=Path("masks"))
    return [(s.image_path.name, s.mask_path.name if s.mask_path else None) for s in samples], findings


def test_equal_stems_are_pairs_whatever_the_ending():
    pairs, findings = paired(entries("b.jpg", "a.png"), entries("a.png", "b.png"))
    assert pairs == [("a.png", "a.png"), ("b.jpg", "b.png")]
    assert findings == []


@pytest.mark.parametrize(
    "mask",
    ["a_mask.png", "a_L.png", "a_labelIds.png", "a-mask.png", "a_label.png", "a_gt.png", "a.jpg.png", "a.jpg_mask.png"],
)
def test_endings_that_tools_append_to_masks_are_understood(mask: str):
    pairs, findings = paired(entries("a.jpg"), entries(mask))
    assert pairs == [("a.jpg", mask)]
    assert findings == []


def test_endings_that_tools_append_to_images_are_understood():
    assert paired(entries("1_sat.jpg"), entries("1_mask.png"))[0] == [("1_sat.jpg", "1_mask.png")]


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("image_7.jpg", "mask_7.png"),
        ("img7.jpg", "label7.png"),
        ("b/frame 7.jpg", "b/gt 7.png"),
        ("7.jpg", "mask7.png"),
    ],
)
def test_what_tools_put_before_names_is_understood(image: str, mask: str):
    pairs, findings = paired(entries(image), entries(mask))
    assert pairs == [(Path(image).name, Path(mask).name)]
    assert findings == []


def test_a_folder_per_image_may_hold_image_and_mask():
    pairs, findings = paired(entries("1/image.jpg", "2/image.jpg"), entries("1/mask.png", "2/mask.png"))
    assert len(pairs) == 2
    assert findings == []


def test_numbers_of_two_series_are_not_paired():
    pairs, (problem,) = paired(entries("image_1.jpg", "img_1.jpg"), entries("mask_1.png"))
    assert pairs == []
    assert problem.code == "D130"
    assert "mask_1.png may be the mask of image_1.jpg or of img_1.jpg" in problem.message


@pytest.mark.parametrize("stem", ["a_mask", "a-labels", "mask", "mask_1", "label7", "gt.3"])
def test_names_of_masks_are_known(stem: str):
    assert is_mask_name(stem)


@pytest.mark.parametrize("stem", ["a", "a_L", "masked", "gtx", "segment_1", "labelled 3"])
def test_names_of_images_are_not_taken_for_masks(stem: str):
    assert not is_mask_name(stem)


def test_two_masks_that_could_belong_to_one_image_are_not_guessed():
    pairs, (problem,) = paired(entries("a.jpg", "b.jpg"), entries("a_mask.png", "a_gt.png", "b_mask.png"))
    assert pairs == [("b.jpg", "b_mask.png")]
    assert (problem.code, set(problem.files)) == ("D130", {"a.jpg", "a_mask.png", "a_gt.png"})
    assert "a_gt.png and a_mask.png may both be the mask of a.jpg" in problem.message


def test_an_exact_name_wins_over_one_with_an_ending():
    pairs, findings = paired(entries("a.jpg"), entries("a.png", "a_gt.png"))
    assert pairs == [("a.jpg", "a.png")]
    assert [finding.code for finding in findings] == ["D220"]


def test_what_has_no_partner_is_counted_with_the_nearest_name():
    _, findings = paired(entries("a.jpg", "street_1.jpg"), entries("a.png", "street1.png", "other.png"))
    images, masks = findings
    assert images.message.startswith("train: 1 of 2 images ")
    assert "street_1.jpg" in images.message
    assert images.message.endswith("street1.png")
    assert images.files == ("street_1.jpg",)
    assert masks.message.startswith("train: 2 of 3 masks ")
    assert 'data.allow=["D220"]' in masks.fix


def test_two_files_of_one_name_are_d130_and_the_first_is_used():
    pairs, findings = paired(entries("a.jpg", "a.png"), entries("a.png"))
    assert pairs == [("a.jpg", "a.png")]
    assert [(f.code, f.files) for f in findings] == [("D130", ("a.jpg", "a.png"))]


def test_names_that_differ_in_case_only_are_d130_but_stay_pairs():
    pairs, findings = paired(entries("a.png", "A.png"), entries("a.png", "A.png"))
    assert len(pairs) == 2
    assert [f.code for f in findings] == ["D130", "D130"]
    assert all(set(f.files) == {"a.png", "A.png"} for f in findings)


def test_an_empty_split_is_d221():
    _, findings = paired([], [])
    assert [finding.code for finding in findings] == ["D221"]


def test_a_split_without_any_mask_is_left_out_with_a_warning_unless_it_is_the_training_split():
    assert [f.code for f in paired(entries("a.jpg"), [], "test")[1]] == ["W220"]
    assert [f.code for f in paired(entries("a.jpg"), [], "train")[1]] == ["D220"]


def found_in(tmp_path: Path, images: Sequence[str], masks: Sequence[str]) -> list[Finding]:
    for folder, names in (("images", images), ("masks", masks)):
        (tmp_path / folder).mkdir()
        for name in names:
            (tmp_path / folder / name).write_bytes(b"")
    return match_folders("train", tmp_path / "images", tmp_path / "masks")[1]


def test_where_nothing_matches_no_error_can_be_allowed(tmp_path: Path):
    found = found_in(tmp_path, ["a.jpg", "b.jpg"], ["mask_0.png", "mask_1.png"])
    (one,) = found
    assert one.code == "D220"
    assert "none of 2 images has a mask of its name among 2 masks" in one.message
    assert "as many images as masks" in one.message
    assert "a.jpg with mask_0.png" in one.fix
    assert "data.allow" not in one.fix
    assert [Path(file).name for file in one.files] == ["a.jpg", "b.jpg", "mask_0.png", "mask_1.png"]


def test_names_that_differ_in_case_are_told(tmp_path: Path):
    found = found_in(tmp_path, ["Photo 1.JPG", "Photo 2.JPG"], ["photo 1_mask.png", "photo 2_mask.png"])
    (one,) = found
    assert "upper and lower case" in one.message
    assert one.fix == "rename the masks as their images are: photo 1_mask.png to Photo 1_mask.png, and so on"


def test_files_in_place_of_masks_are_named_with_advice(tmp_path: Path):
    (found,) = found_in(tmp_path, ["a.jpg", "b.jpg"], ["a.mat", "b.mat"])
    assert "2 of 2 images have no mask" in found.message
    assert "holds 2 .mat instead" in found.message
    assert "MATLAB" in found.fix


def test_some_files_without_a_partner_can_be_left_out(tmp_path: Path):
    (found,) = found_in(tmp_path, ["a.jpg", "b.jpg"], ["a.png"])
    assert "1 of 2 images has no mask" in found.message
    assert "data.allow" in found.fix
