from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from pixelwise.datasets.auditing.audit import audit
from pixelwise.datasets.findings import Finding
from pixelwise.datasets.opening import open_dataset
from pixelwise.recipes.schema.data import Data

MakeFolder = Callable[..., Path]
LABELS = np.array([[0, 1, 2], [0, 0, 1]], np.uint8).repeat(6, 0).repeat(6, 1)
OBJECT = np.minimum(LABELS, 1)


def finding(root: Path, data: Data | None = None) -> Finding | None:
    found = [one for one in audit(open_dataset(data or Data(), root)).findings if one.code == "D261"]
    return found[0] if found else None


def folder(make_folder: MakeFolder, *masks: np.ndarray, split: str = "train", name: str = "data") -> Path:
    return make_folder({f"{split}/{index}": mask for index, mask in enumerate(masks)}, name)


@pytest.mark.parametrize("white", [127, 128, 254, 255])
def test_two_whites_are_named_with_a_file_of_each(make_folder: MakeFolder, white: int):
    found = finding(folder(make_folder, OBJECT, OBJECT * np.uint8(white), OBJECT))
    assert found is not None
    assert "2 masks hold 0 and 1 (masks/train/0.png)" in found.message
    assert f"1 mask holds 0 and {white} (masks/train/1.png)" in found.message
    assert found.files == ("masks/train/1.png", "masks/train/0.png", "masks/train/2.png")
    assert f"1 = 1, {white} = 1" in found.fix


def test_two_meanings_are_none_if_a_mask_holds_both_or_the_user_says_so(make_folder: MakeFolder):
    both = OBJECT.copy()
    both[0, 0] = 255
    assert finding(folder(make_folder, OBJECT, both)) is None
    mixed = folder(make_folder, OBJECT, OBJECT * np.uint8(255), name="mixed")
    assert finding(mixed) is not None
    assert finding(mixed, Data(label_map={"0": 0, "1": 1, "255": 1})) is None
    assert finding(mixed, Data(mask_threshold=1)) is None


def test_classes_of_different_photos_are_no_conventions(make_folder: MakeFolder):
    """One class per photo, as in collections of cats and dogs: ids 1 and 2 never meet."""
    assert finding(folder(make_folder, OBJECT, OBJECT * np.uint8(2), OBJECT * np.uint8(3))) is None


@pytest.mark.heavy
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(classes=st.integers(3, 8), step=st.integers(5, 30), void=st.booleans())
def test_scaled_ids_are_mapped_back(make_folder: MakeFolder, classes: int, step: int, void: bool):
    ids = np.arange(classes, dtype=np.uint8).repeat(6)[None].repeat(6, 0)
    grey = ids * np.uint8(min(step, 254 // (classes - 1)))
    if void:
        ids, grey = (np.concatenate([mask, np.full((2, mask.shape[1]), 255, np.uint8)]) for mask in (ids, grey))
    found = finding(folder(make_folder, ids, grey, name=f"data-{classes}-{step}-{void}"))
    assert found is not None
    if set(grey[0]) & set(range(1, classes)):
        assert "two meanings" in found.fix
        return
    mapping = {
        int(raw): int(new)
        for raw, new in (pair.split(" = ") for pair in found.fix.split("{")[1].split("}")[0].split(", "))
    }
    expected = {int(raw): int(new) for raw, new in zip(grey[0], ids[0], strict=True)}
    assert {raw: mapping[raw] for raw in expected} == expected
    assert mapping[255] == 255


def test_ids_that_count_from_0_and_from_1_are_told_by_their_shares(make_folder: MakeFolder):
    rng = np.random.default_rng(0)
    masks = [np.array([0, 0, 0, 0, 0, 0, 1, 1, 2], np.uint8)[rng.integers(0, 9, (12, 12))] for _ in range(8)]
    found = finding(folder(make_folder, *masks[:5], *[mask + np.uint8(1) for mask in masks[5:]]))
    assert found is not None
    assert "5 masks hold ids 0..2" in found.message
    assert "3 masks hold ids 1..3" in found.message


def test_a_class_that_replaces_another_is_no_shift(make_folder: MakeFolder):
    """Day and night: sky (0) in some photos, darkness (3) in the others, road and cars alike."""
    rng = np.random.default_rng(0)
    day = [np.array([0, 1, 1, 1, 1, 2], np.uint8)[rng.integers(0, 6, (12, 12))] for _ in range(8)]
    night = [np.where(mask == 0, 3, mask).astype(np.uint8) for mask in day[4:]]
    assert finding(folder(make_folder, *day[:4], *night)) is None


def test_a_whole_split_with_another_convention_is_named(make_folder: MakeFolder):
    root = make_folder({"train/a": OBJECT * np.uint8(255), "train/b": OBJECT * np.uint8(255), "val/c": OBJECT})
    found = finding(root)
    assert found is not None
    assert "(val: masks/val/c.png)" in found.message
    assert "(train: masks/train/a.png)" in found.message
    assert "data.allow" not in found.fix  # nothing would be left of the object in train


def test_palettes_say_which_colour_is_which_id(make_folder: MakeFolder):
    colors = np.array([(0, 0, 0), (9, 200, 9), (200, 9, 9)], np.uint8)
    root = folder(make_folder, LABELS, colors[LABELS])
    assert finding(root) is not None  # without a palette, nothing does
    assert "data." not in (finding(root) or Finding(code="", severity="error", message="")).fix
    picture = Image.fromarray(LABELS)
    picture.putpalette(colors.tobytes())
    picture.save(root / "masks" / "train" / "0.png")
    found = finding(root)
    assert found is not None
    assert '\'data.colors={"#000000" = 0, "#09c809" = 1, "#c80909" = 2}\'' in found.fix


def test_one_kind_of_masks_is_not_mixed(make_folder: MakeFolder):
    assert finding(folder(make_folder, LABELS, LABELS[::-1])) is None
    assert finding(folder(make_folder, OBJECT * np.uint8(255), name="white")) is None


def test_black_and_white_masks_among_masks_of_several_ids_are_named(make_folder: MakeFolder):
    root = make_folder({"train/a": LABELS, "train/b": LABELS, "val/c": OBJECT * np.uint8(255)})
    found = finding(root)
    assert found is not None
    assert "0 and 255, which means ignored (val: masks/val/c.png)" in found.message
    with_void = LABELS.copy()
    with_void[:2] = 255
    assert finding(make_folder({"train/a": with_void, "val/c": OBJECT * np.uint8(255)}, "void")) is None
