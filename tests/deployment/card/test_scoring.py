from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
from observing import Listener

from pixelwise.checkpoints.trained import load_trained
from pixelwise.deployment.card.images import ComparisonImages, comparison_images
from pixelwise.deployment.card.options import DeployOptions
from pixelwise.deployment.card.scoring import equal_pixels, score_artefact, score_pytorch
from pixelwise.deployment.export.export import export
from pixelwise.recipes.schema.recipe import Recipe, to_plain
from pixelwise.records.environment import Ancestor
from pixelwise.records.result import load_result
from pixelwise.runtimes import load_artefact, write_sidecar


@pytest.mark.heavy
def test_an_artefact_of_one_size_is_scored_as_the_recipe_says_through_its_windows(
    small_run: Path, small_recipe: Recipe, small_town: Path, tmp_path: Path
) -> None:
    evaluation = msgspec.structs.replace(small_recipe.evaluation, input_size=(40, 60))
    recipe = msgspec.structs.replace(small_recipe, evaluation=evaluation)
    made = export(small_run, tmp_path / "torch", "torch-export", size=(32, 48))
    teacher = Ancestor(recipe="unet", step=9, weights_sha256="a" * 64, unlabelled=5)
    licence = msgspec.structs.replace(made.sidecar.licence, derived_from=(teacher,))
    sidecar = msgspec.structs.replace(made.sidecar, recipe=to_plain(recipe), recipe_hash=recipe.hash(), licence=licence)
    write_sidecar(sidecar, tmp_path / "torch" / "model.toml")
    images = comparison_images(small_run, recipe, DeployOptions(data=small_town, split="val", size=(32, 48)))
    artefact = load_artefact(made.path, trust=True)
    listener = Listener()
    miou = score_artefact(artefact, made.path.parent, images, listener)
    # Progress counts the images, under the phase that the caller has named.
    assert (listener.phases, listener.last) == ([], (2, 2))
    assert listener.warnings == ["W471"]
    assert miou is not None
    result = load_result(tmp_path / "torch" / "evaluations" / "val-native")
    assert (result.miou, result.input_size) == (miou, (40, 60))
    assert (result.weights_sha256, result.recipe_hash) == (sidecar.files["model.pt2"], recipe.hash())
    assert result.derived_from == (teacher,)
    trained = load_trained(small_run)
    assert score_pytorch(trained, images, "torch", tmp_path, derived_from=(teacher,)) is not None
    assert load_result(tmp_path / "torch" / "evaluations" / "val-native").derived_from == (teacher,)
    assert result.command == (
        f"pixelwise evaluate {tmp_path / 'torch'} --data {small_town} --split val --protocol native --no-boundary "
        "--trust"
    )
    assert equal_pixels(artefact, artefact, images) == 1


@pytest.mark.heavy
def test_without_labels_there_is_no_score_and_without_images_no_agreement(small_run: Path, tmp_path: Path) -> None:
    made = export(small_run, tmp_path / "torch", "torch-export", size=(32, 48))
    nothing = ComparisonImages(read=lambda: iter(()), source="nothing", count=0, fixed=(32, 48), latency_size=(32, 48))
    artefact = load_artefact(made.path, trust=True)
    assert score_artefact(artefact, made.path.parent, nothing) is None
    assert equal_pixels(artefact, artefact, nothing) == 0
    grey = msgspec.structs.replace(nothing, read=lambda: [np.full((32, 48, 3), 128, np.uint8)])
    assert equal_pixels(artefact, artefact, grey) == 1
