from __future__ import annotations

from typing import Any

import msgspec
import pytest
from runtimes.descriptions import sidecar_of

from pixelwise.prediction.rules import inference_of, is_exact, rules_of, scoring_of
from pixelwise.recipes.catalog import recipe as find_recipe
from pixelwise.recipes.protocols import PROTOCOLS, Protocol
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.runtimes.sidecar import Input


def under(protocol: str, **changes: Any) -> Recipe:
    found = find_recipe("town-demo")
    evaluation = msgspec.structs.replace(found.evaluation, protocols=(protocol,), **changes)
    return msgspec.structs.replace(found, evaluation=evaluation)


@pytest.mark.parametrize(
    ("recipe", "fixed", "expected"),
    [
        (under("native"), None, {"resize": "none", "window": None}),
        (under("native"), (96, 96), {"resize": "none", "window": (96, 96), "window_stride": (72, 72)}),
        (under("native", input_size=(96, 128)), None, {"resize": "area", "size": (96, 128), "window": None}),
        (under("native", input_size=(96, 128)), (96, 128), {"resize": "exact", "size": (96, 128), "window": None}),
        (under("native", input_size=(96, 128)), (64, 64), {"resize": "area", "window": (64, 64)}),
        (under("enet-1024x512"), None, {"resize": "area", "size": (512, 1024)}),
        (under("enet-1024x512"), (512, 1024), {"resize": "exact", "size": (512, 1024)}),
        (under("ssseg-2048x512"), None, {"resize": "fit", "shorter_side": 512, "longer_side": 2048, "size": None}),
        (under("ssseg-2048x512"), (512, 1024), {"resize": "fit", "window": (512, 1024), "resampling": "linear"}),
        (under("torchvision-520"), None, {"resize": "fit", "shorter_side": 520, "longer_side": None}),
        (under("tf-deeplab-2049x1025"), None, {"resize": "none", "pad_to": (1025, 2049), "window": None}),
        (under("tf-deeplab-2049x1025"), (1025, 2049), {"pad_to": None, "window": (1025, 2049)}),
        (under("slide-1024x1024"), None, {"window": (1024, 1024), "window_stride": (768, 768), "blend": "logits"}),
        (under("slide-1024x1024"), (2048, 2048), {"window": (1024, 1024), "window_stride": (768, 768)}),
        (under("slide-1024x1024"), (512, 512), {"window": (512, 512), "window_stride": (384, 384)}),
        (under("multi-scale-flip"), None, {"resize": "none", "window": None, "resampling": "linear"}),
        (under("edgeai-cityscapes", input_size=(384, 768)), None, {"resize": "area", "resampling": "area"}),
    ],
)
def test_the_description_of_each_kind_of_protocol(recipe: Recipe, fixed: Any, expected: dict[str, Any]) -> None:
    found = inference_of(recipe, fixed)
    assert {field: getattr(found, field) for field in expected} == expected
    assert inference_of(recipe, fixed, gives_scores=False).blend == "central"


@pytest.mark.parametrize("name", [*PROTOCOLS])
@pytest.mark.parametrize("fixed", [None, (48, 64), (512, 1024)])
def test_no_crop_of_the_training_becomes_the_size_of_all_images(name: str, fixed: Any) -> None:
    recipe = under(name)
    found = inference_of(recipe, fixed)
    if found.resize == "exact":
        assert PROTOCOLS[name].input_size == fixed
    if fixed is None:
        assert found.window == PROTOCOLS[name].window


def test_only_a_protocol_that_shows_one_size_whole_is_exact() -> None:
    plain = Protocol(name="x", summary="", input_size=(4, 6))
    assert is_exact(plain, None, (4, 6))
    assert not is_exact(plain, None, (6, 4))
    assert not is_exact(plain, None, None)
    assert not is_exact(msgspec.structs.replace(plain, window=(2, 2)), None, (4, 6))
    assert is_exact(Protocol(name="x", summary=""), (4, 6), (4, 6))
    assert not is_exact(Protocol(name="x", summary="", fit=(4, 6)), (4, 6), (4, 6))


def test_an_older_description_is_completed_by_its_recipe() -> None:
    recipe = under("enet-1024x512")
    free = sidecar_of(format=1, inference=None, scoring=None, input=Input(name="x", dtype="uint8", layout="NHWC"))
    rules = rules_of(free, recipe)
    assert (rules.inference.resize, rules.input_size, rules.run_size) == ("area", (512, 1024), (512, 1024))
    fixed = rules_of(sidecar_of(format=1, inference=None, scoring=None), recipe)
    assert (fixed.inference.resize, fixed.input_size, fixed.run_size) == ("exact", (48, 64), (512, 1024))
    assert fixed.protocol.window is None


def test_how_it_was_scored_is_all_that_an_evaluation_needs() -> None:
    scoring = scoring_of(under("torchvision-520", input_size=(7, 9), split="val", batch_size=3))
    assert (scoring.split, scoring.input_size, scoring.batch_size) == ("val", (7, 9), 3)
    assert scoring.first_protocol() == PROTOCOLS["torchvision-520"]
