"""Rows as the page and the authors' logs have them; what a page prints is compared in test_pages.py."""

from __future__ import annotations

import re

import pytest

from pixelwise.recipes.catalog import recipe
from pixelwise.recipes.families.lite import DeepLabV3LiteSpec, FPNLiteSpec, UNetLiteSpec
from pixelwise.recipes.published.edgeai import RECIPES
from pixelwise.recipes.schema.recipe import Initialize, Recipe

CLASSES = {"ade20k32": 32, "cocoseg21": 21, "cityscapes": 19}


def test_a_rows_name_says_decoder_encoder_data_set_and_size():
    row = recipe("fpnlite-mobilenetv2-140-ade20k32-512x512")
    assert row.model == FPNLiteSpec(encoder="mobilenetv2_140", channels=360)
    assert (row.data.dataset, row.evaluation.protocols) == ("ade20k32", ("edgeai-ade20k32",))
    assert row.evaluation.input_size == row.augment.crop == (512, 512)
    assert row.initialize == Initialize(encoder="mobilenetv2_140.ra_in1k", licence="Apache-2.0", original="unknown")
    assert row.summary == "FPNLite, mobilenetv2_140, ade20k32 at 512x512"
    assert row.published is not None
    assert row.published.original is not None
    assert (row.published.miou_percent, row.published.gmacs) == (52.93, 6.646)
    assert (row.published.original.parameters, row.published.original.gmacs) == ("5189520", 6.535827456)
    assert "training log" in row.published.original.note


def test_the_name_says_the_width_first_and_8_bits_last():
    row = recipe("unetlite-mobilenetv2-cityscapes-768x384-qat")
    assert row.model == UNetLiteSpec(encoder="mobilenetv2_100", channels=256)
    assert row.evaluation.input_size == (384, 768)
    assert row.quantization == "edgeai-8bit"
    assert row.summary == "UNetLite, mobilenetv2_100, cityscapes at 768x384, 8-bit aware"
    plain = recipe("unetlite-mobilenetv2-cityscapes-768x384")
    assert (plain.quantization, plain.model) == ("none", row.model)
    assert "8-bit" not in plain.summary


def test_small_objects_are_left_out_of_ti_s_coco():
    row = recipe("deeplabv3lite-mobilenetv2-cocoseg21-512x512")
    assert isinstance(row.model, DeepLabV3LiteSpec)
    assert (row.data.dataset, row.evaluation.protocols) == ("cocoseg21-edgeai", ("edgeai-cocoseg21",))


@pytest.mark.parametrize(
    ("name", "encoder", "channels", "licence"),
    [
        ("fpnlite-regnetx400mf-cityscapes-768x384", "regnetx_004", 256, "MIT"),
        ("fpnlite-regnetx800mf-cityscapes-768x384", "regnetx_008", 256, "MIT"),
        ("fpnlite-regnetx16gf-cityscapes-1024x512", "regnetx_016", 264, "MIT"),
        ("fpnlite-regnetx32gf-cityscapes-1536x768", "regnetx_032", 288, "MIT"),
        ("fpnlite-mobilenetv2-cityscapes-768x384", "mobilenetv2_100", 256, "Apache-2.0"),
    ],
)
def test_encoders_have_widths_weights_and_licences_of_their_own(name: str, encoder: str, channels: int, licence: str):
    row = recipe(name)
    assert isinstance(row.model, FPNLiteSpec)
    assert (row.model.encoder, row.model.channels) == (encoder, channels)
    assert row.initialize.encoder.startswith(f"{encoder}.")
    assert row.initialize.licence == licence


@pytest.mark.parametrize("row", RECIPES, ids=lambda row: row.name)
def test_every_row_is_what_its_name_says(row: Recipe):
    found = re.fullmatch(r"(\w+)-(.+)-(ade20k32|cocoseg21|cityscapes)-(\d+)x(\d+)(-qat)?", row.name)
    assert found is not None
    decoder, _, dataset, width, height, quantized = found.groups()
    size = int(height), int(width)
    assert (row.model.family, row.data.dataset.removesuffix("-edgeai")) == (decoder, dataset)
    assert row.evaluation.input_size == size
    assert row.published is not None
    original = row.published.original
    assert original is not None
    assert (original.size, original.outputs) == (size, CLASSES[dataset])
    assert len(row.data.class_names() or ()) == CLASSES[dataset]
    assert row.published.protocol == row.evaluation.protocols[0] == f"edgeai-{dataset}"
    assert (row.quantization != "none") == bool(row.stages) == bool(quantized)
    # The page counts the same to one part in 200, but where a note says why not.
    if not original.note and row.published.gmacs and original.gmacs:
        assert row.published.gmacs == pytest.approx(original.gmacs, rel=0.005)


def test_the_22_rows_are_in_the_catalogue():
    assert len(RECIPES) == 22
    assert [recipe(row.name) for row in RECIPES] == list(RECIPES)
