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
    assert "camvid" in [score.name for score in scores[1:]]
    assert all(score.used <= score.files == 8 for score in scores)
