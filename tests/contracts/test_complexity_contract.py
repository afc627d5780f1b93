"""Every published row: the network has the parameters and multiply-accumulates of the original one."""

from __future__ import annotations

from functools import cache

import pytest
import torch

from pixelwise.models import build_model
from pixelwise.profiling import Complexity, complexity
from pixelwise.recipes.catalog import list_recipes, recipe
from pixelwise.recipes.schema import Original
from pixelwise.recipes.specs import ModelSpec

ROWS = [name for name in list_recipes() if recipe(name).published is not None]


@cache
def counted(spec: ModelSpec, outputs: int, size: tuple[int, int]) -> Complexity:
    with torch.device("meta"):
        model = build_model(spec, outputs)
    return complexity(model, *size)


def printed_like(count: int, text: str) -> str:
    """`count` with the digits of `text`: 40066954 like 40.067M is 40.067M."""
    if text.isdigit():
        return str(count)
    unit = {"k": 1e3, "M": 1e6}[text[-1]]
    return f"{count / unit:.{len(text[:-1].partition('.')[2])}f}{text[-1]}"


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

    found = counted(entry.model, original.outputs, original.size)

    assert printed_like(found.parameters, original.parameters) == original.parameters
    if original.gmacs is not None:
        assert found.gmacs == pytest.approx(original.gmacs, rel=original.tolerance)


def test_the_auxiliary_heads_are_counted_apart() -> None:
    # Measured on the original class: 40.067M parameters, 4.730M of them in the auxiliary head.
    found = counted(recipe("fcn-r50-d8-voc-aug").model, 21, (512, 512))
    assert printed_like(found.auxiliary_parameters, "4.730M") == "4.730M"
