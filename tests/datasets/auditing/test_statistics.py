from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixelwise.datasets.auditing.audit import SplitStatistics, audit
from pixelwise.datasets.auditing.statistics import suggestions, with_measured_bands
from pixelwise.datasets.opening import open_dataset
from pixelwise.errors import DataError
from pixelwise.recipes.catalog import recipe
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.recipes.schema.recipe import Data


def test_normalisation_is_that_of_all_pixels_of_the_training_split(make_folder: Callable[..., Path]):
    root = make_folder({"train/a": np.zeros((2, 3), np.uint8), "train/b": np.ones((5, 7), np.uint8)})
    pixels = np.concatenate([np.asarray(Image.open(root / f"images/train/{n}.png")).reshape(-1, 3) for n in "ab"]) / 255
    found = audit(open_dataset(Data(), root))
    measured = suggestions(found)
    assert measured is not None
    assert measured.mean == pytest.approx(tuple(pixels.mean(axis=0)))
    assert measured.std == pytest.approx(tuple(pixels.std(axis=0)))
    assert measured.class_weights["median-frequency"] == pytest.approx((1.0, 1.0))
    assert measured.class_weights["inverse-sqrt"][0] > measured.class_weights["inverse-sqrt"][1]
    assert found.sizes.histogram == (((2, 3), 1), ((5, 7), 1))


def test_without_a_training_split_nothing_is_suggested(make_folder: Callable[..., Path]):
    found = audit(open_dataset(Data(), make_folder({"val/a": np.zeros((2, 3), np.uint8)})))
    assert suggestions(found) is None


def statistics(mean: tuple[float, ...], std: tuple[float, ...]) -> SplitStatistics:
    return SplitStatistics(
        images=1,
        pixels=(1,),
        void_pixels=0,
        images_with_class=(1,),
        pixels_of_images_with_class=(1,),
        mean=mean,
        std=std,
    )


@pytest.mark.parametrize("channels", [(0,), (1, 0), (0, 1, 2, 3), (5, 1, 2, 3, 4, 0)])
def test_every_band_is_measured_by_itself(make_folder: Callable[..., Path], channels: tuple[int, ...]):
    root = make_folder({"train/a": np.zeros((8, 9), np.uint8), "train/b": np.ones((7, 10), np.uint8)})
    bands = {name: np.random.default_rng(i).integers(0, 256, (*size, 6), dtype=np.uint8)
             for i, (name, size) in enumerate({"a": (8, 9), "b": (7, 10)}.items())}  # fmt: skip
    for name, values in bands.items():
        (root / f"images/train/{name}.png").unlink()
        np.save(root / f"images/train/{name}.npy", np.moveaxis(values, 2, 0) if name == "a" else values)
    pixels = np.concatenate([values.reshape(-1, 6)[:, list(channels)] for values in bands.values()]) / 255
    measured = suggestions(audit(open_dataset(Data(channels=channels), root)))
    assert measured is not None
    assert measured.mean == pytest.approx(tuple(pixels.mean(axis=0)))
    assert measured.std == pytest.approx(tuple(pixels.std(axis=0)))


def test_a_recipe_for_other_bands_gets_what_was_measured():
    counts = statistics((0.25, 0.5, 1 / 3, 0.125), (0.1, 0.2, 1 / 7, 0.3))
    changed = with_measured_bands(apply_overrides(recipe("unet-resnet18"), ["data.channels=[3,2,1,7]"]), counts)
    assert changed.model.preprocessing.mean == (0.25, 0.5, 0.333333, 0.125)
    assert changed.model.preprocessing.std == (0.1, 0.2, 0.142857, 0.3)
    # What is given stays, and so does RGB, or three bands in its place.
    assert with_measured_bands(changed, statistics((0.0,) * 4, (1.0,) * 4)) is changed
    for overrides in ([], ["data.channels=[7,2,1]"]):
        rgb = apply_overrides(recipe("unet-resnet18"), overrides)
        assert with_measured_bands(rgb, statistics((0.0,) * 3, (1.0,) * 3)) is rgb


def test_a_constant_band_is_refused_by_its_number():
    waiting = apply_overrides(recipe("unet-resnet18"), ["data.channels=[3,2,10,7]"])
    with pytest.raises(DataError, match=r"\b10\b.*data\.channels") as caught:
        with_measured_bands(waiting, statistics((0.5,) * 4, (0.1, 0.1, 0.0, 0.1)))
    assert caught.value.code == "D107"
