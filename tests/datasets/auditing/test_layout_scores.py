from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from pixelwise.datasets.auditing.layout_scores import layout_scores
from pixelwise.datasets.opening import open_dataset
from pixelwise.recipes.schema.recipe import Data

MASK = np.array([[0, 1]], np.uint8)


def test_unused_files_lower_the_score(make_folder: Callable[..., Path]):
    root = make_folder({f"{split}/{name}": MASK for split in ("train", "val") for name in "ab"})
    (root / "pictures").mkdir()
    for number in range(2):
        Image.fromarray(MASK).save(root / "pictures" / f"{number}.png")
    first = layout_scores(open_dataset(Data(), root))[0]
    assert (first.name, first.pairs, first.used, first.files) == ("folder", 4, 8, 10)
    assert first.share == 0.8


def test_the_runner_up_is_another_way_to_read_the_same_folder(make_folder: Callable[..., Path]):
    root = make_folder({f"{split}/{name}": MASK for split in ("train", "val") for name in "ab"})
    scores = layout_scores(open_dataset(Data(), root))
    assert [score.name for score in scores] == ["folder"]
    # A list of some of the pairs is another way.
    (root / "train.txt").write_text("images/train/a.png masks/train/a.png\n")
    (root / "val.txt").write_text("images/val/a.png masks/val/a.png\n")
    scores = layout_scores(open_dataset(Data(), root))
    assert [(score.name, score.used, score.files) for score in scores] == [("lists", 4, 8), ("folder", 8, 8)]


def test_a_public_data_set_competes_only_by_the_names_of_its_files(make_folder: Callable[..., Path]):
    root = make_folder({"train/0001TP_006690": MASK, "val/0016E5_07959": MASK})
    assert [score.name for score in layout_scores(open_dataset(Data(), root))] == ["camvid", "folder"]
    assert [score.name for score in layout_scores(open_dataset(Data(dataset="folder"), root))] == ["folder", "camvid"]
