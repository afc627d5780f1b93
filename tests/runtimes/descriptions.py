"""Descriptions of artefacts, for tests that need no network."""

from __future__ import annotations

from typing import Any

import msgspec

from pixelwise.recipes.catalog import recipe
from pixelwise.recipes.schema.model import Preprocessing
from pixelwise.recipes.schema.recipe import to_plain
from pixelwise.runtimes.inference import Inference, Scoring
from pixelwise.runtimes.sidecar import Complexity, Input, Licence, Output, Score, Sidecar, Verification
from pixelwise.storage import sha256_bytes

CONTENT = b"not a real graph"


def sidecar_of(**changes: object) -> Sidecar:
    sidecar = Sidecar(
        runtime="onnx",
        recipe_name="town-demo",
        recipe_hash="0" * 64,
        classes=("road", "sky"),
        palette=((128, 64, 128), (70, 130, 180)),
        preprocessing=Preprocessing(mean=(0.5, 0.4, 0.3), std=(0.2, 0.2, 0.2)),
        input=Input(name="images", dtype="uint8", layout="NHWC", size=(48, 64), batch=1),
        output=Output(name="labels", dtype="uint8", stride=1, align_corners=False),
        inference=Inference(window=(48, 64), window_stride=(36, 48), blend="central"),
        protocol="native",
        scoring=Scoring(split="test", protocol={"name": "native", "summary": "whole image"}),
        complexity=Complexity(parameters=10, macs=1000, size=(48, 64)),
        licence=Licence(weights="none", code="MIT"),
        weights_sha256="",
        files={"model.onnx": sha256_bytes(CONTENT)},
        versions={"torch": "2.15.0"},
        score=Score(miou=0.5, protocol="native", split="val"),
        verification=Verification(images=4, source="scenes", equal_pixels=1.0, least_equal_pixels=0.9999),
        recipe=to_plain(recipe("town-demo")),
    )
    return msgspec.structs.replace(sidecar, **changes)


def small_sidecar(**changes: Any) -> Sidecar:
    """One of two classes that takes normalised images of 2x3 one by one unless `changes` say otherwise."""
    facts: dict[str, Any] = {
        "input": Input(name="images", dtype="float32", layout="NCHW", size=(2, 3), batch=1),
        "output": Output(name="logits", dtype="float32", stride=1, align_corners=False),
        "preprocessing": Preprocessing(mean=(0.5, 0.25, 0.0), std=(0.5, 0.5, 1.0)),
        "inference": None,
        "scoring": None,
        "verification": None,
        "score": None,
        "files": {},
        "versions": {},
        **changes,
    }
    return sidecar_of(**facts)
