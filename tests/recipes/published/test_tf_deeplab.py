"""Rows as the page has them; what a page prints is compared in test_pages.py."""

from __future__ import annotations

import pytest

from pixelwise.recipes.catalog import recipe
from pixelwise.recipes.families.tf_deeplab import TFDeepLabSpec
from pixelwise.recipes.published.tf_deeplab import RECIPES
from pixelwise.recipes.schema.recipe import Initialize


def test_a_row_of_voc():
    row = recipe("deeplabv3-mobilenetv2-voc")
    assert row.model == TFDeepLabSpec(encoder="mobilenetv2_100", output_stride=8)
    assert (row.data.dataset, row.data.train_split) == ("voc-aug", "train_aug")
    assert (row.augment.crop, row.schedule.iterations) == ((513, 513), 30_000)
    assert row.summary == "DeepLab of TensorFlow, mobilenetv2_100 at output stride 8, on voc-aug"
    published = row.published
    assert published is not None
    assert published.original is not None
    assert (published.miou_percent, published.gmacs, published.protocol) == (72.66, 8.60, "tf-deeplab-512x512")
    assert (published.original.outputs, published.original.size) == (21, (512, 512))
    assert (published.original.gmacs, published.original.tolerance) == (8.5649, 0.015)


def test_a_row_of_cityscapes():
    row = recipe("deeplab-mobilenetv3-cityscapes")
    assert row.model == TFDeepLabSpec(encoder="mobilenetv3_large_seg", output_stride=32)
    assert (row.data.dataset, row.data.train_split) == ("cityscapes", "train")
    assert (row.augment.crop, row.schedule.iterations) == ((769, 769), 90_000)
    assert row.summary.endswith("on cityscapes")
    published = row.published
    assert published is not None
    assert published.original is not None
    assert (published.miou_percent, published.gmacs, published.protocol) == (72.41, 15.95, "tf-deeplab-2049x1025")
    assert (published.original.outputs, published.original.size) == (19, (1025, 2049))
    assert (published.original.gmacs, published.original.tolerance) == (7.581, 0.001)


@pytest.mark.parametrize(
    ("name", "weights", "licence"),
    [
        ("deeplabv3-mobilenetv2-voc", "mobilenetv2_100.ra_in1k", "Apache-2.0"),
        ("deeplab-xception65-cityscapes", "xception65.tf_in1k", "Apache-2.0"),
        ("deeplabv3-mobilenetv2-050-voc", "none", ""),
        ("deeplab-mobilenetv3-cityscapes", "none", ""),
    ],
)
def test_encoders_begin_with_timms_weights_where_it_has_some(name: str, weights: str, licence: str):
    assert recipe(name).initialize == Initialize(encoder=weights, licence=licence, original="ImageNet-1k")


def test_three_rows_of_each_data_set_are_in_the_catalogue():
    assert [recipe(row.name) for row in RECIPES] == list(RECIPES)
    assert [row.data.dataset for row in RECIPES] == ["voc-aug"] * 3 + ["cityscapes"] * 3
    for row in RECIPES:
        published = row.published
        assert published is not None
        assert published.original is not None
        assert published.original.outputs == len(row.data.class_names() or ())
        # What the page counts with another tool may be off; where the code is public, it may not.
        assert published.original.tolerance == (0.015 if row.name.endswith("-voc") else 0.001)
        assert row.evaluation.protocols == (published.protocol,)
