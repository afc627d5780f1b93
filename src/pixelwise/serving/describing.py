"""What a model says of itself: its classes, how it reads images, its hashes and licences."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from pixelwise.checkpoints.licences import licence_of_run
from pixelwise.checkpoints.trained import result_of
from pixelwise.prediction.rules import inference_of
from pixelwise.prediction.segmenter import Segmenter
from pixelwise.records.history import run_hash
from pixelwise.records.run_folder import read_recipe
from pixelwise.runtimes import ArtefactModel
from pixelwise.runtimes.inference import Inference
from pixelwise.serving.answers import hex_color
from pixelwise.serving.messages import Model

PYTORCH = "pytorch"


def described(segmenter: Segmenter, run: Path) -> Model:
    """The description of a model that was loaded.

    Args:
        segmenter: The segmenter.
        run: The run folder or artefact that it was loaded from.
    """
    network = segmenter.model
    common = {
        "classes": segmenter.classes,
        "palette": tuple(map(hex_color, segmenter.palette)),
        "multilabel": network.multilabel,
        "gives_scores": network.gives_scores,
        "channels": network.preprocessing.in_channels,
        "batch": segmenter.batch_limits.items,
        "device": next(network.parameters()).device.type,
    }
    if isinstance(network, ArtefactModel):
        sidecar = network.sidecar
        return Model(
            runtime=sidecar.runtime,
            recipe=sidecar.recipe_name,
            hashes={"weights": sidecar.weights_sha256, "recipe": sidecar.recipe_hash, **sidecar.files},
            licence=msgspec.to_builtins(sidecar.licence),
            preprocessing=_preprocessing(segmenter, sidecar.inference),
            **common,
        )
    recipe = read_recipe(run)
    checkpoint, weights = result_of(run, recipe)
    return Model(
        runtime=PYTORCH,
        recipe=recipe.name,
        hashes={"weights": checkpoint.sha256(weights), "recipe": run_hash(run, recipe)},
        licence=msgspec.to_builtins(licence_of_run(run, recipe)),
        preprocessing=_preprocessing(segmenter, inference_of(recipe, gives_scores=network.gives_scores)),
        **common,
    )


def _preprocessing(segmenter: Segmenter, inference: Inference | None) -> dict[str, Any]:
    """The normalisation, and what is done with an image besides; the latter is not recorded by older artefacts."""
    found = msgspec.to_builtins(segmenter.model.preprocessing)
    if inference is not None:
        found |= {name: value for name, value in msgspec.to_builtins(inference).items() if value is not None}
    return found | {"max_pixels": segmenter.reading.max_pixels}
