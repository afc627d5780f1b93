from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixelwise.datasets.formats.folder import folder_layout
from pixelwise.datasets.formats.lists import lists_layout
from pixelwise.datasets.layouts.listing import Entry
from pixelwise.datasets.layouts.matching import is_mask_name, match_files
from pixelwise.datasets.layouts.words import IMAGE_WORDS, MASK_MARKS, MASK_WORDS, Kind, folders_by_words, kind_of


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


@pytest.mark.parametrize(
    ("images", "masks"),
    [*((word, "masks") for word in IMAGE_WORDS), *(("images", word) for word in MASK_WORDS)],
)
def test_a_word_means_the_same_in_folders_and_in_columns(tmp_path: Path, images: str, masks: str):
    for folder in (images, masks):
        for number in range(3):
            (tmp_path / folder).mkdir(exist_ok=True)
            Image.fromarray(np.zeros((2, 2), np.uint8)).save(tmp_path / folder / f"{number}.png")
    layout = folder_layout(tmp_path)
    assert layout is not None
    assert sum(map(len, layout.splits.values())) == 3
    assert (kind_of(images), kind_of(masks)) == (Kind.IMAGES, Kind.MASKS)
    rows = "".join(f"{images}/{number}.png,{masks}/{number}.png\n" for number in range(3))
    (tmp_path / "train.csv").write_text(f"{images},{masks}\n{rows}")
    listed = lists_layout(tmp_path)
    assert listed is not None
    assert sum(map(len, listed.splits.values())) == 3


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        *((f"{word}_7", "mask_7") for word in IMAGE_WORDS),
        *((f"7_{word}", "7_mask") for word in IMAGE_WORDS),
        *(("7", f"7_{word}") for word in MASK_MARKS),
        *(("image7", f"{word}7") for word in MASK_MARKS),
    ],
)
def test_a_word_means_the_same_in_names_of_files(image: str, mask: str):
    files = ([Entry(image, Path(f"{image}.jpg"))], [Entry(mask, Path(f"{mask}.png"))])
    samples, problems = match_files("train", *files, masks=Path("masks"))
    assert (len(samples), problems) == (1, [])
    assert is_mask_name(mask)
    assert not is_mask_name(image)
