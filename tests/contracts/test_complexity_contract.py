"""Every published row: the network has the parameters and multiply-accumulates of the original one."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch

import pixelwise
from pixelwise.models import build_model
from pixelwise.profiling.complexity import complexity
from pixelwise.recipes.catalog import list_recipes, recipe
from pixelwise.recipes.schema.recipe import Original
from pixelwise.zoo.counting import count_recipe, disagreements

# What the original classes count, measured outside this repository.
with open(Path(__file__).parent / "originals.csv", encoding="utf-8", newline="") as _file:
    ORIGINALS = {line["id"]: line for line in csv.DictReader(_file)}
ROWS = [name for name in list_recipes() if recipe(name).published is not None]
QUICK = (
    "enet-camvid", "fcn-r50-cityscapes-1040x520", "pspnet-r50-d8-ade20k", "segformer-b0-cityscapes",
    "erfnet-cityscapes", "hrnet18-small-v1-ema-cityscapes", "unetlite-mobilenetv2-ade20k32-512x512",
    "fpnlite-regnetx400mf-cityscapes-768x384", "deeplabv3plus-xception65-voc", "deeplabv3-mobilenetv2-voc",
    "deeplab-mobilenetv3-cityscapes", "lraspp-mobilenetv3-large-cocoseg21", "swiftnet-mobilenetv2-cityscapes",
    "pidnet-s-camvid", "ddrnet-23-slim-cityscapes", "efficientvit-seg-b0-cityscapes",
    "segnext-t-ade20k",
)  # fmt: skip
"""A row of every family, which are counted by default."""
COUNTED = [pytest.param(name, marks=() if name in QUICK else pytest.mark.heavy) for name in ROWS]


def test_all_rows_of_all_pages_are_here() -> None:
    pages = [published.page for name in ROWS if (published := recipe(name).published) and "-2021" not in name]
    assert {page: pages.count(page) for page in sorted(set(pages))} == {
        "000": 2, "001": 12, "002": 12, "003": 12, "004": 35, "modern": 52,
    }  # fmt: skip


@pytest.mark.parametrize("name", ORIGINALS)
def test_a_row_says_what_the_original_counts(name: str) -> None:
    published, expected = recipe(name).published, ORIGINALS[name]
    assert published is not None
    original = published.original
    assert original is not None

    assert original.outputs == int(expected["outputs"])
    assert original.size == (int(expected["height"]), int(expected["width"]))
    assert original.gmacs == (float(expected["gmacs"]) if expected["gmacs"] else None)
    assert original.tolerance == float(expected["tolerance"])
    # A recipe may know more digits.
    digits = len(expected["parameters"].rstrip("M").partition(".")[2])
    known = original.parameters
    rounded = f"{int(known) / 1e6:.{digits}f}M" if known.isdigit() and "M" in expected["parameters"] else known
    assert float(rounded.rstrip("M")) == float(expected["parameters"].rstrip("M"))


def test_the_rows_cost_few_lines() -> None:
    modules = ("pytorch_enet", "sssegmentation", "united_perception", "edgeai", "tf_deeplab", "torchvision")
    folder = Path(pixelwise.__file__).parent / "recipes" / "published"
    assert (
        sum(len((folder / f"{name}.py").read_text().splitlines()) for name in (*modules, "erfnet_swiftnet")) < 5.1 * 73
    )


@pytest.mark.parametrize("name", COUNTED)
def test_a_row_has_the_complexity_of_the_original(name: str) -> None:
    entry = recipe(name)
    original = entry.published.original if entry.published else None
    assert isinstance(original, Original)

    # Equal specs are counted once: the counts are kept under a hash of everything that decides them.
    assert disagreements(original, count_recipe(entry)) == []


def test_the_auxiliary_heads_are_counted_apart() -> None:
    with torch.device("meta"):
        model = build_model("fcn-r50-d8-voc-aug", 21)

    # Measured on the original class: 40.067M parameters, 4.730M of them in the auxiliary head.
    found = complexity(model, 512, 512)
    assert (round(found.parameters / 1e6, 3), round(found.auxiliary_parameters / 1e6, 3)) == (40.067, 4.730)
