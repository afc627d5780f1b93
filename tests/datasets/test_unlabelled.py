from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixelwise.datasets.opening import open_folder
from pixelwise.datasets.unlabelled import open_with_unlabelled, unlabelled_of
from pixelwise.errors import DataError

CLASSES = 'classes = ["background", "crack"]\n'


def write(root: Path, *names: str) -> None:
    """Images of three channels, and masks of one where the name says so."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        is_mask = any(word in name for word in ("mask", "labels", "gt"))
        Image.fromarray(np.zeros((4, 6) if is_mask else (4, 6, 3), np.uint8)).save(path)
    (root / "dataset.toml").write_text(CLASSES)


@pytest.mark.parametrize(
    ("pairs", "image", "mask"),
    [
        ("images/train/{}.png masks/train/{}.png", "images/train/new.png", "masks/train/new.png"),
        ("images/train/{}.png masks/train/{}.png", "images/train/deep/new.jpg", "masks/train/deep/new.png"),
        ("images/train/{}.png masks/train/{}.png", "images/val/new.png", "masks/val/new.png"),
        ("train/images/{}.png train/labels/{}.png", "val/images/new.png", "val/labels/new.png"),
        ("images/{}.jpg masks/{}_mask.png", "images/new.jpg", "masks/new_mask.png"),
        ("{}.jpg {}_mask.png", "new.jpg", "new_mask.png"),
        ("images/image_{}.jpg masks/mask_{}.png", "images/image_new.jpg", "masks/mask_new.png"),
        ("images/{}_sat.jpg masks/{}_mask.png", "images/new_sat.jpg", "masks/new_mask.png"),
    ],
)
def test_a_mask_belongs_where_those_of_other_images_are(tmp_path: Path, pairs: str, image: str, mask: str):
    write(tmp_path, *(name.format(number) for name in pairs.split() for number in (1, 2)), image)
    dataset, (found,) = open_with_unlabelled(tmp_path)
    assert (found.image_path, found.mask_path) == (tmp_path / image, tmp_path / mask)
    assert found.split == ("val" if "val" in image else "train")
    write(tmp_path, mask)
    after = open_folder(tmp_path)[1]
    pairs_after = [(one.image_path, one.mask_path) for samples in after.splits.values() for one in samples]
    assert (tmp_path / image, tmp_path / mask) in pairs_after
    assert len(pairs_after) == sum(map(len, dataset.splits.values())) + 1
    assert unlabelled_of(after) == ()


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("images/val/a.jpg", "masks/val/a.png"),
        ("train/images/a.jpg", "train/masks/a.png"),
        ("a.png", "a_mask.png"),
        ("train/a.jpg", "train/a_mask.png"),
        ("walks/monday/a.jpg", "walks/monday/a_mask.png"),
    ],
)
def test_images_without_any_mask_are_opened_by_the_classes_of_their_description(tmp_path: Path, image: str, mask: str):
    write(tmp_path, image, image.replace("a.", "b."))
    dataset, found = open_with_unlabelled(tmp_path)
    assert (dataset.classes, sum(map(len, dataset.splits.values()))) == (("background", "crack"), 0)
    assert [one.image_path for one in found] == [tmp_path / image, tmp_path / image.replace("a.", "b.")]
    assert found[0].mask_path == tmp_path / mask
    write(tmp_path, mask)
    samples = [one for part in open_folder(tmp_path)[1].splits.values() for one in part]
    assert [(one.image_path, one.mask_path) for one in samples] == [(tmp_path / image, tmp_path / mask)]
    assert [one.id for one in open_with_unlabelled(tmp_path)[1]] == [found[1].id]


def test_an_existing_folder_of_masks_is_used(tmp_path: Path):
    write(tmp_path, "images/a.jpg")
    (tmp_path / "labels").mkdir()
    assert open_with_unlabelled(tmp_path)[1][0].mask_path == tmp_path / "labels/a.png"


def test_what_is_no_image_without_a_mask_is_left_out(tmp_path: Path):
    write(tmp_path, "images/a.png", "masks/a.png", "masks/alone.png", "images/b.png", "images/c.png")
    write(tmp_path, "images/c.jpg", "masks/c.png")
    assert [one.id for one in open_with_unlabelled(tmp_path)[1]] == ["b"]
    (tmp_path / "images/b.png").unlink()
    (tmp_path / "masks/alone.png").unlink()
    (tmp_path / "images/c.jpg").unlink()
    assert open_with_unlabelled(tmp_path)[1] == ()


def test_without_classes_the_way_out_names_the_file(tmp_path: Path):
    write(tmp_path, "images/a.jpg")
    (tmp_path / "dataset.toml").unlink()
    with pytest.raises(DataError) as caught:
        open_with_unlabelled(tmp_path)
    assert caught.value.code == "D222"
    assert f"name their classes in {tmp_path / 'dataset.toml'}" in caught.value.help
    with pytest.raises(DataError, match="does not exist"):
        open_with_unlabelled(tmp_path / "nowhere")
