from pathlib import Path

import pytest

from pixelwise.datasets.layouts.words import Kind, folders_by_words, kind_of


def found(*names: str) -> dict[str | None, tuple[str, str]]:
    pairs = folders_by_words({name.lower(): Path(name) for name in names})
    return {split: (images.name, masks.name) for split, (images, masks) in pairs.items()}


@pytest.mark.parametrize(
    ("images", "masks"),
    [
        ("img_dir", "ann_dir"),
        ("x", "y"),
        ("img", "masks_machine"),
        ("RGB images", "labels (png)"),
        ("dataInput", "dataGT"),
    ],
)
def test_the_only_folders_of_their_kinds_belong_together(images: str, masks: str):
    assert found(images, masks, "results") == {None: (images, masks)}


def test_the_other_words_say_which_belong_together_and_which_split_they_are():
    images = [f"ISIC2018_Task1-2_{split}_Input" for split in ("Training", "Validation")]
    masks = [f"ISIC2018_Task1-2_{split}_GroundTruth" for split in ("Training", "Validation")]
    assert found(*images, *masks) == {"train": (images[0], masks[0]), "val": (images[1], masks[1])}


@pytest.mark.parametrize(
    "names",
    [
        ("images_left", "images_right", "masks"),  # which one?
        ("day_images", "day_masks", "night_images", "night_masks"),  # no splits
        ("images_a", "image_a", "mask_a", "images_b", "mask_b"),
        ("images",),
        (),
    ],
)
def test_what_is_ambiguous_is_not_guessed(names: tuple[str, ...]):
    assert found(*names) == {}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("images_png", Kind.IMAGES),
        ("imageLabels", Kind.MASKS),
        ("GT", Kind.MASKS),
        ("trimaps", None),
        ("imagery", None),
    ],
)
def test_what_a_folder_holds_by_its_name(name: str, kind: Kind | None):
    assert kind_of(name) is kind
