"""Rows as the two pages have them; what a page prints is compared in test_pages.py."""

from __future__ import annotations

from typing import Any

import pytest

from pixelwise.recipes.catalog import recipe
from pixelwise.recipes.families.fcn import FCNSpec
from pixelwise.recipes.families.pspnet import PSPNetSpec
from pixelwise.recipes.published.sssegmentation import RECIPES
from pixelwise.recipes.schema.recipe import Recipe


def test_an_fcn_of_the_first_page():
    row = recipe("fcn-r101-d16-voc-aug")
    assert row.model == FCNSpec(encoder="resnet101c", output_stride=16, channels=512, auxiliary_channels=512)
    assert (row.data.dataset, row.data.train_split) == ("voc-aug", "train_aug")
    assert row.summary == "FCN, ResNet-101 at output stride 16, on voc-aug"
    assert row.initialize.encoder == "resnet101c.gluon_in1k"
    assert row.published is not None
    assert row.published.original is not None
    assert (row.published.page, row.published.miou_percent) == ("001", 69.39)
    original = row.published.original
    assert (original.gmacs, original.parameters, original.outputs, original.size) == (65.16, "59.059M", 21, (512, 512))


def test_a_pspnet_of_the_third_page():
    row = recipe("pspnet-r50-d8-cityscapes")
    assert row.model == PSPNetSpec(encoder="resnet50c", output_stride=8, channels=512, auxiliary_channels=512)
    assert (row.data.dataset, row.data.train_split) == ("cityscapes", "train")
    assert row.evaluation.protocols == ("ssseg-2048x1024",)
    assert row.published is not None
    assert row.published.original is not None
    assert (row.published.page, row.published.miou_percent) == ("003", 78.33)
    original = row.published.original
    assert (original.gmacs, original.parameters, original.outputs, original.size) == (
        356.59,
        "51.340M",
        19,
        (512, 1024),
    )


# Line of the table -> the three data sets' mIoU, GMACs and parameters, in the table's order.
LINES: dict[str, list[tuple[float, float, str]]] = {
    "fcn-r50-d8": [(66.86, 149.28, "40.067M"), (36.96, 149.55, "40.199M"), (75.16, 298.56, "40.065M")],
    "pspnet-r101-d16": [(77.92, 72.46, "70.334M"), (43.40, 72.53, "70.467M"), (77.43, 144.87, "70.332M")],
}


@pytest.mark.parametrize("network", LINES)
def test_a_line_of_the_table_is_a_row_for_each_data_set(network: str):
    for dataset, numbers in zip(("voc-aug", "ade20k", "cityscapes"), LINES[network], strict=True):
        published = recipe(f"{network}-{dataset}").published
        assert published is not None
        assert published.original is not None
        assert (published.miou_percent, published.original.gmacs, published.original.parameters) == numbers


@pytest.mark.parametrize(
    ("dataset", "classes", "batch", "epochs", "protocol"),
    [
        ("voc-aug", 21, 16, 60, "ssseg-2048x512"),
        ("ade20k", 150, 16, 130, "ssseg-2048x512"),
        ("cityscapes", 19, 8, 220, "ssseg-2048x1024"),
    ],
)
def test_rows_of_a_data_set_are_trained_and_scored_alike(
    dataset: str, classes: int, batch: int, epochs: int, protocol: str
):
    rows = [row for row in RECIPES if row.data.dataset == dataset]
    assert len(rows) == 8
    for row in rows:
        assert (row.sampling.batch_size, row.schedule.epochs, row.evaluation.protocols) == (batch, epochs, (protocol,))
        assert row.published is not None
        assert row.published.original is not None
        assert row.published.original.outputs == len(row.data.class_names() or ()) == classes


@pytest.mark.parametrize("row", RECIPES, ids=lambda row: row.name)
def test_every_row_is_what_its_name_says(row: Recipe):
    head, depth, stride, dataset = row.name.split("-", 3)
    model: Any = row.model
    assert (model.family, model.encoder, model.output_stride) == (head, f"resnet{depth[1:]}c", int(stride[1:]))
    assert row.data.dataset == dataset


def test_rows_are_listed_by_page_data_set_and_network():
    assert len(RECIPES) == 24
    assert [row.name for row in RECIPES[:5]] == [
        "fcn-r50-d8-voc-aug", "fcn-r50-d16-voc-aug", "fcn-r101-d8-voc-aug", "fcn-r101-d16-voc-aug",
        "fcn-r50-d8-ade20k",
    ]  # fmt: skip
    assert RECIPES[12].name == "pspnet-r50-d8-voc-aug"
