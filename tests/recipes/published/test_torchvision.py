"""Rows as the page has them; what a page prints is compared in test_pages.py."""

from __future__ import annotations

from typing import Any

import pytest

from pixelwise.recipes.catalog import recipe
from pixelwise.recipes.published.torchvision import RECIPES
from pixelwise.recipes.schema.recipe import Recipe

MOBILE, RESNET = "mobilenetv3_large_100.ra_in1k", "resnet50.tv_in1k"


@pytest.mark.parametrize(
    ("name", "dataset", "size", "crop", "protocol", "outputs"),
    [
        ("lraspp-mobilenetv3-large-cocoseg21", "cocoseg21", (520, 520), (480, 480), "torchvision-520", 21),
        ("deeplabv3-r50-cocoseg21", "cocoseg21", (520, 520), (480, 480), "torchvision-520", 21),
        ("fcn-r50-cityscapes-1040x520", "cityscapes", (520, 1040), (480, 960), "torchvision-1040x520", 19),
    ],
)
def test_cityscapes_has_sizes_of_its_own(
    name: str, dataset: str, size: tuple[int, int], crop: tuple[int, int], protocol: str, outputs: int
):
    row = recipe(name)
    published = row.published
    assert published is not None
    assert published.original is not None
    assert (row.data.dataset, row.augment.crop) == (dataset, crop)
    assert (published.original.size, published.original.outputs) == (size, outputs)
    assert published.protocol == row.evaluation.protocols[0] == protocol
    assert len(row.data.class_names() or ()) == outputs
    assert row.summary.endswith(f"on {dataset}")


@pytest.mark.parametrize(
    ("name", "weights", "licence", "decay"),
    [
        ("lraspp-mobilenetv3-large-cocoseg21", MOBILE, "Apache-2.0", 1e-6),
        ("deeplabv3-mobilenetv3-large-cocoseg21", MOBILE, "Apache-2.0", 1e-6),
        ("deeplabv3-r50-cocoseg21", RESNET, "BSD-3-Clause", 1e-4),
        ("fcn-r50-cityscapes-1040x520", RESNET, "BSD-3-Clause", 1e-4),
        ("deeplabv3-r50-cityscapes-1040x520", RESNET, "BSD-3-Clause", 1e-4),
    ],
)
def test_small_networks_decay_less_and_begin_with_other_weights(name: str, weights: str, licence: str, decay: float):
    row = recipe(name)
    assert (row.initialize.encoder, row.initialize.licence) == (weights, licence)
    assert row.optimizer.weight_decay == decay


@pytest.mark.parametrize("row", RECIPES, ids=lambda row: row.name)
def test_an_auxiliary_head_learns_faster_where_the_network_has_one(row: Recipe):
    model: Any = row.model
    auxiliary = getattr(model, "auxiliary_channels", None)
    assert (auxiliary is not None) == (
        row.name in ("deeplabv3-mobilenetv3-large-cocoseg21", "deeplabv3-r50-cocoseg21")
    )  # fmt: skip
    assert [group.lr for group in row.optimizer.groups] == ([10.0] if auxiliary is not None else [])


def test_a_number_that_the_page_does_not_print_is_none():
    printed = {row.name: row.published.gmacs for row in RECIPES if row.published is not None}
    assert printed == {
        "lraspp-mobilenetv3-large-cocoseg21": None,
        "deeplabv3-mobilenetv3-large-cocoseg21": None,
        "deeplabv3-r50-cocoseg21": None,
        "fcn-r50-cityscapes-1040x520": 285.4,
        "deeplabv3-r50-cityscapes-1040x520": 337.5,
    }


def test_summaries_name_the_network_and_its_encoder():
    assert recipe("deeplabv3-r50-cocoseg21").summary == "DeepLabV3 of torchvision, resnet50, on cocoseg21"
    assert recipe("lraspp-mobilenetv3-large-cocoseg21").summary.startswith("LRASPP of torchvision, mobilenet_v3_large")


def test_rows_are_in_the_catalogue():
    assert [recipe(row.name) for row in RECIPES] == list(RECIPES)
