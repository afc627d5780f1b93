from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec
from runtimes.descriptions import sidecar_of

from pixelwise.checkpoints.checkpoint import save_checkpoint
from pixelwise.models import build_model
from pixelwise.prediction.loading import load
from pixelwise.prediction.segmenter import Segmenter
from pixelwise.recipes.catalog import recipe
from pixelwise.records.environment import Ancestor, Licence
from pixelwise.records.run_folder import CHECKPOINTS, write_recipe
from pixelwise.runtimes import ArtefactModel
from pixelwise.serving.describing import described


def test_an_artefact_says_what_its_description_says():
    teacher = Ancestor(recipe="unet", step=3, weights_sha256="ab" * 32)
    sidecar = sidecar_of(licence=Licence(weights="MIT", code="MIT", derived_from=(teacher,)))
    found = described(Segmenter(ArtefactModel(sidecar, lambda images: images, Path("model.onnx"))), Path("model.onnx"))
    assert (found.runtime, found.classes, found.channels) == (sidecar.runtime, sidecar.classes, 3)
    assert found.hashes == {"weights": sidecar.weights_sha256, "recipe": sidecar.recipe_hash, **sidecar.files}
    assert (found.licence["weights"], found.licence["code"]) == ("MIT", "MIT")
    assert [one["recipe"] for one in found.licence["derived_from"]] == ["unet"]
    assert found.preprocessing["mean"] == sidecar.preprocessing.mean
    assert sidecar.inference is not None
    assert found.preprocessing["resize"] == sidecar.inference.resize
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(found), type=type(found))
    assert (again.hashes, again.licence["derived_from"][0]["step"]) == (found.hashes, 3)


def test_a_run_names_the_weights_it_answers_with(tmp_path: Path):
    found = recipe("town-demo")
    tensors = {"model": build_model(found).state_dict()}
    checkpoint = save_checkpoint(tmp_path / CHECKPOINTS, step=1, tensors=tensors, state={}, miou=0.5, metadata={})
    write_recipe(tmp_path, found)
    model = described(load(tmp_path), tmp_path)
    assert (model.runtime, model.recipe, model.device, model.gives_scores) == ("pytorch", "town-demo", "cpu", True)
    weights = (checkpoint.path / "model.safetensors").read_bytes()
    assert model.hashes == {"weights": hashlib.sha256(weights).hexdigest(), "recipe": found.hash()}
    assert model.version == model.hashes["weights"][:12]
    assert model.licence == {"weights": "unknown", "code": "Apache-2.0"}
    assert model.preprocessing["resize"] == "none"
