"""A run folder with random weights of a network that exports in seconds, and artefacts made from it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from PIL import Image

from pixelwise.checkpoints.checkpoint import save_checkpoint
from pixelwise.datasets.town.scenes import draw_scene, write_town
from pixelwise.deployment.export.export import Exported, export
from pixelwise.models import build_model
from pixelwise.recipes.catalog import recipe
from pixelwise.recipes.families.linear import LinearSpec
from pixelwise.recipes.overrides import to_toml
from pixelwise.recipes.schema.model import Preprocessing
from pixelwise.recipes.schema.recipe import Data, Recipe
from pixelwise.records.run_folder import CHECKPOINTS, RECIPE
from pixelwise.storage import write_text
from pixelwise.testing.exporting import settled

SIZE = (48, 64)


@pytest.fixture(scope="session")
def small_recipe() -> Recipe:
    """A ResNet-10 with one linear layer for the town's classes and an unusual normalisation of its input."""
    preprocessing = Preprocessing(mean=(0.45, 0.5, 0.4), std=(0.2, 0.25, 0.3))
    return msgspec.structs.replace(
        recipe("town-demo"),
        name="small",
        model=LinearSpec(encoder="resnet10t", preprocessing=preprocessing),
        data=Data(dataset="town", town_images=(1, 2, 1), town_size=SIZE),
    )


@pytest.fixture(scope="session")
def small_town(tmp_path_factory: pytest.TempPathFactory, small_recipe: Recipe) -> Path:
    """A town with one training image, two validation images and one test image."""
    return write_town(tmp_path_factory.mktemp("data") / "town", small_recipe.data)


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory, small_recipe: Recipe) -> Path:
    """A run folder with random weights, as training would leave it; do not write into it."""
    folder = tmp_path_factory.mktemp("runs") / "small"
    torch.manual_seed(1)
    model = settled(build_model(small_recipe))
    save_checkpoint(
        folder / CHECKPOINTS, step=7, tensors={"model": model.state_dict()}, state={}, miou=0.25, metadata={}
    )
    write_text(folder / RECIPE, to_toml(small_recipe))
    return folder


@pytest.fixture(scope="session")
def any_size(tmp_path_factory: pytest.TempPathFactory, small_run: Path) -> Exported:
    """Dynamic artefact from uint8 images to class ids; do not write into it."""
    output = tmp_path_factory.mktemp("artefacts") / "any"
    return export(small_run, output, uint8_input=True, argmax=True, dynamic=True, size=SIZE)


@pytest.fixture(scope="session")
def one_size(tmp_path_factory: pytest.TempPathFactory, small_run: Path) -> Exported:
    """Artefact from normalised images of one size to logits at the network's own stride; do not write into it."""
    output = tmp_path_factory.mktemp("artefacts") / "one"
    return export(small_run, output, output_stride="head", size=SIZE)


@pytest.fixture
def white_objects(tmp_path: Path) -> Path:
    """A folder with masks of 0 and 255, where 255 is the object."""
    for index in range(4):
        image, labels = draw_scene(0, index, SIZE)
        mask = np.where(labels == 3, 255, 0).astype(np.uint8)
        for kind, array in (("images", image), ("masks", mask)):
            (tmp_path / kind / "val").mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(tmp_path / kind / "val" / f"{index}.png")
    return tmp_path
