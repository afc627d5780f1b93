"""One small network in every form that can be scored or served: a run, weights, an artefact of each kind."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch

import pixelwise
from pixelwise.checkpoints.checkpoint import save_checkpoint
from pixelwise.checkpoints.trained import load_trained
from pixelwise.deployment.export.export import export
from pixelwise.models import build_model
from pixelwise.recipes.catalog import recipe as find
from pixelwise.recipes.families.linear import LinearSpec
from pixelwise.recipes.overrides import to_toml
from pixelwise.recipes.schema.recipe import Data, Evaluation, Recipe
from pixelwise.records.environment import ENVIRONMENT
from pixelwise.records.run_folder import CHECKPOINTS, RECIPE
from pixelwise.runtimes import load_artefact
from pixelwise.runtimes.targets import TARGETS, quantizable_names
from pixelwise.storage import write_text
from pixelwise.testing.exporting import settled

CLASSES = ("ground", "box", "ball")
SIZE = (48, 64)
IN_MEMORY = ("memory", "artefact in memory")
ONE_SIZE = ("one size", *(name for name, target in TARGETS.own().items() if not target.any_size))
INT8 = tuple(f"int8 {name}" for name in quantizable_names())
"""Artefacts of the export targets that can be quantized."""
QUANTIZERS = {"int8 openvino": "nncf"}
"""What it takes to make an artefact, beside the packages of its target."""


def small() -> Recipe:
    """A network that exports in seconds."""
    return msgspec.structs.replace(
        find("enet-camvid-2021"),
        name="small",
        published=None,
        model=LinearSpec(encoder="resnet10t"),
        data=Data(dataset="folder", classes=CLASSES),
        evaluation=Evaluation(protocols=("native", "slide-32x32"), split="test"),
    )


def subjects_in(root: Path, tiny_data: Path) -> Callable[[str], Any]:
    """Subjects by kind, created below a folder on first use.

    Args:
        root: The folder.
        tiny_data: Data that the network could have been trained on.
    """
    recipe = small()
    torch.manual_seed(1)
    network = settled(build_model(recipe, len(CLASSES)))
    made: dict[str, Any] = {}

    def weights(folder: Path) -> Path:
        tensors = {"model": network.state_dict()}
        save_checkpoint(folder / CHECKPOINTS, step=7, tensors=tensors, state={}, miou=None, metadata={})
        write_text(folder / RECIPE, to_toml(recipe))
        return folder

    def run() -> Path:
        folder = weights(root / "run")
        arguments = {"data": str(tiny_data), "device": "cpu"}
        write_text(folder / ENVIRONMENT, json.dumps({"arguments": arguments}))
        return folder

    def artefact(kind: str) -> Path:
        target = TARGETS.own().get(kind.removeprefix("int8 "), TARGETS.own()["onnx"])
        for package in (*target.packages, *((QUANTIZERS[kind],) if kind in QUANTIZERS else ())):
            if importlib.util.find_spec(package.partition(".")[0]) is None:
                pytest.skip(f"{package} is not installed")
        if target.refusal():
            pytest.skip(target.refusal())
        output, ids = root / kind, kind == "class ids"
        if kind in INT8:
            images = tiny_data / "images" / "train"
            pixelwise.quantize(get("run"), output, target.name, images=images, least_equal=0.0)
            return output
        options = {"dynamic": kind not in ONE_SIZE, "uint8_input": ids, "argmax": ids}
        return export(get("run"), output, target.name, size=SIZE, **options).path.parent  # type: ignore[arg-type]

    def get(kind: str) -> Any:
        if kind not in made:
            others = {
                "run": run,
                "weights": lambda: weights(root / "weights"),
                "file": lambda: get("onnx") / "model.onnx",
                "memory": lambda: load_trained(get("run")).model,
                "artefact in memory": lambda: load_artefact(get("onnx")),
            }
            made[kind] = others[kind]() if kind in others else artefact(kind)
        return made[kind]

    return get
