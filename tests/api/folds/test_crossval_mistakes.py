"""Label mistakes that were made on purpose come first in the ranking of a cross-validation."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import pixelwise

GROUND, BOX, BALL = 0, 1, 2
# A box with another class, a box that was overlooked, a ball that was overlooked.
MADE = {"train/01": (BOX, BALL), "train/05": (BOX, GROUND), "val/02": (BALL, GROUND)}


@pytest.mark.heavy
def test_mistakes_that_were_made_come_first(tiny_data: Path, tiny_recipe: Path, tmp_path: Path):
    data = tmp_path / "data"
    shutil.copytree(tiny_data, data)
    changed = {}
    for id, (before, after) in MADE.items():
        path = data / "masks" / f"{id}.png"
        labels = np.array(Image.open(path))
        changed[id] = labels == before
        Image.fromarray(np.where(changed[id], np.uint8(after), labels)).save(path)
    found = pixelwise.crossval(
        tiny_recipe,
        data,
        tmp_path / "out",
        folds=2,
        overrides=[
            "schedule.iterations=100", "selection.weights=last", "selection.every_epochs=0", "sampling.batch_size=4",
            "ema=none", "augment.class_crop=0.0",
        ],
        threads=1,
        device="cpu",
    )  # fmt: skip
    regions = found.mistakes
    assert len(regions) >= 3

    def mistake_of(region) -> str | None:
        id = Path(region.mask_file).relative_to(data / "masks").with_suffix("").as_posix()
        box = np.s_[region.y : region.y + region.height, region.x : region.x + region.width]
        return id if id in changed and changed[id][box].mean() > 0.5 else None

    shown = [mistake_of(region) for region in regions]
    first = {one for one in shown[:3] if one is not None}
    # As many as there are mistakes are looked at: drawn at random, they would show these on average.
    hits = {id: shown.count(id) for id in changed}
    misses = [np.prod([(len(shown) - hit - step) / (len(shown) - step) for step in range(3)]) for hit in hits.values()]
    assert len(first) >= 2
    assert len(first) > sum(1 - miss for miss in misses) or len(shown) == 3
