"""Every published row: the network has the parameters and multiply-accumulates of the original one."""

from __future__ import annotations

import pytest
import torch

from pixelwise.models import build_model
from pixelwise.profiling import complexity
from pixelwise.recipes.catalog import list_recipes, recipe
from pixelwise.recipes.schema import Original
from pixelwise.reports.zoo_counting import count_recipe, disagreements

ROWS = [name for name in list_recipes() if recipe(name).published is not None]


def test_all_rows_of_the_five_pages_are_here() -> None:
    pages = [published.page for name in ROWS if (published := recipe(name).published) and "-2021" not in name]
    assert {page: pages.count(page) for page in sorted(set(pages))} == {
        "000": 2, "001": 12, "002": 12, "003": 12, "004": 35,
    }  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
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
