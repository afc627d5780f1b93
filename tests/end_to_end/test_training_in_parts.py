"""Training on images that are read in parts gives the weights and the scores of images that are decoded whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from pixelwise.api.evaluate import evaluate
from pixelwise.checkpoints.trained import load_trained
from pixelwise.records.data_facts import read_data_facts
from pixelwise.training.runs import train

# One crop of 56x72 pixels, 5 more on either side at most, is less than 5000 of the 5120 pixels of an image.
CROPS = ["augment.crop=[56,72]", "augment.scale=[1.0,1.25]", "schedule.iterations=6"]
IN_PARTS = "data.max_pixels=5000"


@pytest.fixture(scope="module")
def tiffs(tmp_path_factory: pytest.TempPathFactory, tiny_data: Path) -> Path:
    """The tiny data at 64x80 pixels, in TIFF files of tiles."""
    root = tmp_path_factory.mktemp("tiffs")
    for path in tiny_data.rglob("*.png"):
        target = root / path.relative_to(tiny_data).with_suffix(".tif")
        target.parent.mkdir(parents=True, exist_ok=True)
        values = np.asarray(Image.open(path).resize((80, 64), Image.Resampling.NEAREST))
        photometric = "rgb" if values.ndim == 3 else "minisblack"
        tifffile.imwrite(target, values, photometric=photometric, tile=(32, 16), metadata=None)
    (root / "dataset.toml").write_bytes((tiny_data / "dataset.toml").read_bytes())
    return root


@pytest.mark.heavy
def test_parts_give_the_same_weights_and_scores(tiffs: Path, tiny_recipe: Path, tmp_path: Path):
    runs = [
        train(str(tiny_recipe), data=tiffs, output=tmp_path / name, overrides=[*CROPS, *changes], threads=1)
        for name, changes in (("whole", []), ("parts", [IN_PARTS]))
    ]
    whole, parts = (load_trained(run).model.state_dict() for run in runs)
    assert all(torch.equal(value, parts[name]) for name, value in whole.items())
    statistics = [read_data_facts(run).statistics for run in runs]
    for split, counts in statistics[0].items():
        assert counts.pixels == statistics[1][split].pixels
        assert np.allclose(counts.mean, statistics[1][split].mean, rtol=1e-12)
    whole_result, parts_result = (evaluate(run, split="test", protocol="native") for run in runs)
    assert whole_result.confusion_matrix == parts_result.confusion_matrix
    assert whole_result.miou == parts_result.miou


@pytest.mark.heavy
def test_an_epoch_draws_several_crops_of_an_image_in_parts(tiffs: Path, tiny_recipe: Path, tmp_path: Path):
    """64x80 pixels hold 5120 / (32 x 40) = 4 crops: 8 images are 32 crops, 8 steps of 4."""
    changes = ["augment.crop=[32,40]", "sampling.batch_size=4", "schedule.epochs=1", "schedule.iterations=none"]
    changes += ["selection.every_epochs=1", "ema=none", "data.workers=2", IN_PARTS]
    run = train(str(tiny_recipe), data=tiffs, output=tmp_path / "run", overrides=changes, threads=1)
    assert read_data_facts(run).drawn == 32
    assert load_trained(run).checkpoint.step == 8
