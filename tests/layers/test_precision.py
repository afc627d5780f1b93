from __future__ import annotations

import pytest
import torch

from pixelwise.layers.precision import at_least_float32, without_autocast


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (torch.float16, torch.float32),
        (torch.bfloat16, torch.float32),
        (torch.float32, torch.float32),
        (torch.float64, torch.float64),
    ],
)
def test_only_types_of_less_than_32_bits_are_widened(before: torch.dtype, after: torch.dtype) -> None:
    features = torch.tensor([0.5, 3.0], dtype=before)
    wide = at_least_float32(features)
    assert wide.dtype == after
    assert wide.tolist() == [0.5, 3.0]
    assert before != after or wide is features


def test_products_keep_their_type_within_an_autocast() -> None:
    features = torch.ones(2, 2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert (features @ features).dtype == torch.bfloat16
        with without_autocast(features):
            assert (features @ features).dtype == torch.float32
    with without_autocast(features.to("meta")):
        assert (features @ features).dtype == torch.float32
