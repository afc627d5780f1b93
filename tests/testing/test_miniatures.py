from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixelwise.datasets.auditing.audit import audit
from pixelwise.datasets.opening import open_dataset
from pixelwise.datasets.reading.pairs import read_pair
from pixelwise.recipes.schema.recipe import Data
from pixelwise.testing.miniatures import SIZES, write_miniature


@pytest.mark.parametrize("name", ["camvid", "voc-aug", "ade20k", "ade20k32", "cocoseg21", "cocoseg21-edgeai"])
def test_a_miniature_opens_as_the_data_set_and_nothing_is_wrong_with_it(name: str, tmp_path: Path) -> None:
    root = write_miniature(name, tmp_path / "data", (2, 1))
    split = "train_aug" if name == "voc-aug" else "train"

    dataset = open_dataset(Data(dataset=name, train_split=split), root)  # type: ignore[arg-type]

    assert len(dataset.samples(split)) == 2
    assert len(dataset.samples("val")) == 1
    assert audit(dataset).errors == ()
    image, labels = read_pair(dataset.samples(split)[0], dataset)
    assert image.shape[:2] == labels.shape == SIZES[{"ade20k32": "ade20k"}.get(name, name.removesuffix("-edgeai"))]
    assert len(set(labels.ravel().tolist()) - {255}) >= 3


def test_it_is_recognised_without_being_named(tmp_path: Path) -> None:
    assert open_dataset(Data(), write_miniature("ade20k", tmp_path / "data", (1, 1))).name == "ade20k"


def test_what_has_no_miniature_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="moon"):
        write_miniature("moon", tmp_path / "data")


def test_cityscapes_masks_hold_values_that_its_own_scripts_know(tmp_path: Path) -> None:
    root = write_miniature("cityscapes", tmp_path / "data", (0, 1))
    (mask,) = root.rglob("*_labelIds.png")
    # 34 labels; the id of licence plates, -1, is never drawn.
    assert np.asarray(Image.open(mask)).max() <= 33
