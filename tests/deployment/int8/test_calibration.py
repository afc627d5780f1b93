from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from pixelwise.deployment.export.options import ExportOptions
from pixelwise.deployment.export.sources import Source, open_source
from pixelwise.deployment.int8.calibration import int8_images
from pixelwise.errors import RecipeError
from pixelwise.runtimes.graphs import GraphOptions

GRAPH = GraphOptions(size=(48, 64))


@pytest.fixture(scope="module")
def source(small_run: Path) -> Source:
    return open_source(str(small_run))


def test_a_run_is_calibrated_on_its_training_images(source: Source, small_town: Path) -> None:
    found = int8_images(source, GRAPH, ExportOptions(data=small_town, split="val"), 128)
    assert found.calibration.source == "train of town, 1 images, protocol native"
    assert found.verification.source.startswith("val of town")
    drawn = int8_images(source, GRAPH, ExportOptions(), 128)
    assert drawn.calibration.source.startswith("train of town")
    assert drawn.verification.source == "4 drawn street scenes"


def test_the_images_of_a_folder_are_both_and_few_are_evenly_spaced(source: Source, small_town: Path) -> None:
    folder = small_town / "images"
    every = int8_images(source, GRAPH, ExportOptions(images=folder), 128)
    assert every.calibration.source == "4 images of a folder"
    two = int8_images(source, GRAPH, ExportOptions(images=folder), 2)
    assert two.calibration.source == "2 of 4 images of a folder"
    wanted = list(every.verification.read())
    assert [image.tobytes() for image in two.calibration.read()] == [wanted[0].tobytes(), wanted[2].tobytes()]
    assert len(list(two.verification.read())) == 4


def test_random_weights_have_no_images(source: Source) -> None:
    with pytest.raises(RecipeError) as caught:
        int8_images(msgspec.structs.replace(source, run=None), GRAPH, ExportOptions(), 128)
    assert caught.value.code == "R246"


def test_the_images_of_a_folder_only_verify_if_there_is_data(source: Source, small_town: Path) -> None:
    found = int8_images(source, GRAPH, ExportOptions(images=small_town / "images", data=small_town), 128)
    assert found.calibration.source == "train of town, 1 images, protocol native"
    assert (found.verification.source, found.verification.dataset) == ("4 images of a folder", None)
